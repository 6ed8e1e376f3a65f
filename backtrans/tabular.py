"""Rows of a file that a person names: a JSON list, JSON Lines, or Parquet, by the name's ending.

Promises: each row comes with its number, the first being 1; a file that is missing or broken, and a
row that is no object, is an error that names file and row.

Does not know: which columns there must be, or what they mean. For files that one person made for
one question: a JSON list is held whole, and nothing is capped. Corpora are read by `corpus`.
"""

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from backtrans.errors import InputError, plain
from backtrans.records import Row

BATCH_ROWS = 4096
"""Rows of a Parquet file that are held at once. Source: as in `export`; some 10 MB of text."""


def rows(path: Path, columns: Collection[str] | None) -> Iterator[tuple[int, Row]]:
    """Yield the rows of a file with their numbers; of Parquet, these columns where they are there.

    None: all of them.

    Raises: InputError naming file and row.
    """
    read = _READERS.get(path.suffix)
    if read is None:
        raise InputError(f"{path}: is none of {', '.join(f'*{ending}' for ending in _READERS)}")
    try:
        for number, row in enumerate(read(path, columns), start=1):
            if not isinstance(row, dict):
                raise InputError(f"{path}: row {number}: is no JSON object")
            yield number, row
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: cannot be read: {plain(error)}") from error


def schema(path: Path) -> pa.Schema | None:
    """Return a Parquet file's schema; None of a file whose rows say themselves what they hold.

    Raises: InputError.
    """
    if path.suffix != ".parquet":
        return None
    try:
        return pq.read_schema(path)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: cannot be read: {plain(error)}") from error


def files(path: Path) -> list[Path]:
    """Return a file, or the files of a folder that can be read, at any depth, by name.

    Raises: InputError where there is none.
    """
    if not path.is_dir():
        return [path]
    found = sorted(each for each in path.rglob("*") if each.suffix in _READERS and each.is_file())
    if not found:
        endings = ", ".join(f"*{ending}" for ending in _READERS)
        raise InputError(f"{path}: the folder holds none of {endings}")
    return found


def _json(path: Path, columns: Collection[str] | None) -> Iterator[Any]:
    try:
        found = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise InputError(f"{path}: not JSON: {error}") from error
    if not isinstance(found, list):
        raise InputError(f"{path}: holds no JSON list; is it JSON Lines? Then name it *.jsonl")
    yield from found


def _jsonl(path: Path, columns: Collection[str] | None) -> Iterator[Any]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                yield orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise InputError(f"{path}: row {number}: not JSON: {error}") from error


def _parquet(path: Path, columns: Collection[str] | None) -> Iterator[Any]:
    with pq.ParquetFile(path) as file:
        names = file.schema_arrow.names
        there = [name for name in names if columns is None or name in columns]
        for batch in file.iter_batches(BATCH_ROWS, columns=there):
            # Without columns a batch still has its rows; a row is then an object without fields.
            yield from batch.to_pylist() if there else ({} for _ in range(batch.num_rows))


_READERS: dict[str, Callable[[Path, Collection[str] | None], Iterator[Any]]] = {
    ".json": _json,
    ".jsonl": _jsonl,
    ".parquet": _parquet,
}
