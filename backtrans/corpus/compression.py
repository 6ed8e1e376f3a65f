"""Decompress gzip and zstd as a stream of blocks, and say where a stream breaks off.

Promises: memory is bounded whatever the ratio (a bomb comes out block by block); what can be
decoded before the damage is yielded, and then one Reject; the blocks' bytes are the same whether
ISA-L is installed or not; a read that fails is the file's own exception, never taken for damage.

Does not know: what the bytes mean. A damaged deflate stream can decode to wrong bytes until its
checksum at the end: those were yielded by then, and the Reject says so.
"""

import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, Literal

import zstandard

from backtrans.errors import InputError
from backtrans.records import Reject

fast_zlib: Any
try:  # zlib's interface, more than twice as fast
    from isal import isal_zlib as fast_zlib
except ImportError:
    fast_zlib = zlib

Compression = Literal["gzip", "zstd", "none"]

READ_BYTES = 256 * 1024
EXACT_READ_BYTES = 16 * 1024  # where the last of it may have to be taken byte by byte
BLOCK_BYTES = 1024 * 1024
# Source: RFC 8878, 3.1.1.2: a block of 128 KiB takes 4 bytes at least. The decompressor puts no
# limit on its output, so what goes in at once bounds what comes out, here to 32 MiB.
ZSTD_READ_BYTES = 1024

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
BOM = b"\xef\xbb\xbf"
_WITH_HEADER = 31  # zlib's wbits: the largest window, and a gzip header


def compression_of(head: bytes) -> Compression:
    """Tell the compression by an object's first bytes."""
    if head.startswith(GZIP_MAGIC):
        return "gzip"
    # Source: RFC 8878, 3.1.2: a file may start with a skippable frame, 0x184D2A50 to 0x184D2A5F.
    if head.startswith(ZSTD_MAGIC) or (head[1:4] == b"\x2a\x4d\x18" and head[0] & 0xF0 == 0x50):
        return "zstd"
    return "none"


def blocks(file: BinaryIO, name: str) -> Iterator[bytes | Reject]:
    """Yield an object's bytes, decompressed; where it breaks off, one last Reject.

    The first bytes decide, not the name. Only where they say nothing (no magic, no JSON object, no
    WARC) is a name in .gz or .zst taken at its word: such an object is broken, not text.
    Raises: InputError when that is so, or when not one byte can be decompressed.
    """
    file.seek(0)
    head = file.read(64)
    file.seek(0)
    compression = compression_of(head)
    if compression == "none":
        told = head.removeprefix(BOM).lstrip().startswith((b"{", b"WARC/"))
        if name.endswith((".gz", ".zst")) and not told:
            raise InputError(f"{name}: neither gzip nor zstd, though its name says so")
        while block := file.read(BLOCK_BYTES):
            yield block
        return
    began = False
    for piece in _gunzip(file) if compression == "gzip" else _unzstd(file):
        if isinstance(piece, Reject) and not began:
            raise InputError(f"{name}: not readable as {compression}: {piece.detail}")
        began = True
        yield piece


def _gunzip(file: BinaryIO) -> Iterator[bytes | Reject]:
    """Inflate quickly; the member that makes trouble, and what follows it, exactly."""
    position = 0  # in the object: what was handed to inflate
    start = given = 0  # where the present member starts, and how many bytes it gave
    inflate = fast_zlib.decompressobj(_WITH_HEADER)
    data = b""
    while True:
        if not data:
            data = file.read(READ_BYTES)
            position += len(data)
            if not data and start == position:
                return
        at_end = not data
        try:
            block = inflate.decompress(data, BLOCK_BYTES)
        except fast_zlib.error:
            break
        if block:
            given += len(block)
            yield block
        data = inflate.unconsumed_tail
        if inflate.eof:
            data = inflate.unused_data
            start, given = position - len(data), 0
            inflate = fast_zlib.decompressobj(_WITH_HEADER)
        elif at_end and not block:
            break
    for piece in _inflate_exactly(file, start):
        if isinstance(piece, Reject):
            yield piece
        else:
            if piece[given:]:
                yield piece[given:]
            given = max(0, given - len(piece))


def _inflate_exactly(file: BinaryIO, start: int) -> Iterator[bytes | Reject]:
    """Inflate from a member's start to the last good byte.

    A failing call to inflate gives nothing of what it decoded before the failure, so it is taken
    back and repeated byte by byte.
    """
    file.seek(start)
    position = start
    inflate = zlib.decompressobj(_WITH_HEADER)
    fresh, data = True, b""
    while True:
        if not data:
            data = file.read(EXACT_READ_BYTES)
            position += len(data)
            if not data and fresh:
                return
        if fresh:
            data = data.lstrip(b"\0")  # members may be padded with zeros, as on tapes
            if not data:
                continue
        fresh, at_end = False, not data
        before = inflate.copy()
        try:
            block = inflate.decompress(data, BLOCK_BYTES)
        except zlib.error as error:
            good = 0
            for good in range(len(data)):
                try:
                    yield before.decompress(data[good : good + 1])
                except zlib.error:
                    break
            damaged = " (rows before may be damaged)" if "data check" in str(error) else ""
            where = f"compressed byte {position - len(data) + good:,}"
            yield Reject("unreadable_rest", f"{where}: {error}{damaged}")
            return
        yield block
        data = inflate.unconsumed_tail
        if inflate.eof:
            data = inflate.unused_data
            inflate, fresh = zlib.decompressobj(_WITH_HEADER), True
        elif at_end and not block:
            yield Reject("unreadable_rest", f"compressed byte {position:,}: the stream is cut off")
            return


def _unzstd(file: BinaryIO) -> Iterator[bytes | Reject]:
    """Decompress frame after frame; in one that fails, the last piece byte by byte."""
    context = zstandard.ZstdDecompressor()
    position = start = 0  # what was handed to the frame; where the frame starts
    frame = context.decompressobj()
    while data := file.read(ZSTD_READ_BYTES):
        position += len(data)
        while data:
            try:
                block = frame.decompress(data)
            except zstandard.ZstdError as error:
                yield from _last_zstd_blocks(file, start, position - len(data), len(data))
                where = f"in the {len(data):,} bytes before compressed byte {position:,}"
                yield Reject("unreadable_rest", f"{where}: {error}")
                return
            if block:
                yield block
            data = b""
            if frame.eof:
                data = frame.unused_data
                start = position - len(data)
                frame = context.decompressobj()
    if start != position:
        yield Reject("unreadable_rest", f"compressed byte {position:,}: the stream is cut off")


def _last_zstd_blocks(file: BinaryIO, start: int, bad: int, size: int) -> Iterator[bytes]:
    """Decompress a frame again up to its bad piece, and give what that piece gives before it fails.

    A failing call gives nothing of the blocks that it decoded before the failure.
    """
    file.seek(start)
    frame = zstandard.ZstdDecompressor().decompressobj()
    while (left := bad - file.tell()) > 0:
        frame.decompress(file.read(min(left, ZSTD_READ_BYTES)))
    for byte in file.read(size):
        try:
            block = frame.decompress(bytes([byte]))
        except zstandard.ZstdError:
            return
        if block:
            yield block
