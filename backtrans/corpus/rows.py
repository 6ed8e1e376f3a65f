"""Rows of a file with fields of its own: JSON Lines (plain, .gz, .zst) or Parquet, by its bytes.

For what stands beside a corpus: seeds, evaluation sets.

Promises: every row comes, with its number; what is no row (a broken line, a stream that breaks off)
is an InputError that names the file and the row; nothing is held but a batch.

Does not know: which fields there are. Rows of the corpus itself become documents, or rejects.
"""

from collections.abc import Iterator
from typing import Any, BinaryIO

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from backtrans.corpus.compression import blocks
from backtrans.corpus.dolma import lines
from backtrans.corpus.pages import WatchedFile
from backtrans.corpus.reader import PARQUET_MAGIC
from backtrans.errors import InputError
from backtrans.records import Reject

MAX_LINE_BYTES = 64 * 2**20
"""Source: far over any pair; OpenAssistant's largest trees have some 100 KB."""

BATCH_ROWS = 256


def rows(file: BinaryIO, name: str, *, first: int = 1) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the rows of JSON Lines or Parquet with their numbers, that of the `first` one given.

    Raises: InputError naming file and row.
    """
    file.seek(0)
    is_parquet = file.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC or name.endswith(".parquet")
    found = _parquet(file, name) if is_parquet else _jsonl(file, name, first)
    yield from enumerate(found, start=first)


def _jsonl(file: BinaryIO, name: str, first: int) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines(blocks(file, name), MAX_LINE_BYTES), start=first):
        where = f"{name}: row {number:,}"
        if isinstance(line, Reject):
            raise InputError(f"{where}: {line.reason}: {line.detail}")
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise InputError(f"{where}: not JSON: {error}") from error
        if not isinstance(row, dict):
            raise InputError(f"{where}: not a JSON object")
        yield row


def _parquet(file: BinaryIO, name: str) -> Iterator[dict[str, Any]]:
    file.seek(0)
    watched = WatchedFile(file)
    try:
        parquet = pq.ParquetFile(watched, pre_buffer=False, page_checksum_verification=True)
        for batch in parquet.iter_batches(batch_size=BATCH_ROWS, use_threads=False):
            yield from batch.to_pylist()
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        if watched.failure is not None:
            raise watched.failure from error
        raise InputError(f"{name}: cannot be read as Parquet: {error}") from error
