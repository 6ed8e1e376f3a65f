"""What a run has spent, and whether it may begin anything more.

A cap is looked at when a receipt comes. Others are in flight then, and they are finished: work that
was paid for is not thrown away. So a run stops when what is spent, and the mean cost of each of
those that are in flight, together reach a cap.

Promises: at least what is in flight first is done, so that runs with any cap at all get on; over a
cap a run goes by no more than what was in flight when it was reached, and by one shard at most
where shards cost alike and the cap is over the first ones'.

Does not know: how the run is stopped, what is left to do.
"""

from collections.abc import Iterable, Sequence

from backtrans.accounts import Spent
from backtrans.costs import HOUR_SECONDS
from backtrans.ledger import Commit, Usage
from backtrans.placement import Placement


class Spending:
    """One run's account, over all of its phases."""

    def __init__(self, placement: Placement) -> None:
        self._caps = placement.budget.model_dump(exclude_none=True)
        self._gpu_hour = placement.prices.gpu_hour
        self._phase = Spent()
        self._shards = 0
        self.spent = Spent()
        self.reached: str | None = None
        """The cap that stopped the run, of `Budget`'s fields."""

    @property
    def is_capped(self) -> bool:
        """Say whether there is any cap."""
        return bool(self._caps)

    def begin(self) -> None:
        """Hear that a phase begins: what a shard costs in it has nothing to do with the last."""
        self._phase, self._shards = Spent(), 0

    def add(self, usages: Iterable[Usage], gpus_each: float, in_flight: int) -> bool:
        """Count what one shard cost; say whether nothing more may begin.

        `usages` are of the commits that this run made of it; so many others may be in flight.
        """
        cost = Spent()
        for usage in usages:
            gpu_hours = usage.seconds * gpus_each / HOUR_SECONDS
            tokens = usage.prompt_tokens + usage.output_tokens
            cost += Spent(tokens, gpu_hours, usage.money + gpu_hours * self._gpu_hour)
        self.spent += cost
        self._phase += cost
        self._shards += 1
        for cap, most in self._caps.items():
            mean = getattr(self._phase, cap) / self._shards
            if self.reached is None and getattr(self.spent, cap) + mean * in_flight >= most:
                self.reached = cap
        return self.reached is not None

    def said(self) -> str:
        """Say which cap stopped the run, and how far it went."""
        assert self.reached is not None
        spent, most = getattr(self.spent, self.reached), self._caps[self.reached]
        return f"placement.budget.{self.reached}: spent {spent:,.7g} of {most:,.7g}"


class Costs:
    """What commits cost this run, where it does rows of earlier commits again.

    A commit that replaces another has that one's cost too. What was made from the other is gone
    then, and is made afresh. Not counted is what was asked in vain: nothing is committed of it.
    """

    def __init__(self, due: Iterable[Commit], stages: Sequence[str]) -> None:
        """Take the commits of which rows are due again, and the job's stages in order."""
        self._order = {stage: number for number, stage in enumerate(stages)}
        self._before: dict[str, dict[str, Commit]] = {}  # by shard and stage
        for commit in due:
            self._before.setdefault(commit.shard, {})[commit.stage] = commit
        self._counted: set[str] = set()  # parts of commits of those shards

    def is_counted(self, commit: Commit) -> bool:
        """Say whether a commit has been counted: a run may come by a shard several times."""
        return commit.part in self._counted

    def of(self, commit: Commit) -> Usage:
        """Count a commit of this run, and return what it cost."""
        earlier = self._before.get(commit.shard)
        if earlier is None:
            return commit.usage
        self._counted.add(commit.part)
        before = earlier.get(commit.stage)
        if before is None:
            return commit.usage
        for stage in [s for s in earlier if self._order[s] >= self._order[commit.stage]]:
            del earlier[stage]
        return commit.usage - before.usage
