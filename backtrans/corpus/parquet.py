"""Read documents from Parquet, by a mapping of our fields to its columns.

Promises: no other columns are read; a row whose text is null, or not UTF-8, is refused alone; a row
group that breaks off is refused row by row, as many rows as the footer says, and the groups after
it are read; the footer is not trusted for more than `MAX_LOST_ROWS`, nor for sizes: what was
decoded is counted. A read that fails is the file's own exception, never taken for damage.

Does not know: nested columns (no dotted names), encrypted files.
"""

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from backtrans.corpus.document import FIELDS, Document, Records, Unread
from backtrans.corpus.pages import Chunk, Pages, TooMuch, WatchedFile
from backtrans.errors import InputError
from backtrans.records import Reject

# Rows decoded at once: small, since a dictionary can make any number of rows out of few bytes ...
BATCH_ROWS = 64
# ... and smaller where its values, or rows by what the footer says, are large.
BATCH_BYTES = 64 * 1024 * 1024
# Values of the pages that one batch may need: a list, whose values may take no bytes, is held as
# Python objects of some 50 bytes each. Source: writers put 20,000 to 1,048,576 values in a page.
PAGES_VALUES = 4 * 1024 * 1024
BUFFER_BYTES = 1024 * 1024
# Source: ten row groups of the 1,048,576 rows that pyarrow writes by default.
MAX_LOST_ROWS = 10 * 1024 * 1024
MAX_DETAIL_CHARS = 200

_DAMAGE = (pa.ArrowException, OSError, UnicodeDecodeError, TooMuch)


def read_parquet(
    file: BinaryIO,
    name: str,
    columns: Mapping[str, str],
    max_decoded_bytes: int,
    max_page_bytes: int,
) -> Records:
    """Yield a record a row; `columns` maps our fields to the corpus's columns.

    A field that is not mapped is read from the column of its name, where there is one. A text
    column of bytes is read as UTF-8; one of another type cannot hold a text.
    Rows: as many as the footer says, group by group; one for the rest where reading must stop.
    Raises: InputError when this is not Parquet, or a column is missing or cannot be that field.
    """
    watched = WatchedFile(file)
    try:
        parquet = pq.ParquetFile(
            watched, pre_buffer=False, buffer_size=BUFFER_BYTES, page_checksum_verification=True
        )
        schema = parquet.schema_arrow
        group_rows = [parquet.metadata.row_group(i).num_rows for i in range(parquet.num_row_groups)]
    except _DAMAGE as error:
        if watched.failure is not None:
            raise watched.failure from error
        raise InputError(f"{name}: not readable as Parquet: {_brief(error)}") from error
    wanted = _mapped(schema, columns, name)
    row = decoded_bytes = lost_rows = 0
    for group, claimed_rows in enumerate(group_rows):
        end = row + max(0, claimed_rows)
        broke = "it holds fewer rows than the footer says"
        batches = _decoded(parquet, group, wanted, watched.pages)
        while True:
            watched.pages.allow(max_page_bytes, PAGES_VALUES)
            try:
                batch_bytes, records = next(batches, (0, None))
            except _DAMAGE as error:
                if watched.failure is not None:
                    raise watched.failure from error
                broke = _brief(error)
                break
            if records is None:
                break
            decoded_bytes += batch_bytes
            if decoded_bytes > max_decoded_bytes:
                detail = f"row {row:,} of {sum(group_rows):,}: over max_decoded_bytes"
                yield row, Unread(reject=Reject("unreadable_rest", detail))
                return
            for record in records:
                yield row, record
                row += 1
        missing_rows = max(0, end - row)
        lost_rows += missing_rows
        if lost_rows > MAX_LOST_ROWS:
            rest = f"{missing_rows:,} rows by the footer, and all groups after it"
            detail = f"row group {group}, {rest}: {broke}"
            yield row, Unread(reject=Reject("unreadable_rest", detail))
            return
        lost = Unread(reject=Reject("unreadable_row_group", f"row group {group}: {broke}"))
        for _ in range(missing_rows):
            yield row, lost
            row += 1


def _brief(error: BaseException) -> str:
    return str(error)[:MAX_DETAIL_CHARS]


def _mapped(schema: pa.Schema, columns: Mapping[str, str], name: str) -> dict[str, str]:
    """Return our field -> column, checked against the columns that there are.

    A column that nobody named, and that cannot be the field of its name, is not that field.
    """
    there = ", ".join(f"{field.name} ({field.type})" for field in schema)
    text = columns.get("text", "text")  # it may have the name of another field
    wanted = {field: field for field in FIELDS if field in schema.names and field != text}
    wanted |= {"text": text, **columns}
    for field, column in list(wanted.items()):
        indices = schema.get_all_field_indices(column)
        if len(indices) != 1:
            times = "no" if not indices else "more than one"
            raise InputError(f"{name}: {times} column {column!r} for {field}; it has: {there}")
        kind = schema.field(indices[0]).type
        if not (_is_text(kind) or (field != "text" and _is_scalar(kind)) or field == "metadata"):
            if field not in columns and field != "text":
                del wanted[field]
                continue
            raise InputError(f"{name}: column {column!r} cannot be the {field}; it has: {there}")
    return wanted


def _is_text(kind: pa.DataType) -> bool:
    """Say whether a column of this type can hold text, or nothing but nulls."""
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    tests = (
        pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_binary,
        pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_null,
    )  # fmt: skip
    return any(test(kind) for test in tests)


def _is_scalar(kind: pa.DataType) -> bool:
    """Say whether values of this type have one plain spelling."""
    tests = (
        pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal,
        pa.types.is_temporal,
    )  # fmt: skip
    return any(test(kind) for test in tests)


def _decoded(
    parquet: pq.ParquetFile, group: int, wanted: Mapping[str, str], pages: Pages
) -> Iterator[tuple[int, list[Document | Unread]]]:
    """Yield a row group's records, a batch at a time, with the bytes that the batch took."""
    about = parquet.metadata.row_group(group)
    columns = [about.column(i) for i in range(about.num_columns)]
    columns = [c for c in columns if c.path_in_schema.split(".")[0] in wanted.values()]
    said_bytes = sum(max(0, c.total_uncompressed_size) for c in columns)
    dictionaries_bytes = pages.watch([_chunk(column) for column in columns])
    row_bytes = max(1, dictionaries_bytes, said_bytes // max(1, about.num_rows))
    batches = parquet.iter_batches(
        batch_size=max(1, min(BATCH_ROWS, BATCH_BYTES // row_bytes)),
        row_groups=[group],
        columns=sorted(set(wanted.values())),
        use_threads=False,
    )
    for batch in batches:
        decoded_bytes = 0
        cells = []
        for field, column in wanted.items():
            array = batch.column(column)
            if pa.types.is_dictionary(array.type):
                array = array.dictionary_decode()
            decoded_bytes += array.nbytes
            cells.append(_values(array, field))
        yield (
            decoded_bytes,
            [_record(wanted, row) for row in zip(*cells, strict=True)],
        )


def _chunk(column: pq.ColumnChunkMetaData) -> Chunk:
    """Return where a column's pages lie, as the decoder takes it from the footer."""
    start, first = column.data_page_offset, column.dictionary_page_offset
    if column.has_dictionary_page and first is not None and 0 < first < start:
        start = first
    return Chunk(start, start + column.total_compressed_size)


def _values(array: pa.Array, field: str) -> list[Any]:
    """Return a column's values: bytes not yet decoded, or whatever the metadata's shape is."""
    if _is_scalar(array.type):
        array = array.cast(pa.large_string())
    if _is_text(array.type):
        array = array.cast(pa.large_binary())
    try:
        values: list[Any] = array.to_pylist()
    except (ValueError, OverflowError):  # of one value, but it takes the others with it
        values = [_value(cell) for cell in array]
    return values


def _value(cell: pa.Scalar) -> Any:
    try:
        return cell.as_py()
    except (ValueError, OverflowError) as error:
        return Reject("unreadable_value", f"metadata: {_brief(error)}")


def _record(wanted: Mapping[str, str], row: tuple[Any, ...]) -> Document | Unread:
    """Turn one row into a document, or say why it is none."""
    about: dict[str, Any] = {}
    reject = None
    for (field, column), value in zip(wanted.items(), row, strict=True):
        found = _field(field, column, value)
        if not isinstance(found, Reject):
            about[field] = found
        elif reject is None or field == "text":  # of several faults the text's is told
            reject = found
    text = about.pop("text", None)
    if reject is None and text is not None:
        return Document(text=text, **about)
    missing = Reject("text_missing", f"column {wanted['text']!r} is null")
    return Unread(reject=reject or missing, **about)


def _field(field: str, column: str, value: Any) -> str | Reject | None:
    """Return a cell as the field's text, or why it has none."""
    if value is None or isinstance(value, Reject):
        return value
    try:
        if isinstance(value, bytes):
            value = value.decode()
        return _as_json(value) if field == "metadata" else str(value)
    except UnicodeDecodeError as error:
        return Reject("invalid_utf8", f"column {column!r}: {_brief(error)}")
    except orjson.JSONEncodeError as error:
        return Reject("unreadable_value", f"column {column!r}: {_brief(error)}")


def _as_json(value: Any) -> str:
    """Return metadata as JSON text: a string that is JSON already as it is, all else encoded."""
    if isinstance(value, str):
        try:
            orjson.loads(value)
        except orjson.JSONDecodeError:
            return orjson.dumps(value).decode()
        return value
    return orjson.dumps(value, default=_plain, option=orjson.OPT_NON_STR_KEYS).decode()


def _plain(value: Any) -> str:
    """Spell what JSON has no type for: bytes in hexadecimal, all else as Python prints it."""
    return value.hex() if isinstance(value, bytes) else str(value)
