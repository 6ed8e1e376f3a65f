"""Cut a snapshot's rows into data files whose bounds follow from the rows themselves.

A file ends where a row's id says so, not after a number of rows. So a row that comes, goes or
changes makes one new file and leaves its neighbours as they are: what a refresh has to write is
what changed. A file is known by the digest of its rows; two files of one digest hold the same.

Promises: rows in their order, each in exactly one file; the same rows give the same files, however
they arrive; memory is bounded by one file of each split and one table of the input.

Does not know: Delta, where files lie, which of them a table holds already.
"""

import hashlib
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from zlib import crc32

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from backtrans.snapshots import PUBLISHED, SPLITS
from backtrans.thresholds import REST

STORED = pa.schema(
    [
        # Delta has no lists of fixed length, and readers take the files at the table's word.
        (f.name, pa.list_(f.type.value_type) if pa.types.is_fixed_size_list(f.type) else f.type)
        for f in PUBLISHED
        if f.name != "split"
    ]
)
"""The columns of a data file: in Delta a partition's column stands in the log, not in the files."""

_DIGEST_DIGITS = 32
"""128 bits: no two files of any table share a digest by chance."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Where files end: before a row whose id says so, one in `every_rows`, and within two bounds.

    Source of the defaults: this project's choice. Rows of 3 kB of text give files of about 30 MB
    before compression: few requests for a reader, and little to write anew for one changed row.
    """

    every_rows: int = 8192
    least_bytes: int = 8 * 2**20  # of text; a file that could end earlier goes on
    most_bytes: int = 64 * 2**20


@dataclass(frozen=True, slots=True)
class DataFile:
    """The rows of one file of a partition, and what they are known by."""

    split: str
    digest: str
    rows: pa.Table  # columns as in STORED

    def encoded(self) -> bytes:
        """Return the file's bytes."""
        sink = io.BytesIO()
        pq.write_table(self.rows, sink, compression="zstd")
        return sink.getvalue()

    def statistics(self) -> dict[str, object]:
        """Return what the table's log may say of the rows: their number and the scores' bounds.

        Nothing else: bounds of a text column would be pieces of documents.
        """
        bounds = pc.min_max(self.rows["score"]).as_py()
        return {
            "numRecords": self.rows.num_rows,
            "minValues": {"score": bounds["min"]},
            "maxValues": {"score": bounds["max"]},
            "nullCount": {"score": self.rows["score"].null_count},
        }


def data_files(tables: Iterable[pa.Table], cut: Cut) -> Iterator[DataFile]:
    """Cut the rows of a snapshot, by their best split, into files. Rows: N -> N."""
    partitions = {split: _Partition(split, cut) for split in (*SPLITS, REST)}
    for table in tables:
        for split, partition in partitions.items():
            yield from partition.add(table.filter(pc.equal(table["split"], split)))
    for partition in partitions.values():
        yield from partition.rest()


class _Partition:
    """The rows of one split that are not in a file yet."""

    def __init__(self, split: str, cut: Cut) -> None:
        self._split = split
        self._cut = cut
        self._held: list[pa.Table] = []
        self._held_bytes = 0

    def add(self, rows: pa.Table) -> Iterator[DataFile]:
        start = 0
        names = rows["id"].to_pylist()
        for row, (name, size_bytes) in enumerate(zip(names, _text_bytes(rows), strict=True)):
            if self._ends_before(name, size_bytes):
                self._held.append(rows.slice(start, row - start))
                yield from self.rest()
                start = row
            self._held_bytes += size_bytes
        self._held.append(rows.slice(start))

    def rest(self) -> Iterator[DataFile]:
        held = [table.select(STORED.names).cast(STORED) for table in self._held]
        rows = pa.concat_tables([STORED.empty_table(), *held])
        self._held, self._held_bytes = [], 0
        if rows.num_rows:
            rows = rows.combine_chunks()
            yield DataFile(self._split, _digest(rows), rows)

    def _ends_before(self, name: str, size_bytes: int) -> bool:
        cut = self._cut
        if self._held_bytes + size_bytes > cut.most_bytes:
            return self._held_bytes > 0
        return self._held_bytes >= cut.least_bytes and crc32(name.encode()) % cut.every_rows == 0


def _text_bytes(rows: pa.Table) -> list[int]:
    """Return each row's bytes of text, which is nearly all that it has."""
    sizes = pa.chunked_array([pa.array([0] * rows.num_rows, pa.int64())])
    for field in rows.schema:
        if pa.types.is_string(field.type):
            lengths = pc.fill_null(pc.binary_length(rows[field.name]), 0)
            sizes = pc.add(sizes, pc.cast(lengths, pa.int64()))
    found: list[int] = sizes.to_pylist()
    return found


def _digest(rows: pa.Table) -> str:
    # Parquet, since Arrow's buffers hold arbitrary bytes where a value is null.
    sink = io.BytesIO()
    pq.write_table(rows, sink, compression="none", use_dictionary=False, write_statistics=False)
    return hashlib.sha256(sink.getbuffer()).hexdigest()[:_DIGEST_DIGITS]
