"""How many rows carry a document id that another row carries too.

Rows have ids of their own, made of content and place, so a repeated document id harms nothing here;
but it may say that a corpus holds a document twice. Exact, but for ids whose 64-bit hashes are
equal: of 10^9 ids, about 0.03 by chance.

Promises: memory is bounded by one shard, and by the hashes of a 64th of the ids, eight bytes each;
the others wait in temporary files.

Does not know: where ids come from, or what is done about it.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

BUCKETS = 64
"""Files among which hashes are divided. Source: this project's choice: 10^9 ids take 125 MB."""


@dataclass(frozen=True, slots=True)
class Repeats:
    """What became of counting."""

    rows_without_id: int
    rows_with_id: int
    distinct_ids: int

    @property
    def repeating_rows(self) -> int:
        """How many rows carry an id that a row before them carries."""
        return self.rows_with_id - self.distinct_ids


def count_repeats(shards: Iterable[list[str | None]]) -> Repeats:
    """Count the document ids of all rows, given shard by shard."""
    rows = with_id = distinct = 0
    with TemporaryDirectory(prefix="backtrans-ids-") as folder:
        for ids in shards:
            rows += len(ids)
            known = [_hash(each) for each in ids if each is not None]
            with_id += len(known)
            hashes = np.array(known, dtype=np.uint64)
            for bucket in range(BUCKETS):
                if (mine := hashes[hashes % BUCKETS == bucket]).size:
                    with _file(folder, bucket).open("ab") as file:
                        file.write(mine.tobytes())
        for bucket in range(BUCKETS):
            if (path := _file(folder, bucket)).exists():
                distinct += np.unique(np.fromfile(path, dtype=np.uint64)).size
    return Repeats(rows - with_id, with_id, distinct)


def _file(folder: str, bucket: int) -> Path:
    return Path(folder) / str(bucket)


def _hash(document_id: str) -> int:
    text = document_id.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest())
