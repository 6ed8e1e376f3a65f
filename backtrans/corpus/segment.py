"""Choose the pieces of a document that could be a response.

Promises: a segment is a span of the document's text, character for character: what lies between
`start` and `end`, nothing added or changed. A document gives at least one span, or a Reject.

Does not know: what a good segment says; languages; rows and parts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from backtrans.corpus.document import Document
from backtrans.errors import ConfigError
from backtrans.records import Reject


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a document's text, in characters, end exclusive."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class SegmentSettings:
    """How documents are cut. All of it decides the result."""

    # "auto" is "headers" for what came from a web page, and "document" for any other text.
    method: Literal["auto", "document", "headers"] = "auto"
    # Source: Humpback (2308.06259), section 3.1: segments of 600 to 3,000 characters.
    min_chars: int = 600
    max_chars: int = 3_000

    def __post_init__(self) -> None:
        if self.method not in _METHODS:
            raise ConfigError(f"no segmentation {self.method!r}; there are {', '.join(_METHODS)}")
        if not 0 <= self.min_chars <= self.max_chars:
            raise ConfigError(f"min_chars {self.min_chars} to max_chars {self.max_chars}: no range")


def spans(document: Document, settings: SegmentSettings) -> list[Span] | Reject:
    """Return a document's segments in order of their start, or why it has none."""
    return _METHODS[settings.method](document, settings)


def whole(document: Document, settings: SegmentSettings) -> list[Span] | Reject:
    """Take the whole text without the white space around it."""
    start = len(document.text) - len(document.text.lstrip())
    end = len(document.text.rstrip())
    chars = end - start
    if end <= start:
        return Reject("text_empty", f"{len(document.text):,} characters of white space")
    if chars < settings.min_chars:
        return Reject("too_short", f"{chars:,} characters, min_chars is {settings.min_chars:,}")
    if chars > settings.max_chars:
        return Reject("too_long", f"{chars:,} characters, max_chars is {settings.max_chars:,}")
    return [Span(start, end)]


def _auto(document: Document, settings: SegmentSettings) -> list[Span] | Reject:
    return (_headers if document.form == "markdown" else whole)(document, settings)


def _headers(document: Document, settings: SegmentSettings) -> list[Span] | Reject:
    from backtrans.corpus.headers import sections  # late: it is made of what stands here

    return sections(document, settings)


# Here is a place for "passages".
_METHODS: dict[str, Callable[[Document, SegmentSettings], list[Span] | Reject]] = {
    "auto": _auto,
    "document": whole,
    "headers": _headers,
}
