"""Gather what was curated into the splits A4 and A5, as plain Parquet that any reader opens.

A snapshot is immutable and numbered. Its files lie under a folder named by what they hold, and its
record is put last and put new: a reader who has a record has every file of it, and two publishers
at once publish one snapshot. The same curated shards make no second snapshot.

    splits/<digest>/A5/part-00000.parquet    (A4 holds A5's rows too)
    snapshots/000001.json

Does not know: models, rubrics, how many machines there were.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from io import BytesIO

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from backtrans.errors import StoreError
from backtrans.ledger import Commit, Ledger, fingerprint
from backtrans.records import CURATED

SPLITS = ("A5", "A4")
ROWS_PER_FILE = 50_000
"""At most 150 MB of responses of 3,000 characters: a file that loads in one go."""

PUBLISHED = pa.schema([f for f in CURATED if not f.name.startswith("reject_")])
"""The documented schema of a split (docs/splits.md)."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was published: relative keys of the files, and how many rows each split has."""

    number: int
    digest: str
    rows: dict[str, int]
    files: dict[str, list[str]]
    shards: int
    run: str
    published_at: str


def snapshots(ledger: Ledger) -> list[Snapshot]:
    """Return every snapshot, the first one first."""
    return [_read(ledger, info.key) for info in ledger.store.list("snapshots/")]


def publish(ledger: Ledger, curated: list[Commit], run: str, published_at: str) -> Snapshot:
    """Publish the kept rows of these commits, in their order; return the snapshot that holds them.

    Rows: kept rows of the commits -> the same rows in A4, those with split A5 in A5 too.
    """
    digest = fingerprint("snapshot", sorted(commit.part for commit in curated))
    existing = snapshots(ledger)
    if existing and existing[-1].digest == digest:
        return existing[-1]
    files: dict[str, list[str]] = {}
    rows: dict[str, int] = {}
    for split in SPLITS:
        files[split], rows[split] = _write(ledger, curated, split, f"splits/{digest}/{split}")
    number = existing[-1].number if existing else 0
    while True:
        number += 1
        made = Snapshot(number, digest, rows, files, len(curated), run, published_at)
        key = f"snapshots/{number:06d}.json"
        if ledger.store.put_new(key, orjson.dumps(asdict(made), option=orjson.OPT_INDENT_2)):
            return made
        if (theirs := _read(ledger, key)).digest == digest:
            return theirs


def _read(ledger: Ledger, key: str) -> Snapshot:
    try:
        return Snapshot(**orjson.loads(ledger.store.get(key)))
    except (orjson.JSONDecodeError, TypeError) as error:
        raise StoreError(f"{key}: not a snapshot record: {error}") from error


def _write(ledger: Ledger, curated: list[Commit], split: str, folder: str) -> tuple[list[str], int]:
    keys: list[str] = []
    written = 0
    for number, rows in enumerate(_gathered(ledger, curated, split)):
        key = f"{folder}/part-{number:05d}.parquet"
        encoded = BytesIO()
        pq.write_table(rows, encoded, compression="zstd")
        ledger.store.put(key, encoded.getvalue())
        keys.append(key)
        written += rows.num_rows
    return keys, written


def _gathered(ledger: Ledger, curated: list[Commit], split: str) -> Iterator[pa.Table]:
    """Yield tables of at most about ROWS_PER_FILE rows; one empty table where there are no rows.

    An empty split is still a file, so that its readers find columns and not an error.
    """
    held: list[pa.Table] = []
    count = yielded = 0
    for commit in curated:
        if commit.counts.kept == 0:
            continue
        part = ledger.read_part(commit).select([*PUBLISHED.names, "reject_reason"])
        wanted = pc.is_null(part["reject_reason"])
        if split == "A5":
            wanted = pc.and_kleene(wanted, pc.equal(part["split"], "A5"))
        held.append(part.filter(wanted).select(PUBLISHED.names))
        count += held[-1].num_rows
        if count >= ROWS_PER_FILE:
            yield pa.concat_tables(held)
            held, count, yielded = [], 0, yielded + 1
    if count or not yielded:
        yield pa.concat_tables([PUBLISHED.empty_table(), *held])
