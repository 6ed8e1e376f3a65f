"""The world as files: Dolma-format shards for the pipeline, and the truth beside them.

Promises: the truth is not under the corpus' glob (`corpus/*.jsonl.gz`), and nothing in a shard
tells it; the same world and count give the same lines everywhere and, with one zlib, the same
bytes; a longer corpus begins with the same full shards as a shorter one.

Does not know the pipeline.
"""

import gzip
import io
import json
from dataclasses import asdict
from pathlib import Path

from backtrans.microworld.world import World, WorldDocument

SOURCE = "backtrans-microworld"
DAY = "2026-01-01T00:00:00.000Z"
"""The world has no clock; Dolma's format asks for one."""
ROWS_PER_SHARD = 250
CORPUS_GLOB = "corpus/*.jsonl.gz"
TRUTH_NAME = "truth.jsonl"


def write_corpus(
    world: World,
    folder: Path,
    count: int,
    *,
    rows_per_shard: int = ROWS_PER_SHARD,
    good_share: float = 0.33,
    fresh_names_share: float = 0.25,
) -> list[WorldDocument]:
    """Write held-out pages and their truth; return the pages. Rows: count."""
    documents = world.documents(count, good_share=good_share, fresh_names_share=fresh_names_share)
    (folder / "corpus").mkdir(parents=True, exist_ok=True)
    for shard, start in enumerate(range(0, count, rows_per_shard)):
        lines = "".join(map(_dolma_line, documents[start : start + rows_per_shard]))
        path = folder / "corpus" / f"pages-{shard:05d}.jsonl.gz"
        path.write_bytes(_gzip(lines.encode()))
    shards = -(-count // rows_per_shard)
    for left in sorted((folder / "corpus").glob("pages-*.jsonl.gz"))[shards:]:
        left.unlink()  # of a larger corpus that lay here: its truth is not in the new one's
    truth = "".join(json.dumps(asdict(document)) + "\n" for document in documents)
    (folder / TRUTH_NAME).write_text(truth, encoding="utf-8")
    return documents


def read_truth(path: Path) -> list[WorldDocument]:
    """Read the truth back."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [WorldDocument(**{**row, "noises": tuple(row["noises"])}) for row in rows]


def _dolma_line(document: WorldDocument) -> str:
    row = {
        "id": document.id,
        "text": document.text,
        "source": SOURCE,
        "added": DAY,
        "created": DAY,
        "metadata": {"url": f"https://{document.id}.example/"},
    }
    return json.dumps(row) + "\n"


def _gzip(data: bytes) -> bytes:
    buffer = io.BytesIO()
    # No name and no time in the header, or the same rows would be other bytes.
    with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=buffer, mtime=0) as file:
        file.write(data)
    return buffer.getvalue()
