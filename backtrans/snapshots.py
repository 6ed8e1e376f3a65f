"""What was published: immutable, numbered snapshots of the splits, each with its list of shards.

    snapshots/000001.json                          the record, put new: the first of a number wins
    splits/<name>/A5/part-00000.parquet          the rows; A4 holds A5's too, and `all` A4's
    splits/<name>/manifest.parquet               the curated shards that they come from

Promises: a record is put after everything that it names, so a reader who has one has a whole
snapshot, and keeps it when later ones come. A number is given once; the latest is the highest.

Does not know: how rows are curated or written (`stages.publish`), or what reads them.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass

import orjson
import pyarrow as pa
from pydantic import TypeAdapter

from backtrans.entries import decoded
from backtrans.errors import KeyMissing
from backtrans.ledger import Ledger
from backtrans.records import CHOSEN

SPLITS = ("A5", "A4")
ALL = "all"
"""The split that holds A4's rows too, and those of neither: where the recipe does not filter."""

PUBLISHED = pa.schema([f for f in CHOSEN if not f.name.startswith("reject_")])
"""The documented schema of a split (docs/splits.md). It is one, whatever the recipe: where it does
not rewrite, the columns of rewriting are null."""

MANIFEST = pa.schema(
    [
        ("shard", pa.string()),  # the shard's identity: content, never names
        ("object", pa.string()),  # the input object's URL when the shard was curated
        ("first_row", pa.int64()),
        ("part", pa.string()),  # the curated part: two snapshots that name it agree on its rows
        ("kept_rows", pa.int64()),
        ("taken_down", pa.list_(pa.string())),  # ids of kept rows that were left out: withdrawn
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
    takedown: int  # number of the last takedown that it honours; 0: there was none
    taken_down_rows: int
    run: str
    published_at: str  # UTC, ISO 8601

    @property
    def folder(self) -> str:
        """The folder that its files lie in, ending in "/"; equal snapshots may share one."""
        return self.manifest.rpartition("/")[0] + "/"

    @property
    def widest(self) -> str:
        """The split that holds every row: A4, or `all` where there is one."""
        return ALL if ALL in self.files else SPLITS[-1]


SNAPSHOT = TypeAdapter(Snapshot)


def snapshots(ledger: Ledger) -> list[Snapshot]:
    """Return every snapshot, the first one first. Raises: StoreError naming a bad record."""
    found = []
    for info in ledger.store.list("snapshots/"):
        with suppress(KeyMissing):  # it expired since it was listed
            found.append(_read(ledger, info.key))
    return found


def latest(ledger: Ledger) -> Snapshot | None:
    """Return the snapshot of the highest number, or None before the first."""
    keys = [info.key for info in ledger.store.list("snapshots/")]
    return _read(ledger, keys[-1]) if keys else None


def numbered(ledger: Ledger, number: int) -> Snapshot:
    """Return the snapshot of a number. Raises: KeyMissing naming those that there are."""
    try:
        return _read(ledger, _key(number))
    except KeyMissing as error:
        there = ", ".join(str(s.number) for s in snapshots(ledger)) or "none"
        raise KeyMissing(f"no snapshot {number}; there are: {there}") from error


def put(ledger: Ledger, snapshot: Snapshot) -> bool:
    """Put a snapshot's record; False where its number is taken."""
    record = orjson.dumps(asdict(snapshot), option=orjson.OPT_INDENT_2)
    return ledger.store.put_new(_key(snapshot.number), record)


def parts_named(ledger: Ledger, every: Iterable[Snapshot]) -> set[str]:
    """Return the curated parts that the manifests of these snapshots name."""
    return {part for each in every for part in read_manifest(ledger, each)["part"].to_pylist()}


def forget(ledger: Ledger, snapshot: Snapshot) -> None:
    """Remove a snapshot's record, before the files that it names. Never the latest's."""
    ledger.store.delete(_key(snapshot.number))


def manifest_table(curated: pa.Table, taken_down: Mapping[str, list[str]]) -> pa.Table:
    """Return the manifest of curated shards, given as checkpoint.COMMITS. Rows: N -> N.

    `taken_down`: the ids of kept rows that were left out, by shard.
    """
    ids = [taken_down.get(shard, []) for shard in curated["shard"].to_pylist()]
    named = curated.rename_columns({"kept": "kept_rows"})
    named = named.append_column(MANIFEST.field("taken_down"), pa.array(ids, pa.list_(pa.string())))
    return named.select(MANIFEST.names).cast(MANIFEST)


def read_manifest(ledger: Ledger, snapshot: Snapshot) -> pa.Table:
    """Return a snapshot's shards; columns as in MANIFEST. Raises: StoreError."""
    return ledger.read_rows(snapshot.manifest)


def read_split(ledger: Ledger, snapshot: Snapshot, split: str) -> Iterator[pa.Table]:
    """Yield a split's rows file by file, columns as in PUBLISHED. Raises: StoreError."""
    for key in snapshot.files[split]:
        yield published_columns(ledger.read_rows(key))


def published_columns(rows: pa.Table) -> pa.Table:
    """Return rows with the columns of PUBLISHED; those that they lack are null. Rows: N -> N.

    Curated parts lack those of rewriting, and so do splits from before these were.
    """
    for field in PUBLISHED:
        if field.name not in rows.column_names:
            rows = rows.append_column(field, pa.nulls(rows.num_rows, field.type))
    return rows.select(PUBLISHED.names)


def _key(number: int) -> str:
    return f"snapshots/{number:06d}.json"


def _read(ledger: Ledger, key: str) -> Snapshot:
    return decoded(SNAPSHOT, key, ledger.store.get(key))
