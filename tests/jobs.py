"""Small corpora and configurations for tests of the whole job, on the scripted engine."""

import gzip
import io
import json
import random
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

from backtrans.config import Config, load
from backtrans.pipeline import Pipeline
from backtrans.work import Receipt

SHARD_ROWS = 8

DEDUPLICATING = [(f"deduplicate.{step}", 1) for step in ("spread", "match", "gather")]
"""The phases of a small generation: one batch, one bucket, one span."""


class Silent:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.phases: list[tuple[str, int]] = []
        self.receipts: list[Receipt] = []

    def note(self, line: str) -> None:
        self.notes.append(line)

    def phase(self, name: str, addresses: int) -> None:
        self.phases.append((name, addresses))

    def receipt(self, receipt: Receipt) -> None:
        self.receipts.append(receipt)


def document(number: int, words: int = 130) -> dict[str, Any]:
    """Return a document of which no other is a copy."""
    drawn = random.Random(number).choices(range(997), k=words)
    return {
        "id": f"doc-{number}",
        "text": " ".join(f"word{word}" for word in drawn),
        "source": "test",
        "added": "2026-01-01",
        "created": "2026-01-01",
        "metadata": {"number": number},
    }


def write_jsonl(path: Path, documents: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = b"".join(json.dumps(d).encode() + b"\n" for d in documents)
    path.write_bytes(gzip.compress(lines, mtime=0))


def write_corpus(folder: Path, files: int = 2, each: int = 20) -> None:
    """Write files of documents; every tenth document is too short to be a response."""
    for number in range(files):
        documents = [
            document(k, words=3 if k % 10 == 9 else 130)
            for k in range(number * each, (number + 1) * each)
        ]
        write_jsonl(folder / "corpus" / f"part-{number}.jsonl.gz", documents)


def configuration(folder: Path, name: str = "run.yaml", **changes: Any) -> Path:
    """Write a configuration over `folder`; changes are dotted paths with __ for the dot."""
    raw: dict[str, Any] = {
        "recipe": {
            "corpus": {"paths": ["corpus/*"], "shard_rows": SHARD_ROWS},
            "select": {"min_chars": 100, "max_chars": 5000},
            "models": {
                role: {"path": "scripted:default", "engine": "scripted"}
                for role in ("backward", "forward")
            },
            "curate": {"a4": 2.5, "a5": 3.2},
        },
        "placement": {"root": "out", "runtime": "local", "max_attempts": 2},
    }
    for path, value in changes.items():
        *sections, last = path.split("__")
        at = raw
        for section in sections:
            at = at.setdefault(section, {})
        at[last] = value
    written = folder / name
    written.write_text(yaml.safe_dump(raw))
    return written


def config(folder: Path, **changes: Any) -> Config:
    return load(configuration(folder, **changes))


def published(pipeline: Pipeline, split: str = "A4") -> list[dict[str, Any]]:
    """Return the rows of the latest snapshot, without the run that made each."""
    rows: list[dict[str, Any]] = []
    status = pipeline.status()
    assert status.snapshot is not None
    for key in status.snapshot.files[split]:
        data = pipeline.ledger.store.get(key)
        rows += pq.ParquetFile(io.BytesIO(data)).read(use_threads=False).to_pylist()
    return [{k: v for k, v in row.items() if k != "run"} for row in rows]
