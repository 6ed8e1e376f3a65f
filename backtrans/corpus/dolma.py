"""Read JSON Lines in Dolma's format: one document a line, plain or compressed.

Source: Dolma's data format (github.com/allenai/dolma, docs/data-format.md): id, text, source,
added, created, metadata.

Promises: each line that is not blank is one row, read or refused; memory is bounded by
`max_line_bytes`, since an over-long line is passed over without being held.

Does not know: the spelling of metadata. It is parsed and written again: white space goes, and
integers beyond 64 bits become doubles.
"""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, BinaryIO

import orjson

from backtrans.corpus.compression import BOM, blocks
from backtrans.corpus.document import FIELDS, Document, Records, Unread
from backtrans.records import Reject

MAX_DETAIL_CHARS = 200

_JSON_NAMES = {
    dict: "JSON object", list: "JSON list", str: "JSON string", int: "number", float: "number",
    bool: "JSON boolean", type(None): "JSON null",
}  # fmt: skip


def read_dolma(
    file: BinaryIO,
    name: str,
    columns: Mapping[str, str],
    max_line_bytes: int,
    max_decoded_bytes: int,
) -> Records:
    """Yield a record a line; `columns` maps our fields to the corpus's keys, where they differ.

    Rows: one a line that is not blank, and one more for the rest where the object breaks off.
    Raises: InputError when nothing of the object can be decompressed.
    """
    keys = {field: columns.get(field, field) for field in FIELDS}
    pieces = capped(blocks(file, name), max_decoded_bytes)
    for row, line in enumerate(lines(pieces, max_line_bytes)):
        yield row, Unread(reject=line) if isinstance(line, Reject) else parse(line, keys)


def capped(pieces: Iterator[bytes | Reject], max_bytes: int) -> Iterator[bytes | Reject]:
    """Pass pieces on until together they are over `max_bytes`, then a last Reject."""
    total_bytes = 0
    for piece in pieces:
        if isinstance(piece, bytes):
            total_bytes += len(piece)
            if total_bytes > max_bytes:
                yield Reject("unreadable_rest", f"over max_decoded_bytes, {max_bytes:,}")
                return
        yield piece


def lines(pieces: Iterator[bytes | Reject], max_line_bytes: int) -> Iterator[bytes | Reject]:
    """Cut pieces into lines; blank ones are left out, over-long ones are Rejects.

    The part of a line before a break belongs to the rest that could not be read.
    """
    held: list[bytes] = []  # the start of a line that goes on in the next piece
    held_bytes = 0  # counted on even when the line is over-long and no more held
    number = passed_bytes = 0  # lines that have ended, and their bytes
    for piece in chain(pieces, (b"\n",)):
        if isinstance(piece, Reject):
            where = f"after line {number:,} ({passed_bytes:,} bytes of text)"
            yield Reject(piece.reason, f"{where}: {piece.detail}")
            return
        ends = piece.split(b"\n")
        tail = ends.pop()
        for end in ends:
            line_bytes = held_bytes + len(end)
            number += 1
            passed_bytes += line_bytes + 1
            if line_bytes > max_line_bytes:
                yield Reject("line_too_long", f"line {number:,} has {line_bytes:,} bytes")
            else:
                line = b"".join((*held, end)) if held_bytes else end
                if number == 1:
                    line = line.removeprefix(BOM)
                if line and not line.isspace():
                    yield line
            held_bytes = 0
            held.clear()
        held_bytes += len(tail)
        if held_bytes > max_line_bytes:
            held.clear()
        elif tail:
            held.append(tail)


def parse(line: bytes, keys: Mapping[str, str]) -> Document | Unread:
    """Turn one line into a document, or say why it is none."""
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return Unread(reject=_not_json(line, str(error)))
    if not isinstance(value, dict):
        return _unreadable(f"a {_JSON_NAMES[type(value)]}, not an object")
    metadata = value.get(keys["metadata"])
    url = value.get(keys["url"])
    if url is None and isinstance(metadata, dict):
        url = metadata.get("url")  # where Dolma's web sources have it
    try:
        about: dict[str, Any] = {
            "id": as_text(value.get(keys["id"])),
            "source": as_text(value.get(keys["source"])),
            "url": as_text(url),
            "added": as_text(value.get(keys["added"])),
            "created": as_text(value.get(keys["created"])),
            "metadata": None if metadata is None else orjson.dumps(metadata).decode(),
        }
    except orjson.JSONEncodeError as error:  # it may nest deeper than can be written again
        return _unreadable(f"a field other than the text: {error}")
    text = value.get(keys["text"])
    if isinstance(text, str):
        return Document(text=text, **about)
    if text is None and keys["text"] in value:
        return Unread(reject=Reject("text_missing", f"{keys['text']!r} is null"), **about)
    if text is None:
        there = ", ".join(value)[:MAX_DETAIL_CHARS] or "nothing"
        absent = f"no {keys['text']!r}; it has: {there}"
        return Unread(reject=Reject("text_missing", absent), **about)
    found = f"{keys['text']!r} is a {_JSON_NAMES[type(text)]}"
    return Unread(reject=Reject("text_not_string", found), **about)


def as_text(value: Any) -> str | None:
    """Return a field as text: a string as it is, anything else but null as JSON."""
    if value is None or isinstance(value, str):
        return value
    return orjson.dumps(value).decode()


def _unreadable(detail: str) -> Unread:
    return Unread(reject=Reject("unreadable_line", detail))


def _not_json(line: bytes, error: str) -> Reject:
    """Tell bytes that are no text from text that is no JSON."""
    try:
        line.decode()
    except UnicodeDecodeError as undecodable:
        return Reject("invalid_utf8", str(undecodable)[:MAX_DETAIL_CHARS])
    # An escape such as \ud800 without its other half names no character, and no UTF-8 can hold it.
    reason = "invalid_utf8" if "surrogate" in error else "unreadable_line"
    return Reject(reason, error[:MAX_DETAIL_CHARS])
