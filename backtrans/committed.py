"""What of one recipe and corpus is committed, as a driver sees it: the checkpoint, then the ledger.

A plan over 100,000 shards of which 100 are new must not look at each. So the newest checkpoint is
believed for what it holds, receipts are remembered as they come, and only the rest is looked up:
record by record where that is little, by one listing where it is much.

Promises: what it says is committed, is; asked again after others have committed, it finds that too.
Memory: the identity of each shard, and 110 bytes a commit that came since, packed as Parquet; an
Arrow row a commit, four times as much, once rows are asked for.

Does not know: what is pending, or why.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

import pyarrow as pa
import pyarrow.compute as pc

from backtrans.checkpoint import (
    BATCH_ROWS,
    COMMITS,
    OBJECTS,
    commits_table,
    decode,
    newest,
    read,
    write,
)
from backtrans.errors import KeyMissing
from backtrans.ledger import Commit, Ledger, index_key, stage_key
from backtrans.places import read_at_once
from backtrans.records import parquet
from backtrans.store import ObjectInfo

FEW = 2_000
"""Up to so many records are looked up one by one. Source: a listing gives 1,000 keys a request, and
16 requests are under way at once, so the two cost the same at about 1/60 of what is committed; a
root with 120,000 commits a stage is a large one."""

_FRESH_SECONDS = 2.0
"""A file whose stamp is younger may be written again within one tick of the clock of its file
system (10 ms at most on Linux, 2 s on FAT), unseen: its fingerprint is not kept."""


class Committed:
    """The commits of one recipe."""

    def __init__(self, ledger: Ledger, fingerprints: Mapping[str, str]) -> None:
        """Find the newest checkpoint. `fingerprints`: of each stage's part of the recipe."""
        self._ledger = ledger
        self._fingerprints = dict(fingerprints)
        self._epoch = ledger.epochs.last()
        # While commits are taken back somewhere, no checkpoint is believed, and none is written.
        self._checkpoint = None if self._epoch is None else newest(ledger, self._epoch)
        self._shards: dict[str, set[str]] = {}  # known to be committed
        self._recalled: dict[str, pa.Table] = {}  # their records: from the checkpoint,
        self._recent: dict[str, list[bytes]] = {}  # read since, packed,
        self._received: dict[str, list[Commit]] = {}  # or not yet rows
        self._indexes: dict[str, tuple[str, ...]] = {}
        self._stamped: dict[tuple[str, str], str] = {}
        self._more = self._checkpoint is None  # than the checkpoint holds
        self._recall_objects()

    # ------------------------------------------------------------------ input objects

    def fingerprint_of(self, info: ObjectInfo) -> str | None:
        """Return the fingerprint of a local object that has not been written to since."""
        return self._stamped.get((info.key, info.stamp)) if info.stamp else None

    def indexes(self, object_fingerprints: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Return the shards of those of these objects that have been read whole."""
        select = self._fingerprints["select"]

        def look_up(each: str) -> tuple[str, ...] | None:
            index = self._ledger.index_of(index_key(select, each))
            return index.shards if index else None

        unknown = [each for each in object_fingerprints if each not in self._indexes]
        for each, shards in zip(unknown, read_at_once(look_up, unknown), strict=True):
            if shards is not None:
                self._indexes[each] = shards
                self._more = True
        return {each: self._indexes[each] for each in object_fingerprints if each in self._indexes}

    # ------------------------------------------------------------------ shards

    def add(self, commits: Iterable[Commit]) -> None:
        """Take in what receipts brought."""
        for commit in commits:
            known = self._known(commit.stage)
            if commit.shard not in known:
                known.add(commit.shard)
                self._receive(commit)

    def of(self, stage: str, shards: Sequence[str]) -> set[str]:
        """Return those of these shards that are committed in a stage."""
        known = self._known(stage)
        unknown = [shard for shard in shards if shard not in known]
        if len(unknown) > FEW:
            keys = self._ledger.committed(stage)
            known.update(shard for shard in unknown if self._key(stage, shard) in keys)
        else:
            self.add(self._read(stage, unknown))
        return known.intersection(shards)

    def table(self, stage: str, shards: Sequence[str]) -> pa.Table:
        """Return the commits of those of these shards that have one, in this order, as COMMITS."""
        unread = self.of(stage, shards).difference(self._rows(stage)["shard"].to_pylist())
        for commit in self._read(stage, sorted(unread)):
            self._receive(commit)
        rows = self._rows(stage)
        places = pc.index_in(pa.array(shards, pa.string()), rows["shard"])
        return rows.take(places.drop_null())

    def doubt(self, shards: AbstractSet[str]) -> None:
        """Forget what is known of these shards, and of the objects that they belong to."""
        gone = pa.array(sorted(shards), pa.string())
        for stage, known in self._shards.items():
            known -= shards
            rows = self._rows(stage)
            self._recalled[stage] = rows.filter(pc.invert(pc.is_in(rows["shard"], gone)))
        self._indexes = {
            content: names for content, names in self._indexes.items() if shards.isdisjoint(names)
        }
        self._more = True

    def _read(self, stage: str, shards: Sequence[str]) -> Iterable[Commit]:
        keys = [self._key(stage, shard) for shard in shards]
        found = read_at_once(lambda key: self._ledger.commit_of(stage, key), keys)
        return (commit for commit in found if commit is not None)

    def _key(self, stage: str, shard: str) -> str:
        return stage_key(stage, self._fingerprints[stage], shard)

    def _receive(self, commit: Commit) -> None:
        held = self._received.setdefault(commit.stage, [])
        held.append(commit)
        if len(held) >= BATCH_ROWS:
            self._make_rows(commit.stage)
        self._more = True

    def _make_rows(self, stage: str) -> None:
        if held := self._received.pop(stage, []):
            self._recent.setdefault(stage, []).append(parquet(commits_table(held)))

    def _rows(self, stage: str) -> pa.Table:
        """Return all records of a stage that have been read, in no order."""
        if stage not in self._recalled:
            self._recalled[stage] = self._recall(stage, None)
        self._make_rows(stage)
        tables = [self._recalled[stage], *map(decode, self._recent.pop(stage, []))]
        self._recalled[stage] = pa.concat_tables(tables).combine_chunks()
        return self._recalled[stage]

    def _known(self, stage: str) -> set[str]:
        if stage not in self._shards:
            self._shards[stage] = set(self._recall(stage, ["shard"])["shard"].to_pylist())
        return self._shards[stage]

    # ------------------------------------------------------------------ the checkpoint

    def remember(
        self,
        name: str,
        objects: Iterable[tuple[ObjectInfo, str]],
        shards: Sequence[str],
        listed_at: float,
    ) -> None:
        """Put a checkpoint of these objects (with their fingerprints) and shards.

        Nothing is put where the newest one holds as much. `listed_at` is in seconds since the
        epoch: what had been written just before may have been written again in the same tick.
        """
        rows = [
            {
                "url": info.key,
                "stamp": info.stamp if listed_at - info.modified > _FRESH_SECONDS else "",
                "fingerprint": fingerprint,
                "shards": self._indexes.get(fingerprint),
            }
            for info, fingerprint in objects
        ]
        stamped = {(row["url"], row["stamp"]) for row in rows if row["stamp"]}
        if not self._more and stamped <= self._stamped.keys():
            return
        if self._epoch is None or self._ledger.epochs.last() != self._epoch:
            return  # nobody may believe it
        tables = {stage: self.table(stage, shards) for stage in self._fingerprints}
        table = pa.Table.from_pylist(rows, schema=OBJECTS)
        write(self._ledger, name, self._epoch, self._fingerprints, tables, table)

    def _recall(self, stage: str, columns: list[str] | None) -> pa.Table:
        """Return the checkpoint's commits of a stage, if they are of this recipe."""
        schema = COMMITS if columns is None else pa.schema([COMMITS.field(c) for c in columns])
        found = self._checkpoint
        if found is None or found.fingerprints.get(stage) != self._fingerprints[stage]:
            return schema.empty_table()
        return self._recall_table(found.stages[stage], schema)

    def _recall_objects(self) -> None:
        if (found := self._checkpoint) is None:
            return
        same = found.fingerprints["select"] == self._fingerprints["select"]
        self._more = found.fingerprints != self._fingerprints
        for batch in self._recall_table(found.objects, OBJECTS).to_batches(BATCH_ROWS):
            for row in batch.to_pylist():
                if row["stamp"]:
                    self._stamped[row["url"], row["stamp"]] = row["fingerprint"]
                if same and row["shards"] is not None:
                    self._indexes[row["fingerprint"]] = tuple(row["shards"])

    def _recall_table(self, key: str, schema: pa.Schema) -> pa.Table:
        try:
            return read(self._ledger, key, schema.names)
        except KeyMissing:  # two newer ones have come since, and this one went
            self._checkpoint, self._more = None, True
            return schema.empty_table()
