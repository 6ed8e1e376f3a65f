"""Fix the floor on min-token log p(y|x) beforehand: `python -m backtrans.microworld.calibrate`.

The expected digit sees noise better than mismatch; the least likely token of the response, given
the instruction, sees both. Its floor is read off rated pairs of a world that no demo uses: the
value that keeps 95% of the true fives.

Promises: the calibration world's seed is a constant, and no run's pool is read.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from backtrans.microworld.verdict import A5_SCORE
from backtrans.microworld.world import World

CALIBRATION_SEED = 7_000_003
KEPT_SHARE = 0.95
"""Source: chosen before any figure was read; one good pair in twenty is the price."""


def floor_of(true_fives: Sequence[float], kept_share: float = KEPT_SHARE) -> float:
    """Return the value that so large a share of the true fives reaches."""
    ordered = sorted(true_fives)
    return ordered[int(len(ordered) * (1 - kept_share))]


def calibrate(cache: Path, pairs: int, adapter_seed: int) -> dict[str, float]:
    """Score rated pairs of the calibration world; return the floor and what it does there."""
    from backtrans.microworld.adapt import adapters
    from backtrans.microworld.measure import judgements

    paths = adapters(cache, seed=adapter_seed)
    rated = World(CALIBRATION_SEED).rated_pairs(pairs, split="heldout")
    asked = [(pair.instruction, pair.output) for pair in rated]
    rows = judgements(paths.base, paths.forward, asked)
    fives = [
        row["min_token_logprob"] for row, pair in zip(rows, rated, strict=True) if pair.rating == 5
    ]
    floor = round(floor_of(fives), 2)
    chosen = [
        (row["min_token_logprob"] >= floor, pair.rating == 5)
        for row, pair in zip(rows, rated, strict=True)
        if row["score"] >= A5_SCORE
    ]
    likely = [truth for is_likely, truth in chosen if is_likely]
    return {
        "floor": floor,
        "pairs": pairs,
        "true_fives": len(fives),
        "precision_digit_alone": sum(truth for _, truth in chosen) / max(1, len(chosen)),
        "precision_with_floor": sum(likely) / max(1, len(likely)),
        "recall_digit_alone": sum(truth for _, truth in chosen) / len(fives),
        "recall_with_floor": sum(likely) / len(fives),
    }


def main() -> None:
    """Read the command line, calibrate and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=Path(".cache/microworld"))
    parser.add_argument("--pairs", type=int, default=1500)
    parser.add_argument("--adapter-seed", type=int, default=0)
    arguments = parser.parse_args()
    figures = calibrate(arguments.cache, arguments.pairs, arguments.adapter_seed)
    for name, value in figures.items():
        sys.stdout.write(f"{name}: {value:.4g}\n")


if __name__ == "__main__":
    main()
