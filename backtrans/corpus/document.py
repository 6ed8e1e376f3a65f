"""What a reader yields: for every row of an object a document, or why there is none.

Promises: values are text or None, whatever the corpus held; a string stays exactly as it was.

Does not know: file formats, where a file lies.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Literal

from backtrans.records import Reject

FIELDS = ("text", "id", "source", "url", "added", "created", "metadata")
"""The fields that a column mapping may name."""


Form = Literal["text", "markdown"]
"""How a text is to be read: as it is, or with the headers, lists and code of Markdown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a document comes from, as far as its corpus says."""

    id: str | None = None
    source: str | None = None
    url: str | None = None
    added: str | None = None
    created: str | None = None
    metadata: str | None = None  # JSON text, whatever its shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Document(Provenance):
    """One document of a corpus."""

    text: str
    form: Form = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread(Provenance):
    """A row that gave no document, and what is known of it all the same."""

    reject: Reject


Record = tuple[int, Document | Unread]
"""A row's zero-based number in its object, and what the row gave."""

_VALUES = attrgetter(*(field.name for field in fields(Provenance)))

LONGEST_KEPT_CHARS = 1_000
"""An id up to this length is kept where a row's provenance is dropped. Source: far over any URL
that serves as one, and little in a shard."""


def bounded(record: Document | Unread, max_provenance_chars: int) -> Document | Unread:
    """Refuse a document that says too much of itself, since a shard's rows are held together.

    Of a refused one no more is kept than its id.
    """
    chars = sum([len(value) for value in _VALUES(record) if value is not None])
    if chars <= max_provenance_chars:
        return record
    known = record.id if len(record.id or "") <= LONGEST_KEPT_CHARS else None
    if isinstance(record, Unread):
        return Unread(reject=record.reject, id=known)
    detail = f"{chars:,} characters, max_provenance_chars is {max_provenance_chars:,}"
    return Unread(reject=Reject("provenance_too_long", detail), id=known)


Records = Iterator[Record]
