"""How segments lie in buckets: by the upper bits of their hashes, as tables and as arrays.

Promises: a schema is explicit; each hash lies in one bucket, beside the id and the sketch of its
segment, which are there once however many of its hashes are; segments stay in their order.

Does not know: generations, where the objects lie, what is alike.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pyarrow as pa

from backtrans.corpus.duplicates import Entries, Places
from backtrans.corpus.similarity import SKETCH_BYTES
from backtrans.records import parquet

ENTRIES = pa.schema(
    [
        ("id", pa.string()),
        ("sketch", pa.binary(SKETCH_BYTES)),
        ("hashes", pa.list_(pa.uint64())),  # those that fall into this bucket
    ]
)
"""The segments of a batch that have a hash in a bucket, sorted by id."""

VERDICTS = pa.schema(
    [
        ("id", pa.string()),
        ("same", pa.bool_()),  # the same words; else alike
        ("generation", pa.int64()),  # of the earlier one
        ("like", pa.string()),  # its id
        ("agreeing", pa.int64()),  # bytes of their sketches
    ]
)
"""The segments of a span that are copies of earlier ones, as far as one bucket tells."""

SEGMENTS = pa.schema([("id", pa.string())])
"""The segments of a batch: what the index has of it."""


def cut(ids: pa.Array, entries: Entries, bits: int) -> Iterator[pa.Table]:
    """Yield the ENTRIES of each bucket; the entries' segments come in order."""
    hashes = entries.hashes
    bucket = hashes >> np.uint64(64 - bits) if bits else np.zeros(len(hashes), np.uint64)
    order = np.argsort(bucket, kind="stable")
    bounds = np.searchsorted(bucket[order], np.arange((1 << bits) + 1, dtype=np.uint64))
    for low, high in pairwise(bounds):
        places = order[low:high]
        segment, counts = np.unique(entries.segment[places], return_counts=True)
        offsets = np.concatenate(([0], np.cumsum(counts))).astype(np.int32)
        held = np.ascontiguousarray(entries.bytes[segment])
        yield pa.table(
            [
                ids.take(pa.array(segment)),
                pa.Array.from_buffers(
                    pa.binary(SKETCH_BYTES), len(held), [None, pa.py_buffer(held)]
                ),
                pa.ListArray.from_arrays(pa.array(offsets), pa.array(hashes[places])),
            ],
            schema=ENTRIES,
        )


def encoded(entries: pa.Table) -> bytes:
    """Encode ENTRIES."""
    return parquet(entries, plain=("sketch", "hashes"))


def entries_of(table: pa.Table) -> Entries:
    """Return ENTRIES as arrays."""
    sketches = table["sketch"].combine_chunks()
    lists = table["hashes"].combine_chunks()
    if table.num_rows == 0:
        none: Places = np.zeros(0, np.int64)
        return Entries(np.zeros((0, SKETCH_BYTES), np.uint8), np.zeros(0, np.uint64), none)
    whole = np.frombuffer(sketches.buffers()[1], np.uint8).reshape(-1, SKETCH_BYTES)
    offsets = lists.offsets.to_numpy()
    hashes = lists.values.to_numpy()[offsets[0] : offsets[-1]]
    segment = np.repeat(np.arange(table.num_rows), np.diff(offsets))
    return Entries(whole[sketches.offset : sketches.offset + len(sketches)], hashes, segment)
