"""How a file's pairs came out: counts, tokens, and what a cascade saved and changed.

Promises: accounts of batches add up to the account of the file, in any order; what is an estimate
says so; shares of nothing are left out, never 0.

Does not know: models, files.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from backtrans.judge.cascade import Cost, Costs, cost_of
from backtrans.judge.judged import Judged
from backtrans.judge.settings import A5_SCORE, Judge


@dataclass(slots=True)
class Account:
    """Sums over judged pairs."""

    rows: int = 0
    scored: int = 0
    rejects: Counter[str] = field(default_factory=Counter)
    costs: Costs = field(default_factory=dict)
    sent_on: int = 0  # pairs about which more than one judge was asked
    crossed: int = 0  # of these, whose final score is on the other side of the first's threshold
    compared: int = 0  # pairs about which the last judge was asked for comparison alone
    disagreed: int = 0  # of these, which it would have put on the other side
    difference: float = 0.0  # of these, sum of |expectation - the last judge's|

    def add(self, pair: Judged, threshold: float) -> None:
        """Count one pair."""
        self.rows += 1
        if pair.is_scored:
            self.scored += 1
        else:
            self.rejects[str(pair.reject_reason)] += 1
        asked = [each for each in pair.judges if not each.compared]
        if len(asked) > 1:
            self.sent_on += 1
            self.crossed += _differ(asked[0].expectation, pair.expectation, threshold)
        for each in pair.judges:
            if each.compared and each.expectation is not None and pair.expectation is not None:
                self.compared += 1
                self.disagreed += _differ(each.expectation, pair.expectation, threshold)
                self.difference += abs(each.expectation - pair.expectation)

    def merge(self, other: "Account") -> None:
        """Add another's sums."""
        for name in ("rows", "scored", "sent_on", "crossed", "compared", "disagreed", "difference"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.rejects.update(other.rejects)
        for (judge, compared), cost in other.costs.items():
            cost_of(self.costs, judge, compared).merge(cost)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        costs = [
            {"judge": judge, "compared": compared, **asdict(cost)}
            for (judge, compared), cost in self.costs.items()
        ]
        plain = {name: getattr(self, name) for name in self.__slots__ if name != "costs"}
        return {**plain, "rejects": dict(self.rejects), "costs": costs}

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> "Account":
        """Read what `to_json` returned."""
        costs: Costs = {
            (each.pop("judge"), each.pop("compared")): Cost(**each)
            for each in [dict(cost) for cost in found["costs"]]
        }
        return cls(**{**found, "rejects": Counter(found["rejects"]), "costs": costs})


def threshold_of(judges: Sequence[Judge]) -> float:
    """Return the score at which the first judge of several asks whether it is sure."""
    first = judges[0].send_on
    return first.threshold if first else A5_SCORE


def lines(account: Account, judges: Sequence[Judge]) -> list[str]:
    """Say how the pairs came out: a line a fact."""
    said = [
        f"{account.rows:,} rows: {account.scored:,} scored, {account.rejects.total():,} rejected"
    ]
    said += [f"  {count:>8,}  {reason}" for reason, count in account.rejects.most_common()]
    for judge in judges:
        cost = account.costs.get((judge.called, False))
        if cost is not None and cost.pairs:
            said.append(
                f"{judge.called}: {cost.pairs:,} pairs, {cost.requests:,} requests,"
                f" {cost.prompt_tokens:,} prompt tokens ({cost.cached_tokens:,} cached),"
                f" {cost.output_tokens:,} written"
                + (f"; {cost.money:,.4g} at its endpoint's prices" if cost.money else "")
            )
    return said + (_of_cascade(account, judges) if len(judges) > 1 else [])


def saved(account: Account, judges: Sequence[Judge]) -> float | None:
    """Return the share of tokens that were not asked, against all pairs judged by the dearest.

    Exact where each pair was compared; else the dearest's mean over the pairs that it saw, times
    all. None where it saw none.
    """
    last = judges[-1].called
    seen, compared = Cost(), account.costs.get((last, True), Cost())
    seen.merge(account.costs.get((last, False), Cost()))
    seen.merge(compared)
    asked = account.costs.get((judges[0].called, False), Cost()).pairs
    if not seen.pairs:
        return None
    used = sum(cost.tokens for (_, is_compared), cost in account.costs.items() if not is_compared)
    return 1.0 - used / (seen.tokens / seen.pairs * asked)


def _of_cascade(account: Account, judges: Sequence[Judge]) -> list[str]:
    last, threshold = judges[-1].called, threshold_of(judges)
    asked = account.costs.get((judges[0].called, False), Cost()).pairs
    share = saved(account, judges)
    said = [
        f"sent on: {account.sent_on:,} of {asked:,} pairs; {account.crossed:,} of them changed"
        f" sides at {threshold:g}"
    ]
    if share is None:
        return [*said, f"{last} was asked about no pair: what it would have cost is not known"]
    how = "measured" if account.compared else "an estimate, by its mean over the pairs that it saw"
    said.append(f"tokens saved against all pairs by {last}: {share:.1%} ({how})")
    if account.compared:
        said.append(
            f"compared: {account.compared:,} pairs; {last} would put {account.disagreed:,} on the"
            f" other side of {threshold:g}; mean difference"
            f" {account.difference / account.compared:.3f}"
        )
    return said


def _differ(one: float | None, other: float | None, threshold: float) -> bool:
    if one is None or other is None:
        return one is not other
    return (one >= threshold) != (other >= threshold)
