"""What was published: immutable, numbered snapshots of the splits, each with its list of shards.

    snapshots/000001.json                          the record, put new: the first of a number wins
    splits/<digest>/A5/part-00000.parquet          the rows; A4 holds A5's too
    splits/<digest>/manifest.parquet               the curated shards that they come from

Promises: a record is put after everything that it names, so a reader who has one has a whole
snapshot, and keeps it when later ones come. A number is given once; the latest is the highest.

Does not know: how rows are curated or written (`stages.publish`), or what reads them.
"""

import io
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter

from backtrans.entries import decoded
from backtrans.errors import StoreError
from backtrans.ledger import Commit, Ledger
from backtrans.records import CURATED

SPLITS = ("A5", "A4")

PUBLISHED = pa.schema([f for f in CURATED if not f.name.startswith("reject_")])
"""The documented schema of a split (docs/splits.md)."""

MANIFEST = pa.schema(
    [
        ("shard", pa.string()),  # the shard's identity: content, never names
        ("object", pa.string()),  # the input object's URL when the shard was curated
        ("first_row", pa.int64()),
        ("part", pa.string()),  # the curated part: two snapshots that name it agree on its rows
        ("kept_rows", pa.int64()),
    ]
)
"""The shards of a snapshot, in the order in which their rows lie in the splits."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was published: keys of the files, and how many rows each split has."""

    number: int
    digest: str  # of the curated parts: equal digests hold equal rows
    rows: dict[str, int]
    files: dict[str, list[str]]
    manifest: str
    shards: int
    fingerprints: dict[str, str]  # of each stage's part of the recipe
    run: str
    published_at: str  # UTC, ISO 8601


SNAPSHOT = TypeAdapter(Snapshot)


def snapshots(ledger: Ledger) -> list[Snapshot]:
    """Return every snapshot, the first one first. Raises: StoreError naming a bad record."""
    return [_read(ledger, info.key) for info in ledger.store.list("snapshots/")]


def latest(ledger: Ledger) -> Snapshot | None:
    """Return the snapshot of the highest number, or None before the first."""
    keys = [info.key for info in ledger.store.list("snapshots/")]
    return _read(ledger, keys[-1]) if keys else None


def numbered(ledger: Ledger, number: int) -> Snapshot:
    """Return the snapshot of a number. Raises: StoreError."""
    return _read(ledger, _key(number))


def put(ledger: Ledger, snapshot: Snapshot) -> bool:
    """Put a snapshot's record; False where its number is taken."""
    record = orjson.dumps(asdict(snapshot), option=orjson.OPT_INDENT_2)
    return ledger.store.put_new(_key(snapshot.number), record)


def manifest_table(curated: Iterable[Commit]) -> pa.Table:
    """Return the manifest of these curated shards. Rows: one a commit."""
    rows = [
        {
            "shard": commit.shard,
            "object": commit.object,
            "first_row": commit.first_row,
            "part": commit.part,
            "kept_rows": commit.counts.kept,
        }
        for commit in curated
    ]
    return pa.Table.from_pylist(rows, schema=MANIFEST)


def read_manifest(ledger: Ledger, snapshot: Snapshot) -> pa.Table:
    """Return a snapshot's shards; columns as in MANIFEST. Raises: StoreError."""
    return _table(ledger, snapshot.manifest)


def read_split(ledger: Ledger, snapshot: Snapshot, split: str) -> Iterator[pa.Table]:
    """Yield a split's rows file by file, columns as in PUBLISHED. Raises: StoreError."""
    for key in snapshot.files[split]:
        yield _table(ledger, key)


def _key(number: int) -> str:
    return f"snapshots/{number:06d}.json"


def _read(ledger: Ledger, key: str) -> Snapshot:
    return decoded(SNAPSHOT, key, ledger.store.get(key))


def _table(ledger: Ledger, key: str) -> pa.Table:
    try:
        # One thread, as in Ledger.read_part.
        return pq.ParquetFile(io.BytesIO(ledger.store.get(key))).read(use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise StoreError(f"{key}: not a readable table: {error}") from error
