"""Snapshots and lake tables for tests, made without a run."""

import hashlib
import io
from typing import Any

import deltalake
import pyarrow as pa
import pyarrow.parquet as pq

from backtrans import snapshots
from backtrans.lake.table import storage_options
from backtrans.ledger import Ledger
from backtrans.snapshots import PUBLISHED, SPLITS, Snapshot
from backtrans.store import StoreSettings

SECRET = "a-sentence-of-the-document"
"""Stands in every text of a row that comes from documents or models."""


def row(number: int, *, score: float | None = None, word: str = "") -> dict[str, Any]:
    """Make a published row; every second one is in A5."""
    name = hashlib.sha256(str(number).encode()).hexdigest()[:16]
    score = (4.2 if number % 2 else 4.7) if score is None else score
    text = f"{SECRET} {word}{number}"
    texts = ("instruction", "response", "reasoning", "url", "source", "metadata", "document_id")
    return {
        **dict.fromkeys(PUBLISHED.names),
        **dict.fromkeys(texts, text),
        "id": f"{name}-{number:06d}",
        "split": "A5" if score >= 4.5 else "A4",
        "score": score,
        "digit": 4,
        "distribution": [0.0, 0.0, 0.0, 0.5, 0.5],
        "row": number,
    }


def snapshot(ledger: Ledger, number: int, rows: list[dict[str, Any]]) -> Snapshot:
    """Put a snapshot of these rows, two files a split."""
    files: dict[str, list[str]] = {}
    counts: dict[str, int] = {}
    for split in SPLITS:
        wanted = [r for r in rows if split == "A4" or r["split"] == "A5"]
        files[split] = []
        counts[split] = len(wanted)
        for part, some in enumerate((wanted[: len(wanted) // 2], wanted[len(wanted) // 2 :])):
            sink = io.BytesIO()
            pq.write_table(pa.Table.from_pylist(some, schema=PUBLISHED), sink)
            files[split].append(f"splits/{number}/{split}/part-{part:05d}.parquet")
            ledger.store.put(files[split][-1], sink.getvalue())
    made = Snapshot(
        number=number,
        digest=f"digest-{number}",
        rows=counts,
        files=files,
        manifest="none",
        shards=1,
        fingerprints={},
        takedown=0,
        taken_down_rows=0,
        run="run",
        published_at="2026-11-21T00:00:00+00:00",
    )
    assert snapshots.put(ledger, made)
    return made


def opened(settings: StoreSettings) -> deltalake.DeltaTable:
    """Open a table as any program would that knows where it lies."""
    return deltalake.DeltaTable(settings.root, storage_options=storage_options(settings))


def rows_of(settings: StoreSettings) -> list[dict[str, Any]]:
    """Return a table's rows, sorted by id."""
    found = pa.table(opened(settings).scan().read_all()).to_pylist()
    return sorted(found, key=lambda r: str(r["id"]))
