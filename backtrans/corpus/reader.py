"""Open an input object as what it is, and read its rows.

Promises: one record a row, in order, numbered from 0 without gaps, in bounded memory. The format
is told by the object's first bytes before its name.

Does not know: where objects lie; what becomes of the documents.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, Literal

from backtrans.corpus.clueweb import KEYS, is_clueweb
from backtrans.corpus.compression import BOM, blocks, compression_of
from backtrans.corpus.document import FIELDS, Records, bounded
from backtrans.corpus.dolma import read_dolma
from backtrans.corpus.parquet import read_parquet
from backtrans.corpus.warc import read_warc
from backtrans.errors import ConfigError, InputError

Format = Literal["dolma", "clueweb", "parquet", "warc"]

PARQUET_MAGIC = b"PAR1"
WARC_MAGIC = b"WARC/"
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_LIST_OVER_LINES = re.compile(rb"\[[^\S\n]*(\r?\n|\{[^\n]*,[^\S\n]*\n)")
"""No line of it can be an object of its own: `[` alone, or an object after it that goes on."""
DOLMA_NAMES = (".json", ".jsonl", ".json.gz", ".jsonl.gz", ".json.zst", ".jsonl.zst")


@dataclass(frozen=True, slots=True)
class ReaderSettings:
    """How a corpus is read. All of it decides the result."""

    format: Literal["auto", "dolma", "clueweb", "parquet", "warc"] = "auto"
    columns: Mapping[str, str] = field(default_factory=dict)  # our field -> their column or key
    # Source: far over any web document. A line of JSON that is nothing but empty lists takes some
    # thirty times its bytes when it is parsed: half a GiB, for each of several workers.
    max_line_bytes: int = 16 * 1024 * 1024
    # Source: over the largest objects of Dolma (tens of GB of text), and an end to a bomb.
    max_decoded_bytes: int = 64 * 1024 * 1024 * 1024
    # Source: pyarrow closes a page after 1,024 values at the earliest: documents of 256 KiB on
    # average make pages as large as this. It takes several times as much memory.
    max_page_bytes: int = 256 * 1024 * 1024
    # Source: over the 5 MiB at which Common Crawl cuts a page off. A page takes some thirty times
    # its bytes while it is parsed.
    max_html_bytes: int = 8 * 1024 * 1024
    # Source: ten times what web corpora say of a document at most. With shards of 1,024 rows,
    # 128 Mi characters are held at once.
    max_provenance_chars: int = 128 * 1024

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.columns) - set(FIELDS)):
            raise ConfigError(
                f"no such fields: {', '.join(unknown)}; there are {', '.join(FIELDS)}"
            )


def format_of(file: BinaryIO, name: str) -> Format:
    """Tell an object's format by its first bytes, and where they say nothing by its name.

    Raises: InputError when neither tells.
    """
    file.seek(0)
    head = file.read(64)
    if head.startswith(PARQUET_MAGIC):
        return "parquet"
    if head.startswith(WARC_MAGIC):
        return "warc"
    compressed = compression_of(head) != "none"
    if name.endswith(".parquet") and not compressed:
        return "parquet"
    like_json = head.removeprefix(BOM).lstrip().startswith(b"{")
    if not compressed and not like_json and not name.endswith(DOLMA_NAMES):
        raise InputError(
            f"{name}: neither its name nor its first bytes tell JSON Lines, Parquet or WARC"
        )
    start = _start_of_text(file, name)
    if start.startswith(WARC_MAGIC):
        return "warc"
    if start.startswith(UTF_16):
        raise InputError(f"{name}: is UTF-16; save it as UTF-8")
    if _LIST_OVER_LINES.match(start):
        raise InputError(f"{name}: is one JSON list; JSON Lines has an object a line: jq -c '.[]'")
    return "clueweb" if is_clueweb(start) else "dolma"


def _start_of_text(file: BinaryIO, name: str) -> bytes:
    """Return the first bytes of an object, decompressed: some of its first line at least."""
    pieces = blocks(file, name)
    start = next((piece for piece in pieces if isinstance(piece, bytes) and piece), b"")
    return start.removeprefix(BOM).lstrip()


def documents(file: BinaryIO, name: str, settings: ReaderSettings) -> Records:
    """Yield an object's records: row number, and a document or why there is none.

    Raises: InputError, naming the object, when it cannot be opened as its format.
    """
    kind = format_of(file, name) if settings.format == "auto" else settings.format
    if kind == "parquet":
        limits = (settings.max_decoded_bytes, settings.max_page_bytes)
        records = read_parquet(file, name, settings.columns, *limits)
    elif kind == "warc":
        limits = (settings.max_html_bytes, settings.max_decoded_bytes)
        records = read_warc(file, name, *limits)
    else:
        limits = (settings.max_line_bytes, settings.max_decoded_bytes)
        columns = {**KEYS, **settings.columns} if kind == "clueweb" else settings.columns
        records = read_dolma(file, name, columns, *limits)
    return ((row, bounded(record, settings.max_provenance_chars)) for row, record in records)
