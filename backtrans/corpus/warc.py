"""Read web archives in WARC format, plain or compressed: one page a record.

Source: WARC 1.1 (ISO 28500:2017), sections 5 and 6; RFC 9110, sections 8.4 and 15.3.

Promises: each `response`, `resource` and `conversion` record is one row, read or refused, and no
other record is one; HTML becomes Markdown and plain text stays as it is; where the archive breaks
off, the rows before are read and one Reject stands for the rest; one page in memory.

Does not know: what lies behind the break. A record's length says where the next one starts, and
without it nothing does.
"""

import io
from collections.abc import Iterator
from typing import Any, BinaryIO

import orjson
from fastwarc.warc import ArchiveIterator, WarcRecord, WarcRecordType

from backtrans.corpus.compression import blocks
from backtrans.corpus.document import Document, Records, Unread
from backtrans.corpus.dolma import MAX_DETAIL_CHARS, capped
from backtrans.corpus.html import decoded, markdown
from backtrans.corpus.reservations import reserved
from backtrans.errors import InputError
from backtrans.records import Reject

DOCUMENTS = (WarcRecordType.response, WarcRecordType.resource, WarcRecordType.conversion)
HTML = ("text/html", "application/xhtml+xml")
# Source: the ids by which the ClueWeb corpora name their pages (lemurproject.org), then the
# standard's.
IDS = ("ClueWeb22-ID", "WARC-TREC-ID", "WARC-Record-ID")
LANGUAGES = ("WARC-Identified-Content-Language", "Language")
# Source: fastwarc's limit on a record's headers is half of it. They stand before the page.
HTTP_HEADERS_BYTES = 64 * 1024


class _Stream(io.RawIOBase):
    """An object's decompressed bytes as a file that is only read forward."""

    def __init__(self, pieces: Iterator[bytes | Reject]) -> None:
        self._pieces = pieces
        self._held = memoryview(b"")
        self._position = 0
        self.broken: Reject | None = None
        self.failed: Exception | None = None

    def read(self, size: int = -1, /) -> bytes:
        while not self._held:
            try:
                piece = next(self._pieces, None)
            except Exception as error:  # the archive's reader would say only its words
                self.failed = error
                raise
            if not isinstance(piece, bytes):
                self.broken = self.broken or piece
                return b""
            self._held = memoryview(piece)
        given = bytes(self._held[:size] if size >= 0 else self._held)
        self._held = self._held[len(given) :]
        self._position += len(given)
        return given

    def tell(self) -> int:
        return self._position


def read_warc(file: BinaryIO, name: str, max_html_bytes: int, max_decoded_bytes: int) -> Records:
    """Yield a record a page, and one more for the rest where the archive breaks off.

    Raises: InputError when nothing of the object can be decompressed, or no record comes first.
    """
    stream = _Stream(capped(blocks(file, name), max_decoded_bytes))
    row = seen = 0
    opened = False
    rest: Reject | None = None
    for found in _records(stream):
        if isinstance(found, Reject):
            rest = found
            break
        opened = True
        if found.record_type in DOCUMENTS:
            document = _document(found, max_html_bytes)
            if isinstance(document, Reject):
                rest = document
                break
            yield row, document
            row += 1
        elif not _passed_over(found):
            rest = _cut_off(found)
            break
        seen += 1
    rest = stream.broken or rest
    if rest is None:
        return
    if not opened and stream.broken is None:
        raise InputError(f"{name}: not readable as WARC: {rest.detail}")
    yield row, Unread(reject=Reject("unreadable_rest", f"after record {seen:,}: {rest.detail}"))


def _records(stream: _Stream) -> Iterator[Any]:
    """Yield the archive's records, and a Reject where there should be one and is none."""
    records = ArchiveIterator(stream, parse_http=False)
    while True:
        try:
            record = next(records, None)
        except OSError as error:
            if stream.failed is not None:
                raise stream.failed from None
            yield Reject("unreadable_rest", str(error)[:MAX_DETAIL_CHARS])
            return
        if record is None:
            return
        length = record.headers.get("Content-Length")
        if length is None or length.strip() != str(record.content_length):
            yield Reject("unreadable_rest", f"a record whose Content-Length is {length!r:.99}")
            return
        yield record


def _passed_over(record: Any) -> bool:
    """Pass over a record's block; say whether it is there to its end."""
    return bool(record.consume() == record.content_length)


def _cut_off(record: Any) -> Reject:
    return Reject("unreadable_rest", f"a record of {record.content_length:,} bytes is cut off")


def _document(record: Any, max_html_bytes: int) -> Document | Unread | Reject:
    """Return what a record holds, or the Reject of the rest where its block is cut off."""
    headers = record.headers
    about: dict[str, Any] = {
        "id": next((headers.get(key) for key in IDS if headers.get(key)), None),
        "url": headers.get("WARC-Target-URI"),
        "created": headers.get("WARC-Date"),
    }
    metadata: dict[str, object] = {"record_type": str(record.record_type)}
    language = next((headers.get(key) for key in LANGUAGES if headers.get(key)), None)
    for key, value in (("language", language), ("truncated", headers.get("WARC-Truncated"))):
        if value:
            metadata[key] = value

    def unread(reason: str, detail: str) -> Unread:
        said = orjson.dumps(metadata).decode()
        return Unread(reject=Reject(reason, detail[:MAX_DETAIL_CHARS]), metadata=said, **about)

    limit = f"max_html_bytes is {max_html_bytes:,}"
    if record.content_length > max_html_bytes + HTTP_HEADERS_BYTES:
        whole = _passed_over(record)
        too_large = unread("page_too_large", f"{record.content_length:,} bytes, {limit}")
        return too_large if whole else _cut_off(record)
    block = record.reader.read()
    if len(block) < record.content_length:
        return _cut_off(record)
    charset: str | None = None
    answered: tuple[tuple[str, str], ...] = ()
    content_type = (headers.get("Content-Type") or "").lower()
    is_http = content_type.startswith("application/http")
    # ClueWeb22 says application/http and holds the page alone.
    if is_http and block.startswith(b"HTTP/"):
        answer = WarcRecord()
        answer.set_bytes_content(block)
        answer.is_http = True
        try:
            answer.parse_http(auto_decode="all")
            body = answer.reader.read(max_html_bytes + 1)
        except OSError as error:
            return unread("undecodable_body", str(error))
        status = answer.http_headers.status_code
        metadata["status"] = status
        if status is None or not 200 <= status < 300:
            return unread("not_answered", f"status {status}")
        content_type = (answer.http_headers.get("Content-Type") or "").lower()
        charset = answer.http_charset
        answered = answer.http_headers.astuples()
    else:
        body = block
        content_type = "" if is_http else content_type
    content_type, _, parameters = content_type.partition(";")
    content_type = content_type.strip()
    if charset is None and "charset=" in parameters:
        charset = parameters.partition("charset=")[2].split(";")[0]
    metadata["content_type"] = content_type
    if len(body) > max_html_bytes:
        return unread("page_too_large", f"more than {len(body) - 1:,} bytes, {limit}")
    if not body.strip():
        return unread("text_empty", "an empty body")
    metadata |= reserved(answered, body)
    if content_type in HTML or (not content_type and b"<" in body[:HTTP_HEADERS_BYTES]):
        page = markdown(body, max_html_bytes, charset)
        if isinstance(page, Reject):
            return unread(page.reason, page.detail)
        said = orjson.dumps(metadata).decode()
        return Document(text=page, form="markdown", metadata=said, **about)
    if content_type == "text/plain":
        text = decoded(body, charset).replace("\0", "")
        return Document(text=text, metadata=orjson.dumps(metadata).decode(), **about)
    return unread("not_text", content_type or "no content type")
