"""What a run has seen committed, in a few objects: so that the next plan need not look at each.

    checkpoints/<name>.json                 the record, put last: epoch, fingerprints, what it names
    checkpoints/<name>/<stage>.parquet      the commits of a stage, a row each
    checkpoints/<name>/objects.parquet      the input objects: stamp, fingerprint, shards

Promises: a checkpoint is a cache of records that never change while the ledger's epoch lasts. What
is in it was committed; what is not in it may be committed all the same, and must be looked up. One
of an earlier epoch is not read. Deleting all of `checkpoints/` costs time and nothing else.

Does not know: which shards a plan is about.
"""

import io
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter

from backtrans.entries import decoded, encoded
from backtrans.errors import KeyMissing, StoreError
from backtrans.ledger import Commit, Ledger, Usage
from backtrans.records import Counts, parquet

_USAGE = [f.name for f in fields(Usage)]

COMMITS = pa.schema(
    [
        ("stage", pa.string()),
        ("key", pa.string()),
        ("shard", pa.string()),
        ("object", pa.string()),
        ("first_row", pa.int64()),
        ("part", pa.string()),
        ("rows_in", pa.int64()),
        ("kept", pa.int64()),
        ("rejects", pa.map_(pa.string(), pa.int64())),
        *((name, pa.float64() if name in ("seconds", "money") else pa.int64()) for name in _USAGE),
        ("run", pa.string()),
        ("attempt", pa.string()),
        ("committed_at", pa.string()),
    ]
)
"""Commit records as rows: the same fields, counts and usage spread out."""

OBJECTS = pa.schema(
    [
        ("url", pa.string()),
        ("stamp", pa.string()),  # what a listing says of one version of the object
        ("fingerprint", pa.string()),
        ("shards", pa.list_(pa.string())),  # identities in row order; null where not read whole
    ]
)
"""The input objects of a corpus, one a URL."""

BATCH_ROWS = 1000
"""Commits that exist as Python objects at once, where a table of them is made or read."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The record of one checkpoint."""

    name: str
    epoch: int
    fingerprints: dict[str, str]  # of each stage's part of the recipe
    stages: dict[str, str]  # stage -> key of its commits' table
    objects: str  # key of the objects' table


CHECKPOINT = TypeAdapter(Checkpoint)


def newest(ledger: Ledger, epoch: int) -> Checkpoint | None:
    """Return the newest checkpoint of an epoch, or None."""
    for key in sorted(_records(ledger), reverse=True):
        try:
            found = decoded(CHECKPOINT, key, ledger.store.get(key))
        except KeyMissing:  # a newer run has replaced it since
            continue
        if found.epoch == epoch:
            return found
    return None


def write(
    ledger: Ledger,
    name: str,
    epoch: int,
    fingerprints: dict[str, str],
    commits: dict[str, pa.Table],
    objects: pa.Table,
) -> Checkpoint:
    """Put a checkpoint, then remove those that came before the last one.

    The last one stays, since a plan elsewhere may be reading it.
    """
    folder = f"checkpoints/{name}"
    record = Checkpoint(
        name,
        epoch,
        fingerprints,
        {stage: f"{folder}/{stage}.parquet" for stage in commits},
        f"{folder}/objects.parquet",
    )
    for stage, table in commits.items():
        ledger.store.put(record.stages[stage], parquet(table))
    ledger.store.put(record.objects, parquet(objects))
    ledger.store.put(f"{folder}.json", encoded(record))
    for key in sorted(_records(ledger))[:-2]:
        ledger.store.delete(key)
        for info in list(ledger.store.list(key.removesuffix(".json") + "/")):
            ledger.store.delete(info.key)
    return record


def read(ledger: Ledger, key: str, columns: list[str] | None = None) -> pa.Table:
    """Return a table of a checkpoint. Raises: KeyMissing, StoreError."""
    data = ledger.store.get(key)
    try:
        table = decode(data, columns)
    except (pa.ArrowException, OSError) as error:
        raise StoreError(f"{key}: not a checkpoint (delete checkpoints/): {error}") from error
    for name in ("money", "attempts"):
        if columns and name in columns and name not in table.column_names:
            # One of before there were prices, or counts of attempts: what it names has none.
            field = COMMITS.field(name)
            table = table.append_column(field, pa.array([0] * table.num_rows, field.type))
    return table.select(columns) if columns else table


def decode(data: bytes, columns: list[str] | None = None) -> pa.Table:
    """Return the table that a Parquet file's bytes hold. Raises: pyarrow's errors, OSError."""
    # One thread, as in Ledger.read_rows.
    return pq.ParquetFile(io.BytesIO(data)).read(columns=columns, use_threads=False)


def commits_table(commits: Iterable[Commit]) -> pa.Table:
    """Return commits as a table of COMMITS. Rows: one a commit, in their order."""
    left = iter(commits)
    tables = []
    while held := list(islice(left, BATCH_ROWS)):
        tables.append(pa.Table.from_pylist([_row(commit) for commit in held], schema=COMMITS))
    return pa.concat_tables([COMMITS.empty_table(), *tables])


def commits_in(table: pa.Table) -> Iterator[Commit]:
    """Yield the commits of a table of COMMITS, few at a time in memory."""
    for batch in table.to_batches(max_chunksize=BATCH_ROWS):
        for row in batch.to_pylist():
            counts = Counts(row.pop("rows_in"), row.pop("kept"), dict(row.pop("rejects")))
            usage = Usage(**{name: row.pop(name) for name in _USAGE})
            yield Commit(**row, counts=counts, usage=usage)


def _row(commit: Commit) -> dict[str, Any]:
    row: dict[str, Any] = asdict(commit)
    counts = row.pop("counts")
    usage = row.pop("usage")
    return {**row, **usage, **counts, "rejects": list(counts["rejects"].items())}


def _records(ledger: Ledger) -> list[str]:
    keys = (info.key for info in ledger.store.list("checkpoints/"))
    return [key for key in keys if key.count("/") == 1]
