"""A segment is a span of the document's own text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtrans.corpus.document import Document
from backtrans.corpus.segment import spans
from backtrans.corpus.span import SegmentSettings, Span
from backtrans.errors import ConfigError
from backtrans.records import Reject

ANY_LENGTH = SegmentSettings(min_chars=0, max_chars=10**9)


def test_the_whole_text_is_taken_without_the_white_space_around_it() -> None:
    assert spans(Document(text="\n  Tea and\tmilk. \u3000\n"), ANY_LENGTH) == [Span(3, 16)]


@pytest.mark.parametrize(
    ("text", "reason", "detail"),
    [
        ("", "text_empty", "0 characters"),
        (" \n\t\u00a0", "text_empty", "4 characters"),
        ("a" * 9, "too_short", "9 characters, min_chars is 10"),
        ("  " + "a" * 9 + "  ", "too_short", "9 characters"),
        ("a" * 21, "too_long", "21 characters, max_chars is 20"),
    ],
)
def test_a_document_without_a_segment_says_why_with_its_length(
    text: str, reason: str, detail: str
) -> None:
    found = spans(Document(text=text), SegmentSettings(min_chars=10, max_chars=20))
    assert isinstance(found, Reject)
    assert found.reason == reason
    assert detail in found.detail


@pytest.mark.parametrize("chars", [10, 20])
def test_both_limits_are_within_the_range(chars: int) -> None:
    found = spans(Document(text="é" * chars), SegmentSettings(min_chars=10, max_chars=20))
    assert found == [Span(0, chars)]


def test_an_impossible_range_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="min_chars 30 to max_chars 20"):
        SegmentSettings(min_chars=30, max_chars=20)


@given(st.text(st.sampled_from(" \n\u2003\u200baé😀"), max_size=40))
def test_spans_index_the_text_exactly(text: str) -> None:
    found = spans(Document(text=text), ANY_LENGTH)
    if isinstance(found, Reject):
        assert found.reason == "text_empty"
        assert text.strip() == ""
    else:
        assert [text[span.start : span.end] for span in found] == [text.strip()]
