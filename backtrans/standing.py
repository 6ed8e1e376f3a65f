"""The present corpus under the present recipe: which objects and shards there are, and how far
each has come.

Promises: the same bytes under two names are one object; what has been taken down as a whole object
is not in it; shards come in the order of their objects' names, then of their rows. Touches nothing.

Does not know: what will be done about it (`pipeline`), or how stages work.
"""

import time
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import pyarrow as pa

from backtrans.checkpoint import BATCH_ROWS, commits_in
from backtrans.committed import Committed
from backtrans.ledger import Commit, Ledger, index_key
from backtrans.resolution import Resolved
from backtrans.selection import Corpus
from backtrans.snapshots import latest
from backtrans.store import ObjectInfo, content_fingerprint, list_inputs
from backtrans.takedown import withdrawn
from backtrans.work import Address


@dataclass(frozen=True, slots=True)
class InputObject:
    """One distinct content of the corpus; `also` are the other objects that hold the same."""

    info: ObjectInfo
    fingerprint: str
    also: tuple[ObjectInfo, ...] = ()


class Standing:
    """What there is of a corpus, and what of it is committed."""

    def __init__(self, ledger: Ledger, resolved: Resolved, corpus: Corpus) -> None:
        """List the corpus. Raises: InputError, StoreError, ModelError."""
        self.listed_at = time.time()
        """When the corpus was about to be listed, in seconds since the epoch."""
        # Before the corpus is listed: whoever publishes after this may have listed a later one.
        self.published = latest(ledger)
        self.committed = Committed(ledger, resolved.fingerprints)
        self.withdrawn = withdrawn(ledger)
        self._ledger = ledger
        self._resolved = resolved
        self._shard_rows = corpus.shard_rows
        by_content: dict[str, list[ObjectInfo]] = {}
        self.withdrawn_objects: list[ObjectInfo] = []
        for info in list_inputs(list(corpus.paths), resolved.store):
            if info.key in self.withdrawn.objects:
                self.withdrawn_objects.append(info)
                continue
            by_content.setdefault(self._fingerprint(info), []).append(info)
        self.objects = [
            InputObject(first, content, tuple(others))
            for content, (first, *others) in by_content.items()
        ]

    def _fingerprint(self, info: ObjectInfo) -> str:
        known = self.committed.fingerprint_of(info)
        return known or content_fingerprint(info, self._resolved.store)

    def withdrawn_since(self) -> bool:
        """Say whether a takedown was recorded after this was looked at."""
        return withdrawn(self._ledger).number != self.withdrawn.number

    def shards(self) -> tuple[list[Address], list[Address]]:
        """Return the shards of the objects that are indexed, and the objects that are not."""
        indexes = self.committed.indexes([found.fingerprint for found in self.objects])
        shards: list[Address] = []
        unread: list[Address] = []
        for found in self.objects:
            url = found.info.key
            if (names := indexes.get(found.fingerprint)) is None:
                unread.append(self.whole(found))
                continue
            for number, shard in enumerate(names):
                shards.append(Address(shard, shard, url, number * self._shard_rows))
        return shards, unread

    def whole(self, found: InputObject) -> Address:
        """Return the address of an object: the unit that is selected from."""
        key = index_key(self._resolved.fingerprints["select"], found.fingerprint)
        return Address(key, found.fingerprint, found.info.key)

    def shards_of(self, objects: list[ObjectInfo]) -> list[str]:
        """Return the identities of the shards of objects, as far as they have been read."""
        contents = [self._fingerprint(info) for info in objects]
        return [shard for names in self.committed.indexes(contents).values() for shard in names]

    def pending(self, stages: tuple[str, ...], shards: list[Address]) -> list[Address]:
        """Return the shards that lack a commit in any of these stages."""
        names = [address.shard for address in shards]
        done = set.intersection(*(self.committed.of(stage, names) for stage in stages))
        return [address for address in shards if address.shard not in done]

    def reached(self, reads: tuple[str, ...], shards: list[Address]) -> list[Address]:
        """Return the shards that are committed in all of the stages that are to be read."""
        missing = {address.shard for address in self.pending(reads, shards)}
        return [address for address in shards if address.shard not in missing]

    def table(self, stage: str, shards: list[Address]) -> pa.Table:
        """Return the commits of a stage over these shards, as checkpoint.COMMITS."""
        return self.committed.table(stage, [address.shard for address in shards])

    def by_shard(self, stages: Sequence[str]) -> Iterator[list[Commit]]:
        """Yield the commits of one shard after another, of all that have one in the first stage."""
        shards, _ = self.shards()
        for start in range(0, len(shards), BATCH_ROWS):
            held = shards[start : start + BATCH_ROWS]
            found: dict[str, list[Commit]] = {address.shard: [] for address in held}
            for stage in stages:
                for commit in commits_in(self.table(stage, held)):
                    found[commit.shard].append(commit)
            yield from (c for c in found.values() if c and c[0].stage == stages[0])

    def doubt(self, shards: AbstractSet[str]) -> None:
        """Look anew at shards of which commits have been taken back or replaced."""
        if shards:
            self.committed.doubt(shards)

    def remember(self, name: str, shards: list[Address]) -> None:
        """Leave a checkpoint for the next plan."""
        names = [address.shard for address in shards]
        self.committed.remember(name, self._infos(), names, self.listed_at)

    def _infos(self) -> Iterator[tuple[ObjectInfo, str]]:
        for found in self.objects:
            for info in (found.info, *found.also):
                yield info, found.fingerprint
