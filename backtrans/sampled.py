"""A sample of a corpus that has not been read: the first rows of some of its objects, selected from
in memory as `select` would.

Promises: commits nothing; the same corpus gives the same sample; objects are drawn evenly over the
sorted listing, so that a corpus that is sorted by its sources is drawn from each.

Does not know: what a sample is counted for. First rows stand for their object: where objects are
sorted within, they do not.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import BinaryIO, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from backtrans.corpus.document import Record, Unread
from backtrans.corpus.reader import ReaderSettings, documents, format_of
from backtrans.corpus.screening import Screen
from backtrans.errors import InputError, plain
from backtrans.evaluations import index
from backtrans.records import Reject, Row, is_kept
from backtrans.stages.select import SelectWork, select
from backtrans.store import ObjectInfo, StoreSettings, open_input

T = TypeVar("T")

MAX_OBJECTS = 16
"""Source: this project's choice: each costs an opening in the store."""

COUNTED_BYTES = 4 * 2**20
"""Of an object, as it lies in the store: so many tell how many documents its other bytes hold."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What was drawn. `documents` and `bytes_read` are of the same rows, `screened` the first of
    them, of which `kept` are the segments that select keeps.
    """

    objects: int = 0
    documents: int = 0
    bytes_read: int = 0
    screened: int = 0
    kept: list[Row] = field(default_factory=list)

    def documents_in(self, size_bytes: int) -> float:
        """Return how many documents so many bytes of objects hold."""
        return size_bytes * self.documents / self.bytes_read if self.bytes_read else 0.0

    @property
    def kept_a_document(self) -> float:
        """Segments that are kept, a document."""
        return len(self.kept) / self.screened if self.screened else 0.0


def spread_over(objects: Sequence[T], most: int) -> list[T]:
    """Return so many of some objects at most, evenly over their order."""
    if len(objects) <= most:
        return list(objects)
    return [objects[number * len(objects) // most] for number in range(most)]


def sample(work: SelectWork, objects: Sequence[ObjectInfo], rows: int) -> Sample:
    """Select from the first rows of some objects, `rows` in all. Raises: InputError.

    An object that cannot be read is left out, unless all are.
    """
    drawn = spread_over(objects, MAX_OBJECTS)
    screen = Screen(work.screen, index(work.evaluations))
    found: list[Sample] = []
    failed: InputError | None = None
    for info in drawn:
        try:
            found.append(_first_rows(work, info, screen, -(-rows // len(drawn))))
        except InputError as error:
            failed = error
    if failed is not None and not found:
        raise failed
    return Sample(
        len(found),
        sum(each.documents for each in found),
        sum(each.bytes_read for each in found),
        sum(each.screened for each in found),
        [row for each in found for row in each.kept],
    )


def first_fault(info: ObjectInfo, store: StoreSettings, reader: ReaderSettings) -> Reject | None:
    """Return why an object's first row is refused, None where it has a text or there is no row.

    Raises: InputError where the object cannot be read at all.
    """
    with closing(open_input(info.key, store)) as file:
        try:
            _, record = next(documents(file, info.key, reader), (0, None))
        except OSError as error:
            raise InputError(f"{info.key}: {plain(error)}") from error
    return record.reject if isinstance(record, Unread) else None


def _first_rows(work: SelectWork, info: ObjectInfo, screen: Screen, rows: int) -> Sample:
    with closing(open_input(info.key, work.input)) as file:
        in_all = _rows_of_parquet(file, info.key)
        file.seek(0)
        held: list[Record] = []
        counted, bytes_read = 0, info.size_bytes
        before = file.tell()
        for record in documents(file, info.key, work.reader):
            if (now := file.tell()) != before:
                # A reader takes more when it has given all that it had: so what came until now is
                # what those bytes held, but for a line that lies across their end.
                if in_all is None and before >= COUNTED_BYTES and len(held) == rows:
                    bytes_read = before
                    break
                before = now
            counted += 1
            if len(held) < rows:
                held.append(record)
            elif in_all is not None:
                break
        _, selected = select(held, "sample", info.key, screen, work.withdrawn)
        kept = [row for row in selected if is_kept(row)]
        return Sample(1, in_all or counted, bytes_read, len(held), kept)


def _rows_of_parquet(file: BinaryIO, name: str) -> int | None:
    """Return the rows that a Parquet file's footer tells, None for what is none."""
    if format_of(file, name) != "parquet":
        return None
    try:
        return int(pq.ParquetFile(file).metadata.num_rows)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{name}: {error}") from error
