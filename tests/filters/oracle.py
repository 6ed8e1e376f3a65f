"""datatrove's filters, fed with our words and sentences; used by the benchmark too."""

from typing import Any

from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from datatrove.utils.word_tokenizers import WordTokenizer

from backtrans.corpus.filters.candidate import sentence_ends

MAX_WORDS = 600
"""Our and its bound in these comparisons: documents of 100,000 words would say no more."""


class OurWords(WordTokenizer):
    """What white space separates, and sentences as `candidate.sentence_ends` has them."""

    def word_tokenize(self, text: str) -> list[str]:
        return text.split()

    def sent_tokenize(self, text: str) -> list[str]:
        return [text[start:end] for start, end in self.span_tokenize(text)]

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        ends = [*sentence_ends(text), len(text)]
        return list(zip([0, *ends], ends, strict=False))


def filters() -> dict[str, Any]:
    """Datatrove's filter for each family of ours that it has."""
    ours = OurWords()
    return {
        "c4": C4QualityFilter(language=ours),
        "fineweb": FineWebQualityFilter(language=ours),
        "gopher_quality": GopherQualityFilter(language=ours, max_doc_words=MAX_WORDS),
        "gopher_repetition": GopherRepetitionFilter(language=ours),
    }


def kept(of: Any, text: str) -> tuple[bool, str]:
    """Whether a filter keeps a text, and its word for why not."""
    found = of.filter(Document(text=text, id="d"))
    return (found, "") if isinstance(found, bool) else found
