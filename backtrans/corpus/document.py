"""What a reader yields: for every row of an object a document, or why there is none.

Promises: values are text or None, whatever the corpus held; a string stays exactly as it was.

Does not know: file formats, where a file lies.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from backtrans.records import Reject

FIELDS = ("text", "id", "source", "url", "added", "created", "metadata")
"""The fields that a column mapping may name."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread(Provenance):
    """A row that gave no document, and what is known of it all the same."""

    reject: Reject


Record = tuple[int, Document | Unread]
"""A row's zero-based number in its object, and what the row gave."""

Records = Iterator[Record]
