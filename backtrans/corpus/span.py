"""A piece of a document, and which pieces are asked for.

Promises: a span indexes the document's text, character for character, end exclusive.

Does not know: how documents are cut (`segment`).
"""

from dataclasses import dataclass
from typing import Literal, get_args

from backtrans.corpus.document import Document
from backtrans.errors import ConfigError
from backtrans.records import Reject

Method = Literal["auto", "document", "headers", "passages"]
"""auto: what came from a web page by its headers, any other text whole."""


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a document's text, in characters, end exclusive."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class SegmentSettings:
    """How documents are cut. All of it decides the result."""

    method: Method = "auto"
    # Source: Humpback (2308.06259), section 3.1: segments of 600 to 3,000 characters.
    min_chars: int = 600
    max_chars: int = 3_000

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            known = ", ".join(get_args(Method))
            raise ConfigError(f"no segmentation {self.method!r}; there are {known}")
        if not 0 <= self.min_chars <= self.max_chars:
            raise ConfigError(f"min_chars {self.min_chars} to max_chars {self.max_chars}: no range")


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
