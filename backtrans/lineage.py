"""What was made from what: commits whose parts were made from parts that have been replaced since.

A worker that began before a commit was replaced, and ends after it, commits what it made from the
old part. Its commit says so (`reads`), and only shards of which a commit was ever replaced need to
be looked at.

Does not know: the stages, nor what is done about it.
"""

from collections.abc import Mapping

from backtrans.ledger import Ledger


class Lineage:
    """The stages in the job's order, with what each reads."""

    def __init__(self, ledger: Ledger, reads: Mapping[str, tuple[str, ...]]) -> None:
        self._ledger = ledger
        self._reads = reads
        self._replaced = {stage: ledger.replaced(stage) for stage in reads}

    @property
    def whole(self) -> bool:
        """Say whether nothing was ever replaced."""
        return not any(self._replaced.values())

    def stale(self, keys: Mapping[str, str]) -> list[str]:
        """Return a shard's stages that no longer hold, in order; `keys` has its key in each.

        One that does not hold takes those below it along.
        """
        if not any(keys[stage] in replaced for stage, replaced in self._replaced.items()):
            return []
        parts: dict[str, str] = {}
        found: list[str] = []
        for stage, reads in self._reads.items():
            commit = self._ledger.commit_of(stage, keys[stage])
            if commit is None:
                continue
            if sorted(commit.reads) == sorted(parts.get(name, "") for name in reads):
                parts[stage] = commit.part
            else:
                found.append(stage)
        return found
