"""How large a Parquet file's pages will be, told from their headers before they are decoded.

A page of a few bytes may decode to gigabytes, and the footer may say otherwise; its header cannot,
since the decoder makes room for exactly what it says. Headers are read from the bytes as the
decoder asks for them, so that nothing is fetched twice.

Promises: the pages of the chunks that are watched take, between two calls of `allow`, no more bytes
and no more values than those given to it; else the read that brings the header raises TooMuch.

Does not know: what pages hold; where files lie.

Source: github.com/apache/parquet-format, parquet.thrift (PageHeader); Thrift's compact protocol.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

HEADER_BYTES = 64 * 1024
"""What a page header may take, its statistics too. Source: some 20 bytes, and two values of the
column that writers cut at 64 bytes or leave out; pyarrow gives up at 16 MiB."""

MAX_DEPTH = 8
"""How deep a header's fields may nest. Source: statistics in a data page's header are at 2."""

DICTIONARY_PAGE = 2

_PAGE_TYPE, _DECODED_BYTES, _STORED_BYTES, _DATA_PAGE, _DATA_PAGE_V2 = 1, 2, 3, 5, 8
_VALUES = 1


class TooMuch(Exception):
    """The pages for the rows that are decoded now are larger than any that are worth it."""


class NoHeader(Exception):
    """Bytes that are no page header, for the decoder neither."""


@dataclass(slots=True)
class Chunk:
    """One column's pages in one row group; `next` is where the next header starts."""

    next: int
    end: int


@dataclass(frozen=True, slots=True)
class Header:
    """What a page says of itself, and how long that takes."""

    kind: int
    decoded_bytes: int
    stored_bytes: int
    values: int
    header_bytes: int


class Pages:
    """The headers of the chunks that are watched, as reads go by.

    `peek` returns bytes of the file, given their start and how many.
    """

    def __init__(self, peek: Callable[[int, int], bytes]) -> None:
        self._peek = peek
        self._chunks: list[Chunk] = []
        self._bytes = self._values = 0

    def watch(self, chunks: list[Chunk]) -> int:
        """Watch these chunks from now on; return the decoded bytes of their dictionaries together.

        Raises: TooMuch for a header longer than any.
        """
        self._chunks = chunks
        first = [self._header(chunk) for chunk in chunks if chunk.next < chunk.end]
        return sum(h.decoded_bytes for h in first if h is not None and h.kind == DICTIONARY_PAGE)

    def allow(self, decoded_bytes: int, values: int) -> None:
        """Let pages of so many bytes and values go by until the next call."""
        self._bytes, self._values = decoded_bytes, values

    def passing(self, start: int, size: int) -> None:
        """Look at the headers in the bytes that are about to be decoded. Raises: TooMuch."""
        for chunk in self._chunks:
            # A read that starts in the chunk may have left out pages before it.
            while chunk.next < min(start + size, chunk.end) and start < chunk.end:
                header = self._header(chunk)
                if header is None:
                    break
                self._bytes -= header.decoded_bytes
                self._values -= header.values
                if self._bytes < 0 or self._values < 0:
                    raise TooMuch(
                        f"a page of {header.decoded_bytes:,} bytes, {header.values:,} values:"
                        " with it, those for a batch of rows are over max_page_bytes"
                    )
                chunk.next += header.header_bytes + header.stored_bytes

    def _header(self, chunk: Chunk) -> Header | None:
        """Return a chunk's next header; where there is none, as after damage, the chunk ends."""
        # Nearly every header is short, and a long read may be one over a network.
        for most_bytes in (256, HEADER_BYTES):
            data = self._peek(chunk.next, most_bytes)
            try:
                return read_header(data)
            except NoHeader:
                break
            except IndexError:
                if len(data) == HEADER_BYTES:
                    raise TooMuch(f"byte {chunk.next:,}: a page header that does not end") from None
        chunk.next = chunk.end
        return None


def read_header(data: bytes) -> Header:
    """Read a page header. Raises: IndexError where it does not end, NoHeader."""
    reader = _Reader(data)
    fields = reader.struct()
    numbers = [fields.get(f) for f in (_PAGE_TYPE, _DECODED_BYTES, _STORED_BYTES)]
    kind, decoded_bytes, stored_bytes = (n if isinstance(n, int) else -1 for n in numbers)
    if min(kind, decoded_bytes, stored_bytes) < 0:
        raise NoHeader("no sizes")
    about = fields.get(_DATA_PAGE) or fields.get(_DATA_PAGE_V2)
    values = about.get(_VALUES, 0) if isinstance(about, dict) else 0
    return Header(kind, decoded_bytes, stored_bytes, values, reader.at)


class _Reader:
    """Thrift's compact protocol, as far as headers need it: integers are read, the rest skipped."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        return dict(self._fields(depth))

    def _fields(self, depth: int) -> Iterator[tuple[int, Any]]:
        number = 0
        while byte := self._byte():
            number = number + (byte >> 4) if byte >> 4 else self._signed()
            yield number, self._value(byte & 15, depth)

    def _value(self, kind: int, depth: int, *, in_list: bool = False) -> Any:
        if depth > MAX_DEPTH:
            raise NoHeader("nested too deep")
        match kind:
            case 1 | 2:
                return self._byte() == 1 if in_list else kind == 1
            case 3:
                return self._byte()
            case 4 | 5 | 6:
                return self._signed()
            case 7:
                return self._skip(8)
            case 8:
                return self._skip(self._varint())
            case 9 | 10:
                head = self._byte()
                size = head >> 4 if head >> 4 != 15 else self._varint()
                return self._skip_values(size, (head & 15,), depth)
            case 11:
                kinds = self._byte() if (size := self._varint()) else 0
                return self._skip_values(size, (kinds >> 4, kinds & 15), depth)
            case 12:
                return self.struct(depth + 1)
        raise NoHeader(f"a field of type {kind}")

    def _skip_values(self, size: int, kinds: tuple[int, ...], depth: int) -> None:
        for _ in range(size):  # each takes a byte at least, so that this ends
            for kind in kinds:
                self._value(kind, depth + 1, in_list=True)

    def _byte(self) -> int:
        self.at += 1
        return self._data[self.at - 1]

    def _skip(self, size: int) -> None:
        self.at += size
        if self.at > len(self._data):
            raise IndexError

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
            if shift > 63:
                raise NoHeader("a number that does not end")

    def _signed(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)


class WatchedFile:
    """A file that remembers its own failure, so that it is not taken for damage to the data.

    Arrow raises OSError for both. Pages that are too large are damage: they are looked at here,
    since what is read is about to be decoded.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.pages = Pages(self.peek)
        self.failure: BaseException | None = None
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        """Read, or remember why not."""
        try:
            start = self._file.tell()
            data = self._file.read(size)
            self.pages.passing(start, len(data))
            return data
        except TooMuch:  # of the data, not of the file
            raise
        except BaseException as error:
            self.failure = error
            raise

    def peek(self, start: int, size: int) -> bytes:
        """Read elsewhere and come back, or remember why not."""
        try:
            back = self._file.tell()
            self._file.seek(start)
            data = self._file.read(size)
            self._file.seek(back)
            return data
        except BaseException as error:
            self.failure = error
            raise

    def seek(self, offset: int, whence: int = 0) -> int:
        """Seek, or remember why not."""
        try:
            return self._file.seek(offset, whence)
        except BaseException as error:
            self.failure = error
            raise

    def tell(self) -> int:
        """Return the position."""
        return self._file.tell()

    def readable(self) -> bool:
        """Say yes."""
        return True

    def seekable(self) -> bool:
        """Say yes."""
        return True

    def close(self) -> None:
        """Leave the file open: it is the caller's."""
        self.closed = True
