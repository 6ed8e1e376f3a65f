"""Choose the pieces of a document that could be a response.

Promises: a segment is a span of the document's text, nothing added or changed. A document gives at
least one span, or a Reject.

Does not know: what a good segment says; languages; rows and parts.
"""

from collections.abc import Callable

from backtrans.corpus.document import Document
from backtrans.corpus.headers import sections
from backtrans.corpus.passages import passages
from backtrans.corpus.span import Method, SegmentSettings, Span, whole
from backtrans.records import Reject


def spans(document: Document, settings: SegmentSettings) -> list[Span] | Reject:
    """Return a document's segments in order of their start, or why it has none."""
    return _METHODS[settings.method](document, settings)


def _auto(document: Document, settings: SegmentSettings) -> list[Span] | Reject:
    return (sections if document.form == "markdown" else whole)(document, settings)


_METHODS: dict[Method, Callable[[Document, SegmentSettings], list[Span] | Reject]] = {
    "auto": _auto,
    "document": whole,
    "headers": sections,
    "passages": passages,
}
