"""Rows that were refused, done again: which they are, and what must go before they can stand anew.

A commit is replaced in this order: what was made from its part is retracted, the last stage first;
then the ledger puts the new part, and then the commit. Killed in between, there is a whole part
upstream at every instant, the old one or the new one, and what lies below it is pending.

Promises: a shard is not done again twice in one run; where no row came through, no part is put.

Does not know: how rows are read or asked about, which shards are affected.
"""

from dataclasses import dataclass

import pyarrow as pa

from backtrans.ledger import Commit, Ledger, Usage, stage_key
from backtrans.records import Row, is_kept


@dataclass(frozen=True, slots=True)
class Retry:
    """Reasons whose rows are done again, none of them in a plain run."""

    reasons: tuple[str, ...] = ()
    stages: tuple[tuple[str, str], ...] = ()  # every stage and its fingerprint, in the job's order
    read_by_none: tuple[str, ...] = ()  # stages from whose parts nothing is made

    def concerns(self, commit: Commit, run: str) -> bool:
        """Say whether a commit holds such rows, and this run has not done them already."""
        return commit.run != run and commit.refused_for(self.reasons) > 0

    def is_due(self, row: Row) -> bool:
        """Say whether a row was refused for one of the reasons."""
        return row["reject_reason"] in self.reasons

    def retract_below(self, ledger: Ledger, stage: str, shard: str) -> None:
        """Take back what was made from a stage's part of a shard, the last stage first."""
        if stage in self.read_by_none:
            return
        names = [name for name, _ in self.stages]
        for below, found in reversed(self.stages[names.index(stage) + 1 :]):
            ledger.retract(below, stage_key(below, found, shard))

    def replace(
        self,
        ledger: Ledger,
        old: Commit,
        *,
        rows_in: int,
        part: pa.Table,
        usage: Usage,
        run: str,
    ) -> Commit:
        """Put a part in the place of a committed one, after retracting what was made from that.

        Raises: AccountingError, StoreError.
        """
        self.retract_below(ledger, old.stage, old.shard)
        return ledger.replace(old, rows_in=rows_in, part=part, usage=usage, run=run)


NO_RETRY = Retry()


def came_through(before: list[Row], after: list[Row], reasons: tuple[str, ...], name: str) -> int:
    """Count the rows refused for these reasons before and kept after, by the column `name`."""
    kept = {row[name] for row in after if is_kept(row)}
    return sum(row["reject_reason"] in reasons and row[name] in kept for row in before)
