"""Ask the adapters without vLLM: instructions, scores and likelihoods, on one CPU thread.

For the calibration script, for tests and for the figures of the base's README; a run asks vLLM.

Promises: the rows are what `verdict` reads; prompts are the roles' own; decoding is greedy.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from backtrans.dialogue import Message
from backtrans.microworld import curriculum
from backtrans.microworld.curriculum import Example
from backtrans.microworld.lora import hidden, merged_weights
from backtrans.microworld.network import export, load
from backtrans.microworld.tokenizer import BOS, END, SPEAKERS, Encoder
from backtrans.microworld.train_base import BATCH_ROWS, collate
from backtrans.roles import backtranslate, score

MEASURE_ROW_TOKENS = 512


def backtranslations(
    base: Path, adapter: Path, texts: Sequence[str], scratch: Path, batch: int = 64
) -> list[str]:
    """Return M_yx's greedy instruction for every text. Rows: N -> N."""
    from transformers import AutoModelForCausalLM

    encoder = Encoder(base)
    scratch.mkdir(parents=True, exist_ok=True)
    export(merged_weights(load(base), adapter), scratch)
    model: Any = AutoModelForCausalLM.from_pretrained(scratch, dtype=torch.float32)
    prompts = [_prompt(backtranslate.render(text), encoder) for text in texts]
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    said = [""] * len(prompts)
    for start in range(0, len(order), batch):
        members = order[start : start + batch]
        width = max(len(prompts[i]) for i in members)
        ids = torch.zeros(len(members), width, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, i in enumerate(members):
            ids[row, width - len(prompts[i]) :] = torch.tensor(prompts[i])
            mask[row, width - len(prompts[i]) :] = 1
        with torch.no_grad():
            out = model.generate(ids, attention_mask=mask, max_new_tokens=48, do_sample=False)
        for row, i in enumerate(members):
            tail = [int(t) for t in out[row, width:]]
            end = encoder.control[END]
            said[i] = encoder.decode(tail[: tail.index(end)] if end in tail else tail).strip()
    return said


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
        asked.append(curriculum.with_shared(Example(whole.ids, marked), rubrics))
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
    packed = curriculum.rows(iter(examples), MEASURE_ROW_TOKENS)
    while batch := list(islice(packed, BATCH_ROWS)):
        ids, segments, positions, marks = collate(batch, MEASURE_ROW_TOKENS)
        with torch.no_grad():
            state = hidden(network, weights, ids, segments, positions)[:, :-1]
            chosen = marks[:, 1:] > 0
            logits = functional.linear(state[chosen], weights["embed"])
        yield logits, marks[:, 1:][chosen], ids[:, 1:][chosen]


def _prompt(messages: Sequence[Message], encoder: Encoder) -> list[int]:
    ids = [encoder.control[BOS]]
    for message in messages:
        ids.append(encoder.control[SPEAKERS[message.speaker]])
        ids += [*encoder.text(message.content), encoder.control[END]]
    return [*ids, encoder.control[SPEAKERS["assistant"]]]
