"""How fast TRL trains the micro-world's base, beside the loop that was written by hand for it.

    python -m bench.training

Both train M_0 for 110 steps of some 2,000 tokens, an adapter of rank 32 on seed pairs and as many
ratings, in float32 on one thread of this process. CPU seconds, the imports apart. The loop by hand
packs rows and lets examples share a rubric; TRL pads each batch to its longest.
"""

import argparse
import sys
import tempfile
import time
import warnings
from itertools import islice
from pathlib import Path

from backtrans.dialogue import Message
from backtrans.microworld import adapt
from backtrans.microworld.world import World
from backtrans.roles import score
from backtrans.store import Store, StoreSettings
from backtrans.training import train as training
from backtrans.training.job import Job
from backtrans.training.pairs import Exchange, TrainingPair, gathered
from backtrans.training.room import Room
from backtrans.training.settings import LoraSettings, Spread, TrainingSettings
from bench import book
from bench.book import Figure

STEPS = 110
BATCH = 12
"""Examples of some 170 tokens: 2,000 a step."""

PAIRS = 3200


def by_hand(folder: Path) -> tuple[float, int]:
    """Return CPU seconds and tokens of the loop by hand."""
    plan = adapt.Training("forward", steps=STEPS, rate=2e-3)
    began = time.process_time()
    adapt.train(plan, adapt.BASE, folder / "by-hand", seed=0, say=lambda line: None)
    return time.process_time() - began, STEPS * plan.batch_rows * plan.row_tokens


def by_trl(folder: Path) -> tuple[float, int]:
    """Return CPU seconds and tokens of this project's trainings."""
    from backtrans.training.sft import work

    world = World(0)
    pairs = [TrainingPair(p.instruction, p.output) for p in world.seed_pairs(PAIRS)]
    ratings = [
        Exchange(
            (Message("user", score.render(r.instruction, r.output, "constrained")[0].content),),
            f"{score.SCORE_PREFIX}{r.rating}",
        )
        for r in islice(world.rated_pairs(PAIRS), PAIRS)
    ]
    settings = TrainingSettings(
        lora=LoraSettings(rank=32, alpha=64, dropout=0.0),
        learning_rate=2e-3,
        batch_examples=BATCH,
        steps=STEPS,
        max_tokens=352,
        replay_share=0.5,
        dtype="float32",
    )
    jobs: list[Job] = []
    training.launch = lambda job, **_: jobs.append(job)  # type: ignore[assignment]
    store = StoreSettings(str(folder / "root"))
    try:
        training.train(
            "forward",
            gathered(pairs, ratings),
            settings,
            training.Base(str(adapt.BASE)),
            store,
            spread=Spread(examples_each=BATCH, checkpoint_steps=STEPS),
        )
    except training.TrainingFailed:
        pass  # the job is what is wanted: it is done here, where its seconds can be counted
    (job,) = jobs
    began = time.process_time()
    work(job)
    seconds = time.process_time() - began
    if (failure := Room(Store(store), job.fingerprint).failure(job.launch)) is not None:
        raise SystemExit(f"{failure.kind}: {failure.message}")
    made = training.Registry(Store(store)).of(job.fingerprint)
    assert made is not None
    print(f"TRL: loss {made.metrics.loss[0]:.3f} -> {made.metrics.loss[-1]:.3f}")
    return seconds, made.metrics.tokens


def main() -> None:
    """Print the figures."""
    asked = book.asked(argparse.ArgumentParser(description=__doc__))
    warnings.simplefilter("ignore")
    began = time.process_time()
    import torch

    import backtrans.training.sft  # noqa: F401

    print(f"imports: {time.process_time() - began:.1f} CPU seconds")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        hand, hand_tokens = by_hand(folder)
        trl, trl_tokens = by_trl(folder)
    for what, seconds, tokens in (("by hand", hand, hand_tokens), ("TRL", trl, trl_tokens)):
        print(
            f"{what:8} {STEPS} steps, {tokens:,} tokens, {seconds:.1f} CPU seconds,"
            f" {tokens / seconds:,.0f} tokens a CPU second"
        )
    print(f"TRL takes {trl / hand:.2f} times the CPU seconds")
    print(f"per token {trl / trl_tokens / (hand / hand_tokens):.2f} times")
    sys.stdout.flush()
    token = trl / trl_tokens / (hand / hand_tokens)
    book.record(
        asked,
        Figure("CPU seconds of TRL", trl / hand, "", "the loop by hand"),
        Figure("CPU seconds of TRL, a token", token, "", "the loop by hand"),
    )


if __name__ == "__main__":
    main()
