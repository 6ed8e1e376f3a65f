"""Does the loop do what it says, in a world whose truth is known? Two rounds, several seeds.

    python -m bench.truth [--seeds 3]

Each seed has a world of its own: a pool of held-out pages, two thirds of them spoilt, clean pairs
of training combinations, and ratings. M_yx and M_0 are trained on these by the recipe's training,
M_0 scores the pool, M_1 is trained on the pairs and A5 and scores the same pool, and so does M_2.
Beside M_1 stand its controls, trained for as many steps on batches of the same size:

    seed only      M_0 itself
    + A5           M_1
    + random       the seed and as many pairs of the pool as A5 has, drawn blindly
    + everything   the seed and every pair of the pool

Each answers held-out instructions; a line of an answer is true where a careful page of this world
could hold it (`microworld.answers`). Answers are greedy, and sampled at temperature 0.7 and top_p
0.9 (2308.06259 section 3.2). Nothing here was tuned on these seeds. Intervals are Student's over
the seeds, 95%: they say how far another world would differ.
"""

import argparse
import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from backtrans.config import load
from backtrans.microworld.corpus import read_truth
from backtrans.microworld.verdict import verdict
from backtrans.microworld.world import World
from backtrans.pipeline import Pipeline
from backtrans.rounds import Rounds
from backtrans.training.pairs import TrainingPair
from bench import book
from bench.book import Figure
from bench.lines import Notes, answered, rewritten
from bench.worlds import SMALL, Size, prepared

FIRST_SEED = 41_001

# ---------------------------------------------------------------------- one seed


def experiment(seed: int, folder: Path, size: Size) -> dict[str, dict[str, float | None]]:
    """Go through one world; return figures by arm or round."""
    notes = Notes()
    config = prepared(seed, folder, size)
    rounds = Rounds(Pipeline(load(config)))
    summary, last = rounds.run(2, notes)
    assert summary.snapshot is not None
    first = rounds.first
    truth = read_truth(folder / "truth.jsonl")
    found: dict[str, dict[str, float | None]] = {
        "round 0, M_0": judged(first, truth),
        "round 1, M_1": judged(last, truth),
    }
    if size.controls:
        found[_SELECTION] = rewritten(rounds, last, truth, notes)
    best = _pairs(first.kept("A5", stage="curate"))
    pool = pool_of(first)
    drawn = random.Random(seed).sample(pool, len(best))
    best_again = _pairs(last.kept("A5", stage="curate"))
    arms: dict[str, Sequence[TrainingPair]] = {
        "M_0: seed only": (),
        "M_1: + A5": best,
        "control: + random": drawn,
        "control: + everything": pool,
        "M_2: + A5 of M_1": best_again,
    }
    if not size.controls:
        arms = {name: kept for name, kept in arms.items() if not name.startswith("control")}
    asked = World(seed + 500_000).seed_pairs(size.questions, split="heldout")
    questions = [pair.instruction for pair in asked]
    for name, kept in arms.items():
        model = first.train_after(notes, kept)
        where = Path(first.resolved.trained.where(model))
        found[name] = {"pairs added": float(len(kept)), **answered(where, questions, seed)}
        notes.note(f"{name}: {found[name]}")
    return found


def judged(pipeline: Pipeline, truth: list[Any]) -> dict[str, float | None]:
    """Set a round's scores against the truth."""
    rows = [row for row in pipeline.rows("curate") if row["document_id"] is not None]
    seen = verdict(
        [{**row, "id": row["document_id"]} for row in rows],
        truth,
        threshold=pipeline.config.recipe.curate.a5,
    )
    return {
        "base rate": seen.base_rate,
        "AUC of the digit": seen.plain_auc,
        "AUC with the floor": seen.floored_auc,
        "A5 precision": seen.floored.precision,
        "A5 recall": seen.floored.recall,
        "A5 pairs": float(seen.floored.selected),
    }


def pool_of(pipeline: Pipeline) -> list[TrainingPair]:
    """Return every pair that was written, whatever its score."""
    texts = {row["id"]: row["text"] for row in pipeline.rows("select")}
    return [
        TrainingPair(row["instruction"], texts[row["id"]], augmented=True)
        for row in pipeline.rows("backtranslate")
        if row["reject_reason"] is None
    ]


def _pairs(rows: Any) -> list[TrainingPair]:
    return [TrainingPair(row["instruction"], row["response"], augmented=True) for row in rows]


# ---------------------------------------------------------------------- several seeds


STUDENT_95 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776}
"""Source: tables of Student's t, two-sided 95%, by degrees of freedom."""


def interval(values: Sequence[float]) -> str:
    """Return a mean, and how far its interval reaches."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return f"{mean:.3f}"
    reach = STUDENT_95[len(values) - 1] * statistics.stdev(values) / math.sqrt(len(values))
    return f"{mean:.3f} ± {reach:.3f}"


def shown(seeds: Sequence[dict[str, dict[str, float | None]]]) -> list[str]:
    """Return the tables, a line each."""
    lines = []
    tables = (("round 0, M_0", "round 1, M_1"), _ARMS, (_SELECTION,))
    for every in tables:
        rows = [row for row in every if row in seeds[0]]
        if not rows:
            continue
        names = list(seeds[0][rows[0]])
        lines.append("| " + " | ".join(["", *names]) + " |")
        lines.append("|" + " --- |" * (len(names) + 1))
        for row in rows:
            cells = []
            for name in names:
                values = [v for s in seeds if (v := s[row][name]) is not None]
                whole = name in ("A5 pairs", "pairs added", "lines")
                mean = f"{statistics.fmean(values):,.0f}" if whole else interval(values)
                cells.append(mean if values else "none")
            lines.append("| " + " | ".join([row, *cells]) + " |")
        lines.append("")
    for name in ("greedy: whole", "sampled: whole", "sampled: true lines"):
        for one, other in (
            ("M_1: + A5", "M_0: seed only"),
            ("M_1: + A5", "control: + random"),
            ("M_1: + A5", "control: + everything"),
        ):
            if other not in seeds[0]:
                continue
            pairs = [(s[one][name], s[other][name]) for s in seeds]
            gaps = [a - b for a, b in pairs if a is not None and b is not None]
            lines.append(f"{name}, {one} less {other}: {interval(gaps)} {_each(gaps)}")
    return lines


_SELECTION = "rewriting: line selection"
_ARMS = (
    "M_0: seed only",
    "M_1: + A5",
    "control: + random",
    "control: + everything",
    "M_2: + A5 of M_1",
)


def _each(values: Sequence[float]) -> str:
    return "(" + ", ".join(f"{value:+.3f}" for value in values) + ")"


def recorded(worlds: Sequence[dict[str, dict[str, float | None]]]) -> list[Figure]:
    """Return what the book has of several worlds."""

    def of(row: str, name: str) -> list[float]:
        return [value for world in worlds if (value := world[row][name]) is not None]

    def less(other: str, name: str) -> list[float]:
        return [100 * (a - b) for a, b in zip(of("M_1: + A5", name), of(other, name), strict=True)]

    pool, lines = [100 * each for each in of("round 0, M_0", "base rate")], "sampled: true lines"
    found = [Figure.over("true fives in the pool", pool, "%", runs="worlds")]
    for row in ("round 0, M_0", "round 1, M_1"):
        for name in ("A5 precision", "A5 recall"):
            shares = [100 * each for each in of(row, name)]
            found.append(Figure.over(f"{row}: {name}", shares, "%", runs="worlds"))
    for other in ("M_0: seed only", "control: + random", "control: + everything"):
        what = f"{lines}, M_1 less {other}"
        found.append(Figure.over(what, less(other, lines), "points", other, runs="worlds"))
    return found


def main() -> None:
    """Run each seed in a process of its own, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--small", action="store_true", help="as small as in the tests")
    parser.add_argument("--only", type=int, help="one seed, in this process, as JSON")
    parser.add_argument("--folder", type=Path)
    arguments = book.asked(parser)
    size = SMALL if arguments.small else Size()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="backtrans-truth-"))
    if arguments.only is not None:
        found = experiment(arguments.only, folder / str(arguments.only), size)
        print(json.dumps(found))
        return
    began = time.monotonic()
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "bench.truth", "--only", str(seed), "--folder", folder]
            + (["--small"] if arguments.small else []),
            stdout=subprocess.PIPE,
            text=True,
            # Side by side, threads of several trainings wait for each other more than they work.
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        for seed in range(FIRST_SEED, FIRST_SEED + arguments.seeds)
    ]
    said = [process.communicate()[0] for process in started]
    if any(process.returncode for process in started):
        sys.exit("a seed failed")
    worlds = [json.loads(each.splitlines()[-1]) for each in said]
    for line in shown(worlds):
        print(line)
    minutes = (time.monotonic() - began) / 60
    print(f"{arguments.seeds} worlds, {asdict(size)}, {minutes:.1f} min; files in {folder}")
    if not arguments.small:
        book.record(arguments, *recorded(worlds))


if __name__ == "__main__":
    main()
