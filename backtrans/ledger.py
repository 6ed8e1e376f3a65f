"""What is committed: parts, and the commit records that point at them.

The layout under the root:

    parts/<stage>/<key>-<attempt>.parquet     immutable; the attempt makes the name its own
    commits/<stage>/<key>.json                put_new: the first commit of a key wins
    indexes/<key>.json                        the shards that one input object was cut into
    replaced/<stage>/<key>.json               a commit that was replaced, at least once

Promises (DESIGN laws 1 to 3, 5): a part is committed only when its rows are accounted for; readers
go by commits, never by listings of parts; a late attempt leaves an orphan that nothing reads and
`sweep` removes; a key is content and recipe, so an unchanged shard is found committed and a changed
one is not. What is committed stays so, but for `retract` and `replace`, which a run does on demand
and between two epochs; a commit names the parts that it was made from, so that one made from a part
that has been replaced since is told from one that holds.

Does not know: Ray, engines, what a stage does, the configuration; how long what was known of
commits holds (`epochs`); what becomes of runs (`journal`).
"""

import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from backtrans.entries import (
    COMMIT,
    INDEX,
    Commit,
    Index,
    Usage,
    check_accounts,
    checked_name,
    decoded,
    encoded,
    fingerprint,
    index_key,
    stage_key,
)
from backtrans.epochs import CHANGING, Epochs
from backtrans.errors import KeyMissing, PartUnreadable, StoreError
from backtrans.meter import ATTEMPT
from backtrans.places import names, place, read_at_once
from backtrans.records import Counts, parquet
from backtrans.store import ObjectInfo, Store, is_temporary

__all__ = [
    "Commit",
    "Index",
    "Ledger",
    "Usage",
    "fingerprint",
    "index_key",
    "stage_key",
]


class Ledger:
    """The record of what is done, over one store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.epochs = Epochs(store)

    def committed(self, stage: str) -> set[str]:
        """Return the keys committed in a stage, by one listing."""
        return set(names(self.store, place("commits", stage) + "/"))

    def commit_of(self, stage: str, key: str) -> Commit | None:
        """Return a key's commit, or None. Raises: StoreError for a record that is not that."""
        try:
            return self._commit(_commit_key(stage, key))
        except KeyMissing:
            return None

    def commits(self, stage: str) -> Iterator[Commit]:
        """Yield a stage's commits, sorted by key."""
        keys = [_commit_key(stage, key) for key in sorted(self.committed(stage))]
        return read_at_once(self._commit, keys)

    def commit(self, record: Commit, part: pa.Table) -> bool:
        """Check the accounts, put the part, then put the commit; say whether this attempt won.

        The part's key in `record` is made by `part_key`, and no other attempt may have used it. A
        key that is already committed costs one look and leaves no part. Raises: AccountingError
        when rows_in != kept + rejected or the part's rows differ from that.
        """
        key = _commit_key(record.stage, record.key)
        if record.part != self.part_key(record.stage, record.key, record.attempt):
            raise StoreError(f"{key}: {record.part!r} is not the name of this attempt's part")
        check_accounts(record, part)
        if self.store.exists(key):
            return False
        if not self.store.put_new(record.part, parquet(part)):
            raise StoreError(f"{record.part}: another attempt has used this name")
        return self.store.put_new(key, encoded(record))

    def settle(
        self,
        stage: str,
        key: str,
        *,
        shard: str,
        object_url: str,
        first_row: int,
        rows_in: int,
        part: pa.Table,
        usage: Usage,
        run: str,
        reads: tuple[str, ...] = (),
    ) -> tuple[Commit, bool]:
        """Commit a part under an attempt of its own; return the key's commit, and if this is it.

        `rows_in` is what the stage counted on its way in; `reads` names the parts that it
        made the rows from. Raises: AccountingError, StoreError.
        """
        attempt = uuid4().hex
        record = Commit(
            stage=stage,
            key=key,
            shard=shard,
            object=object_url,
            first_row=first_row,
            part=self.part_key(stage, key, attempt),
            counts=Counts.of(rows_in, part),
            usage=replace(usage, attempts=ATTEMPT.get()),
            run=run,
            attempt=attempt,
            committed_at=_now(),
            reads=reads,
        )
        if self.commit(record, part):
            return record, True
        if (winner := self.commit_of(stage, key)) is None:
            raise StoreError(f"{stage}/{key}: lost the commit, and yet there is none")
        return winner, False

    def replace(
        self,
        old: Commit,
        *,
        rows_in: int,
        part: pa.Table,
        usage: Usage,
        run: str,
        reads: tuple[str, ...] | None = None,
    ) -> Commit:
        """Put a part in the place of a committed one, which becomes an orphan; return the commit.

        Whoever calls has retracted what was made from the old part, in an epoch begun before. The
        order is: the mark that there is something to check, the part, the commit. What costs were
        known are added up; `reads` names the parts that it is made from now, if others.
        Raises: AccountingError, StoreError.
        """
        attempt = uuid4().hex
        record = replace(
            old,
            part=self.part_key(old.stage, old.key, attempt),
            counts=Counts.of(rows_in, part),
            usage=old.usage + replace(usage, attempts=ATTEMPT.get()),
            run=run,
            attempt=attempt,
            committed_at=_now(),
            reads=old.reads if reads is None else reads,
        )
        check_accounts(record, part)
        self.store.put(place("replaced", old.stage, old.key) + ".json", b"{}")
        if not self.store.put_new(record.part, parquet(part)):
            raise StoreError(f"{record.part}: another attempt has used this name")
        self.store.put(_commit_key(old.stage, old.key), encoded(record))
        return record

    def replaced(self, stage: str) -> set[str]:
        """Return the keys of a stage whose commits were ever replaced, or were about to be."""
        return set(names(self.store, place("replaced", stage) + "/"))

    def retract(self, stage: str, key: str) -> None:
        """Take a commit back, in an epoch begun before: its part becomes an orphan."""
        self.store.delete(_commit_key(stage, key))

    @staticmethod
    def part_key(stage: str, key: str, attempt: str) -> str:
        """Return the name of a part of one attempt."""
        return f"{place('parts', stage, key)}-{checked_name(attempt)}.parquet"

    def read_part(self, commit: Commit, columns: list[str] | None = None) -> pa.Table:
        """Return a committed part's rows. Raises: StoreError naming the part."""
        part = self.read_rows(commit.part, columns)
        if part.num_rows != commit.counts.rows_in:
            wrong = f"{part.num_rows:,} rows, and its commit says {commit.counts.rows_in:,}"
            raise StoreError(f"{commit.part}: {wrong}")
        return part

    def read_rows(self, key: str, columns: list[str] | None = None) -> pa.Table:
        """Return the rows of a part of which only the key is known. Raises: StoreError."""
        data = self.store.get(key)
        try:
            file = pq.ParquetFile(io.BytesIO(data))
            unknown = set(columns or ()) - set(file.schema_arrow.names)
            if unknown:
                raise StoreError(f"{key}: has no columns {sorted(unknown)}")
            # One thread: a thread of Arrow's that lets go of a Python object while the interpreter
            # ends, aborts the process, after all its work is done.
            return file.read(columns=columns, use_threads=False)
        except (pa.ArrowException, OSError) as error:
            raise PartUnreadable(f"{key}: not a readable part: {error}") from error

    def index_of(self, key: str) -> Index | None:
        """Return an object's index, or None where it has not been read whole."""
        where = place("indexes", key) + ".json"
        try:
            index = decoded(INDEX, where, self.store.get(where))
        except KeyMissing:
            return None
        if index.key != key:
            raise StoreError(f"{where}: the index of {index.key!r}, under another's name")
        return index

    def put_index(self, index: Index) -> bool:
        """Record that an object has been read whole; the first one wins."""
        return self.store.put_new(place("indexes", index.key) + ".json", encoded(index))

    def indexes(self) -> Iterator[Index]:
        """Yield the indexes of all objects, of every recipe."""

        def read(key: str) -> Index:
            return decoded(INDEX, key, self.store.get(key))

        yield from read_at_once(read, [info.key for info in self.store.list("indexes/")])

    def forget_index(self, key: str) -> None:
        """Have an object read whole again; the shards that it has committed stay so."""
        self.store.delete(place("indexes", key) + ".json")

    def orphans(self, older_than_seconds: float, now: float) -> list[str]:
        """Return the keys of parts that no commit points at and that are older than that.

        Also temporary leftovers. A part that a commit names is never among them: commits are read
        after the parts are listed, so a part committed in between is seen as committed. `now` is
        seconds since the epoch; choose an age far above what lies between a part and its commit
        (moments), plus the difference of this clock and the store's.
        """

        def is_old(info: ObjectInfo) -> bool:
            return info.modified < now - older_than_seconds

        parts = [info.key for info in self.store.list("parts/") if is_old(info)]
        leftovers = [info.key for info in self.store.leftovers() if is_old(info)]
        marks = [info.key for info in self.store.list(CHANGING) if is_old(info)]
        return sorted({*parts, *leftovers, *marks} - self._named_by_commits(parts))

    def sweep(self, keys: list[str]) -> None:
        """Delete orphans; a part that has been committed since it was listed stays.

        Raises: StoreError for a key that is neither a part nor a leftover; then none is deleted.
        """
        for key in keys:
            if not (key.startswith(("parts/", CHANGING)) or is_temporary(key)):
                raise StoreError(f"{key}: neither a part nor a leftover, so no orphan")
        named = self._named_by_commits(keys)
        for key in keys:
            if key not in named:
                self.store.delete(key)

    def _named_by_commits(self, parts: list[str]) -> set[str]:
        """Return the parts that commits point at, in the stages that these parts belong to."""
        stages = {part.split("/")[1] for part in parts if part.startswith("parts/")}
        return {commit.part for stage in stages for commit in self.commits(stage)}

    def _commit(self, key: str) -> Commit:
        commit = decoded(COMMIT, key, self.store.get(key))
        if _commit_key(commit.stage, commit.key) != key:
            raise StoreError(f"{key}: the commit of {commit.stage}/{commit.key}, under this name")
        return commit


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _commit_key(stage: str, key: str) -> str:
    return place("commits", stage, key) + ".json"
