"""The recipes that `bench.kept` sets beside each other, from the naive one on, and what each cost.

Does not know: engines, how pages came to be selected.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from backtrans.dialogue import Generate, Request
from backtrans.ledger import Usage
from backtrans.microworld.verdict import A5_SCORE, MIN_TOKEN_LOGPROB_FLOOR
from backtrans.microworld.world import true_rating
from backtrans.records import Reject, Row
from backtrans.roles.role import Dialogue, Role, refusal
from backtrans.roles.score import Score, render

MAX_REVIEW = 96
"""Tokens. A review of this world has some 30."""

Outcome = Row | Reject


@dataclass(frozen=True, slots=True)
class Reviewed:
    """The naive judge: reasons, and whatever number comes after "score:"."""

    sampling: Generate = field(default=Generate(MAX_REVIEW, 0.7, 0.9))
    version: str = "naive"

    def converse(self, row: Row) -> Dialogue:
        replies = yield (
            Request(render(row["instruction"], row["text"], "reasoned"), self.sampling),
        )
        if (refused := refusal(replies)) is not None:
            return refused
        found = re.search(r"score:\s*(\d+)", replies[0].text, re.IGNORECASE)
        return Reject("digit_improbable", "no score") if found is None else {"digit": int(found[1])}


def keeps_five(outcome: Row) -> bool:
    return bool(outcome["digit"] == 5)


def keeps_expected(outcome: Row) -> bool:
    return bool(outcome["score"] >= A5_SCORE)


def keeps_likely(outcome: Row) -> bool:
    return keeps_expected(outcome) and outcome["min_token_logprob"] >= MIN_TOKEN_LOGPROB_FLOOR


@dataclass(slots=True)
class Step:
    """A recipe, and what came of it: a figure a round."""

    name: str
    is_selected: bool
    judge: Role
    keeps: Callable[[Row], bool]
    usages: list[Usage] = field(default_factory=list)
    judging_seconds: float = 0.0
    kept: list[int] = field(default_factory=list)
    good: list[int] = field(default_factory=list)
    true: int = 0
    judged: int = 0
    lost: int = 0

    def add(
        self, before: Usage, usage: Usage, asked: Sequence[Row], found: Sequence[Outcome]
    ) -> None:
        """Count a round's pairs: what their instructions cost, and what judging them."""
        rows = [
            row
            for row, each in zip(asked, found, strict=True)
            if not isinstance(each, Reject) and self.keeps(each)
        ]
        fives = [
            row["page"] for row in rows if true_rating(row["page"].truth, row["instruction"]) == 5
        ]
        self.usages.append(before + usage)
        self.judging_seconds += usage.seconds
        self.kept.append(len(rows))
        self.good.append(len({page.origin for page in fives}))
        self.true += len(fives)
        self.judged += len(found)
        self.lost += sum(isinstance(each, Reject) for each in found)

    def seconds(self, of: str) -> float:
        """Return engine-seconds a kept pair, or a good one."""
        return sum(usage.seconds for usage in self.usages) / max(1, sum(getattr(self, of)))

    def computed(self, of: str) -> float:
        """Return tokens that were not read from the cache, a pair."""
        tokens = sum(u.prompt_tokens - u.cached_tokens + u.output_tokens for u in self.usages)
        return tokens / max(1, sum(getattr(self, of)))

    def each(self, of: str) -> list[float]:
        """Return engine-seconds a pair, round by round."""
        return [u.seconds / max(1, n) for u, n in zip(self.usages, getattr(self, of), strict=True)]


def steps() -> list[Step]:
    """Return the recipes, from the naive one on."""
    return [
        Step("naive", False, Reviewed(), keeps_five),
        Step("+ selection", True, Reviewed(), keeps_five),
        Step("+ the digit", True, Score(), keeps_expected),
        Step("+ a floor", True, Score(signals=("likelihood",)), keeps_likely),
    ]


DEFAULT = "+ the digit"
