"""What a run does again: rows refused for a reason that is to be retried, and what became stale.

Commits are taken back and replaced where the ledger says so to whoever keeps what it knows of them.

Does not know: how work is mapped, nor how a row is done again (`retry`, the stages).
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

from backtrans.errors import ConfigError
from backtrans.ledger import Commit, Ledger
from backtrans.lineage import Lineage
from backtrans.reasons import REASONS, RECIPE_REASONS
from backtrans.refused import checked
from backtrans.resolution import Resolved
from backtrans.retry import came_through
from backtrans.standing import Standing
from backtrans.work import Address


def retried_reason(name: str) -> str:
    """Return a reason for which rows can be done again. Raises: ConfigError."""
    reason = checked("reason", name, REASONS)
    if reason in RECIPE_REASONS:
        raise ConfigError(f"{reason}: follows from what stays; change the recipe instead")
    return reason


class Redo:
    """What is done again over one ledger; `reads` has the stages in order, and what each reads."""

    def __init__(
        self, ledger: Ledger, resolved: Resolved, reads: Mapping[str, tuple[str, ...]]
    ) -> None:
        self._ledger = ledger
        self._resolved = resolved
        self._reads = reads

    def due(self, standing: Standing, reasons: tuple[str, ...]) -> list[Commit]:
        """Return the commits that hold rows refused for these reasons; they may be replaced now."""
        if not reasons:
            return []
        found = [
            commit
            for commits in standing.by_shard(list(self._reads))
            for commit in commits
            if commit.refused_for(reasons)
        ]
        standing.doubt({commit.shard for commit in found})
        return found

    def came_through(self, old: Commit, reasons: tuple[str, ...]) -> int:
        """Count the rows of a commit that were refused for these reasons, and are kept now."""
        new = self._ledger.commit_of(old.stage, old.key)
        if new is None or new.part == old.part:
            return 0
        name = "row" if old.stage == "select" else "id"  # a document may give several segments
        before, after = (
            self._ledger.read_part(commit, [name, "reject_reason"]).to_pylist()
            for commit in (old, new)
        )
        return came_through(before, after, reasons, name)

    def stale(self, shards: list[Address]) -> list[tuple[str, Address]]:
        """Return the stages of shards that were made from parts that have been replaced since."""
        lineage = Lineage(self._ledger, self._reads)
        if lineage.whole:
            return []
        found = []
        for address in shards:
            keys = {stage: self._resolved.key(stage, address.shard) for stage in self._reads}
            found += [(stage, address) for stage in lineage.stale(keys)]
        return found

    def retract_stale(self, standing: Standing, shards: list[Address]) -> bool:
        """Take back what is stale, the last stage first; say whether there was any."""
        stale = self.stale(shards)
        with self.changing(needed=bool(stale)):
            for stage, address in reversed(stale):
                self._ledger.retract(stage, self._resolved.key(stage, address.shard))
        standing.doubt({address.shard for _, address in stale})
        return bool(stale)

    def changing(self, *, needed: bool) -> AbstractContextManager[None]:
        """Have the ledger know that commits are taken back in this block, if any are."""
        return self._ledger.epochs.changing() if needed else nullcontext()
