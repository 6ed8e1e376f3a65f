"""What the pairs that are there have cost: by stage, in all, and a pair.

A pair that is kept bears the cost of all that was looked at: every token, second and price of every
stage, over the pairs of A5, and of A4, which holds them.

Promises: every figure is a sum over commit records, so it is the same after a crash, a second run
and a deleted checkpoint, and counts each committed shard once; what an attempt took that committed
nothing is not in it. A pair has a price only where the splits hold just what is committed.

Does not know: records, stages, placements. Trainings and the start of engines are in no commit.
"""

from dataclasses import asdict, dataclass, field
from typing import Any

HOUR_SECONDS = 3600.0


def figure(value: float) -> str:
    """Write a figure to read: whole from a hundred on, three digits below."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


@dataclass(frozen=True, slots=True)
class Cost:
    """What something cost. Units in the names; money in the prices'."""

    tokens: float = 0.0
    engine_seconds: float = 0.0
    gpu_seconds: float = 0.0
    money: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.tokens + other.tokens,
            self.engine_seconds + other.engine_seconds,
            self.gpu_seconds + other.gpu_seconds,
            self.money + other.money,
        )

    def over(self, pairs: int) -> "Cost":
        """Return the share of one of so many."""
        return Cost(
            self.tokens / pairs,
            self.engine_seconds / pairs,
            self.gpu_seconds / pairs,
            self.money / pairs,
        )

    def said(self) -> str:
        """Say it: GPU-seconds where there are GPUs, money where there are prices."""
        parts = [f"{self.tokens:,.0f} tokens", f"{figure(self.engine_seconds)} engine-seconds"]
        if self.gpu_seconds:
            parts.append(f"{figure(self.gpu_seconds)} GPU-seconds")
        if self.money:
            parts.append(f"money {figure(self.money)}")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Costs:
    """Of the present corpus and recipe."""

    stages: dict[str, Cost] = field(default_factory=dict)
    """Of those that ask a model."""
    pairs: dict[str, int] = field(default_factory=dict)
    """Of A5 and of A4; empty where the splits are not of what is committed."""

    @property
    def whole(self) -> Cost:
        """Return what all stages cost."""
        return sum(self.stages.values(), Cost())

    @property
    def per_pair(self) -> dict[str, Cost]:
        """Return what a pair of each split cost."""
        whole = self.whole
        return {split: whole.over(count) for split, count in self.pairs.items() if count}

    def lines(self) -> list[str]:
        """Say it; nothing where no model was asked."""
        if self.whole == Cost():
            return []
        lines = [f"in all: {self.whole.said()}"]
        return lines + [f"  a pair of {s}: {each.said()}" for s, each in self.per_pair.items()]

    def document(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "stages": {stage: asdict(each) for stage, each in self.stages.items()},
            "whole": asdict(self.whole),
            "pairs": self.pairs,
            "per_pair": {split: asdict(each) for split, each in self.per_pair.items()},
        }
