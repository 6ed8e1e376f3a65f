"""Train the base that the package ships: `python -m backtrans.microworld.train_base`.

Promises: time-boxed; a usable checkpoint (averaged weights, HF layout) is written every few
minutes, whole or not at all; data come from the generator alone, from a world seed of its own.

Does not promise the same weights on two machines: how many steps fit into the minutes differs.
"""

import argparse
import json
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from backtrans.microworld import tokenizer
from backtrans.microworld.curriculum import Mix, examples
from backtrans.microworld.network import Muon, Network, export, load
from backtrans.microworld.packing import Example, rows

BASE_SEEDS: dict[Mix, int] = {"reading": 7_000_001, "judging": 7_000_005}
"""The base's worlds, one a phase; no demo, calibration or evaluation uses them."""
TOKENIZER_SEED = 7_000_002

ROW_TOKENS, BATCH_ROWS = 352, 6
"""Source: batches of about 2,000 tokens learned fastest in the feasibility study; the longest
rendered judgement of a page fits a row."""
MUON_RATE, ADAM_RATE, AVERAGE_DECAY = 6e-3, 4e-3, 0.995
WARM_UP_STEPS, DECAY_SHARE = 50, 0.6
PHASES: dict[Mix, float] = {"reading": 0.6, "judging": 0.4}
"""The phases in their order, and each one's share of the minutes."""
PEAKS: dict[Mix, float] = {"reading": 1.0, "judging": 0.7}
"""What the rates are multiplied by at their highest."""


Batch = tuple[Tensor, Tensor, Tensor, Tensor]
"""Ids, segments, positions and loss weights, each of shape (B, T)."""


def batches(seed: int, encoder: tokenizer.Encoder, mix: Mix) -> Iterator[Batch]:
    """Yield batches without end."""
    packed = rows(examples(seed, encoder, mix), ROW_TOKENS)
    while True:
        yield collate(list(islice(packed, BATCH_ROWS)), ROW_TOKENS)


def collate(packed: list[list[Example]], length: int) -> Batch:
    """Lay packed examples out as tensors.

    Segment 0 is a row's shared rubric, 1 and on are its examples, -1 is padding without weight.
    Every example's positions go on from the rubric, as if it stood alone after it.
    """
    ids = torch.zeros(len(packed), length, dtype=torch.long)
    positions = torch.zeros(len(packed), length, dtype=torch.long)
    segments = torch.full((len(packed), length), -1, dtype=torch.long)
    weights = torch.zeros(len(packed), length)
    for row, members in enumerate(packed):
        shared = members[0].shared_tokens
        ids[row, :shared] = torch.tensor(members[0].ids[:shared], dtype=torch.long)
        positions[row, :shared] = torch.arange(shared)
        segments[row, :shared] = 0
        start = shared
        for number, example in enumerate(members, start=1):
            end = start + len(example.ids) - shared
            ids[row, start:end] = torch.tensor(example.ids[shared:])
            positions[row, start:end] = torch.arange(shared, len(example.ids))
            segments[row, start:end] = number
            weights[row, start:end] = torch.tensor(example.weights[shared:])
            if not shared:
                weights[row, start] = 0.0  # nothing comes before the first token
            start = end
    return ids, segments, positions, weights


def loss_of(network: Network, batch: Batch) -> Tensor:
    """Return the weighted mean loss of the tokens that bear weight."""
    ids, segments, positions, weights = batch
    hidden = network(ids, segments, positions)[:, :-1]
    chosen = weights[:, 1:] > 0
    logits = functional.linear(hidden[chosen], network.embed)
    losses = functional.cross_entropy(logits, ids[:, 1:][chosen], reduction="none")
    weight = weights[:, 1:][chosen]
    return (losses * weight).sum() / weight.sum()


def save(folder: Path, averaged: dict[str, Tensor], facts: dict[str, object]) -> None:
    """Write weights and figures beside the tokenizer, each by an atomic rename."""
    scratch = folder / "writing"
    scratch.mkdir(exist_ok=True)
    export(averaged, scratch)
    (scratch / "training.json").write_text(json.dumps(facts, indent=1) + "\n")
    for path in sorted(scratch.iterdir()):
        path.replace(folder / path.name)
    scratch.rmdir()


def train(
    folder: Path,
    *,
    minutes: float,
    threads: int,
    mix: Mix,
    save_every_minutes: float = 3.0,
) -> None:
    """Train the base in `folder` for so many minutes.

    The mix "reading" begins with a new tokenizer and new weights; "judging" goes on from the
    weights that are there.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    if mix == "reading":
        tokenizer.train(folder, seed=TOKENIZER_SEED)
    encoder = tokenizer.Encoder(folder)
    network = Network(tokenizer.VOCABULARY) if mix == "reading" else load(folder)
    matrices = [p for name, p in network.named_parameters() if p.ndim == 2 and name != "embed"]
    others = [p for name, p in network.named_parameters() if p.ndim < 2 or name == "embed"]
    muon = Muon(matrices)
    adam = torch.optim.AdamW(others, lr=ADAM_RATE, betas=(0.9, 0.98), weight_decay=0.0)
    averaged = {name: p.detach().clone() for name, p in network.named_parameters()}
    started = saved = time.monotonic()
    tokens = 0
    smooth = 0.0
    for step, batch in enumerate(batches(BASE_SEEDS[mix], encoder, mix), start=1):
        spent = (time.monotonic() - started) / 60 / minutes
        rate = min(1.0, step / WARM_UP_STEPS, max(0.0, (1 - spent) / DECAY_SHARE))
        rate *= PEAKS[mix]
        loss = loss_of(network, batch)
        loss.backward()
        muon.step(MUON_RATE * rate)
        adam.param_groups[0]["lr"] = ADAM_RATE * rate
        adam.step()
        network.zero_grad()
        tokens += int((batch[1] >= 0).sum())
        decay = min(AVERAGE_DECAY, step / (step + 10))
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                averaged[name].lerp_(parameter, 1 - decay)
        smooth = loss.item() if step == 1 else 0.98 * smooth + 0.02 * loss.item()
        facts: dict[str, object] = {
            "tokens": tokens,
            "steps": step,
            "minutes": round((time.monotonic() - started) / 60, 1),
            "loss": round(smooth, 4),
            "threads": threads,
            "mix": mix,
        }
        if step % 50 == 0:
            print(json.dumps(facts), flush=True)
        if time.monotonic() - saved > 60 * save_every_minutes or spent >= 1:
            save(folder, averaged, facts)
            saved = time.monotonic()
        if spent >= 1:
            return


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "base")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    for mix, share in PHASES.items():
        minutes = share * arguments.minutes
        train(arguments.out, minutes=minutes, threads=arguments.threads, mix=mix)


if __name__ == "__main__":
    main()
