"""Scored pools whose truth is known, and sheets of them that are labelled by it."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from backtrans.calibration.labels import Labels, read_labels, read_sheet, write_sample
from backtrans.calibration.pool import identity, read_scored
from backtrans.calibration.sample import draw


def write_pool(path: Path, size: int, seed: int = 0, **extra: Any) -> dict[str, bool]:
    """Write a scored file; return which of its pairs are good, by id.

    A judge that is too sure: the pairs that it gives a 5 are good two times in three, and the
    likelihood of the response tells the rest.
    """
    dice, truth, lines = np.random.default_rng(seed), {}, []
    for number in range(size):
        good = bool(dice.random() < 0.3)
        score = float(np.clip(dice.normal(4.4 if good else 2.8, 0.9), 1, 5))
        likely = float(dice.normal(-2.0 if good else -4.0, 1.0))
        pair = {"instruction": f"What is {seed} {number}?", "response": f"It is {number}."}
        high = (score - 1) / 4
        figures = {
            "score": round(score),
            "expectation": score,
            "distribution": [1 - high, 0.0, 0.0, 0.0, high],
            "entropy": float(dice.random()),
            "off_digit_mass": 0.0,
            "min_token_logprob": likely,
            "mean_logprob": likely / 3,
            "pmi": None,
        }
        truth[identity(pair["instruction"], pair["response"])] = good
        lines.append(json.dumps({**pair, **figures, **extra}) + "\n")
    path.write_text("".join(lines), encoding="utf-8")
    return truth


def labelled(folder: Path, size: int, labels: int, seed: int = 0) -> Labels:
    """Draw pairs of a pool, label them by the truth, and read the labels back."""
    truth = write_pool(folder / f"pool-{seed}.jsonl", size, seed)
    sheet = folder / f"labels-{seed}.csv"
    write_sample(
        draw(read_scored(folder / f"pool-{seed}.jsonl"), labels, seed),
        sheet,
        source="pool",
        seed=seed,
    )
    mark(sheet, truth)
    return read_labels(sheet)


def mark(path: Path, truth: dict[str, bool]) -> None:
    """Label a sheet by the truth, y and n."""
    sheet = read_sheet(path)
    for row in range(len(sheet.rows)):
        sheet.label(row, "y" if truth[sheet.cell(row, "id")] else "n")
    sheet.save()
