"""What a segment must pass before a model is asked about it: filters, evaluation sets, privacy.

    document -> rules on what is known of it -> spans -> rules on each text -> runs of evaluation
    sets -> personal data masked or refused

Promises: the cheaper look comes first, and a refused document or segment has the reason of the
first look that refused it; a text that passes is the document's own, but for masks.

Does not know: rows and parts, where evaluation sets lie.
"""

from dataclasses import dataclass, field

from backtrans.corpus.contamination import NGrams
from backtrans.corpus.document import Document
from backtrans.corpus.filters.ordered import Filters, FilterSettings
from backtrans.corpus.privacy import Privacy, PrivacySettings, Treated
from backtrans.corpus.segment import spans
from backtrans.corpus.span import SegmentSettings, Span
from backtrans.records import Reject


@dataclass(frozen=True, slots=True)
class ScreenSettings:
    """How documents are cut and what their segments must pass. All of it decides the result."""

    segment: SegmentSettings = field(default_factory=SegmentSettings)
    filters: FilterSettings = field(default_factory=FilterSettings)
    privacy: PrivacySettings = field(default_factory=PrivacySettings)


class Screen:
    """Cuts documents and looks at their segments."""

    def __init__(self, settings: ScreenSettings, evaluations: NGrams | None = None) -> None:
        self._segment = settings.segment
        self._filters = Filters(settings.filters)
        self._privacy = Privacy(settings.privacy)
        self._evaluations = evaluations

    def spans(self, document: Document) -> list[Span] | Reject:
        """Return where a document's segments lie, whether they will pass or not, or why it has
        none.
        """
        return self._filters.of_document(document) or spans(document, self._segment)

    def look(self, text: str, document: Document) -> Treated | Reject:
        """Return a segment's text as it may be used, or why it may not."""
        if (refused := self._filters.of_segment(text, document)) is not None:
            return refused
        if self._evaluations and (match := self._evaluations.match(text)) is not None:
            return match.reject
        return self._privacy.treat(text)
