"""Ask the forward adapter without vLLM: scores and likelihoods of pairs, on one CPU thread.

For the calibration script, for tests and for the figures of the base's README; a run asks vLLM.

Promises: the rows are what `verdict` reads; prompts are the roles' own.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from backtrans.microworld import curriculum
from backtrans.microworld.lora import hidden, merged_weights
from backtrans.microworld.network import load
from backtrans.microworld.packing import Example, rows, with_shared
from backtrans.microworld.tokenizer import Encoder
from backtrans.microworld.train_base import BATCH_ROWS, collate
from backtrans.roles import score

MEASURE_ROW_TOKENS = 512


def judgements(
    base: Path, adapter: Path, pairs: Sequence[tuple[str, str]]
) -> list[dict[str, float]]:
    """Return score and min-token log p(y|x) of (instruction, response) pairs. Rows: N -> N."""
    encoder = Encoder(base)
    network = load(base)
    weights = merged_weights(network, adapter)
    rubrics = curriculum.rubric_ids(encoder)
    digits = torch.tensor([encoder.text(digit)[0] for digit in score.DIGITS])
    # The loss weight of a token carries the number of its pair, so that packing can be undone.
    asked: list[Example] = []
    for number, (instruction, response) in enumerate(pairs, start=1):
        parts = curriculum.digit_parts(instruction, response, 1)
        whole = curriculum.encode(parts, encoder)
        marked = [float(number) if w == curriculum.VERDICT else 0.0 for w in whole.weights]
        marked[-1] = 0.0  # the end token weighs as much as the digit
        asked.append(with_shared(Example(whole.ids, marked), rubrics))
    rows: list[dict[str, float]] = [{} for _ in pairs]
    for chosen, numbers, _ in _logits(network, weights, asked):
        share = functional.softmax(chosen[:, digits], dim=-1)
        expected = share @ torch.arange(1.0, 6.0)
        for number, value in zip(numbers.tolist(), expected.tolist(), strict=True):
            rows[int(number) - 1]["score"] = value
    told: list[Example] = []
    for number, (instruction, response) in enumerate(pairs, start=1):
        whole = curriculum.encode(curriculum.forward_parts(instruction, response), encoder)
        marked = [float(number) if w == curriculum.PAGE else 0.0 for w in whole.weights]
        marked[-1] = 0.0  # the role asks for the response's tokens, not for the end
        told.append(Example(whole.ids, marked))
    for chosen, numbers, targets in _logits(network, weights, told):
        logs = functional.log_softmax(chosen, dim=-1).gather(1, targets[:, None])[:, 0]
        for number, value in zip(numbers.tolist(), logs.tolist(), strict=True):
            row = rows[int(number) - 1]
            row["min_token_logprob"] = min(value, row.get("min_token_logprob", 0.0))
    return rows


def _logits(
    network: Any, weights: dict[str, Tensor], examples: Sequence[Example]
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield the logits of the marked tokens, their marks and the tokens themselves."""
    packed = rows(iter(examples), MEASURE_ROW_TOKENS)
    while batch := list(islice(packed, BATCH_ROWS)):
        ids, segments, positions, marks = collate(batch, MEASURE_ROW_TOKENS)
        with torch.no_grad():
            state = hidden(network, weights, ids, segments, positions)[:, :-1]
            chosen = marks[:, 1:] > 0
            logits = functional.linear(state[chosen], weights["embed"])
        yield logits, marks[:, 1:][chosen], ids[:, 1:][chosen]
