"""Read an evaluation set: the texts of its rows, from JSON Lines or Parquet.

Promises: every row is read, or none: a row that nobody looks for would be a hole that nobody sees,
so what would refuse a document here raises InputError.

Does not know: where files lie; which field holds a prompt and which an answer.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from backtrans.corpus.compression import blocks
from backtrans.corpus.dolma import lines
from backtrans.corpus.pages import WatchedFile
from backtrans.corpus.reader import format_of
from backtrans.errors import ConfigError, InputError
from backtrans.records import Reject

# Source: as for documents, far over any row of an evaluation set.
MAX_LINE_BYTES = 16 * 1024 * 1024
BATCH_ROWS = 256

# A reject's detail names the set, and is read again: no white space.
SET_NAME = re.compile(r"[A-Za-z0-9][\w./-]{0,199}")


@dataclass(frozen=True, slots=True)
class EvaluationSet:
    """An evaluation set: of each row its texts, such as a prompt and an answer."""

    name: str
    texts: Sequence[Sequence[str]]

    def __post_init__(self) -> None:
        if not SET_NAME.fullmatch(self.name):
            raise ConfigError(f"{self.name!r} cannot name an evaluation set: letters, digits, ._/-")

    @property
    def fingerprint(self) -> str:
        """Name the set by its content: the same rows in the same order under the same name."""
        digest = hashlib.sha256(self.name.encode())
        for row in self.texts:
            digest.update(b"\0row %d" % len(row))
            for text in row:
                data = text.encode("utf-8", "surrogatepass")
                digest.update(b"\0%d\0" % len(data) + data)
        return digest.hexdigest()


def read_evaluation(
    file: BinaryIO, file_name: str, name: str, fields: Sequence[str] = ()
) -> EvaluationSet:
    """Read a set from a file: of each row the strings in `fields`, or in all of them.

    Lists and objects within a row are gone through; what is not a string is left out.
    Raises: InputError, naming the file, when a row cannot be read, or a field is in no row.
    """
    texts: list[tuple[str, ...]] = []
    seen: set[str] = set()
    read = _json_rows if format_of(file, file_name) == "dolma" else _parquet_rows
    for row in read(file, file_name):
        wanted = fields or list(row)
        seen.update(field for field in wanted if field in row)
        texts.append(tuple(text for field in wanted for text in strings(row.get(field))))
    if missing := [field for field in fields if field not in seen]:
        raise InputError(f"{file_name}: no row has the field {', '.join(missing)}")
    if not any(texts):
        raise InputError(f"{file_name}: no row holds a text")
    return EvaluationSet(name, texts)


def strings(value: Any) -> Iterator[str]:
    """Yield the strings in a value, in order, however deep; keys are not among them."""
    held = [value]
    while held:
        value = held.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            held += reversed(value.values())
        elif isinstance(value, list | tuple):
            held += reversed(value)


def _json_rows(file: BinaryIO, file_name: str) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines(blocks(file, file_name), MAX_LINE_BYTES)):
        if isinstance(line, Reject):
            raise InputError(f"{file_name}: row {number:,}: {line.reason}: {line.detail}")
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise InputError(f"{file_name}: row {number:,}: {error}") from error
        if not isinstance(row, dict):
            raise InputError(f"{file_name}: row {number:,}: not a JSON object")
        yield row


def _parquet_rows(file: BinaryIO, file_name: str) -> Iterator[dict[str, Any]]:
    file.seek(0)
    watched = WatchedFile(file)
    try:
        parquet = pq.ParquetFile(watched, pre_buffer=False, page_checksum_verification=True)
        for batch in parquet.iter_batches(batch_size=BATCH_ROWS, use_threads=False):
            yield from batch.to_pylist()
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        if watched.failure is not None:
            raise watched.failure from error
        raise InputError(f"{file_name}: not readable as Parquet: {error}") from error
