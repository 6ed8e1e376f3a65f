"""The rules together: order, defaults, and any text at all."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtrans.corpus.document import Document
from backtrans.corpus.filters.candidate import Candidate, sentence_ends
from backtrans.corpus.filters.ordered import FAMILIES, ON_BY_DEFAULT, Filters, FilterSettings
from backtrans.microworld.world import World
from backtrans.records import Reject
from tests.filters import generated

TEXT_FAMILIES = tuple(family for family in FAMILIES if family != "language")
ALL = Filters(FilterSettings(families=TEXT_FAMILIES))
HEAD = json.dumps({"bucket": "head", "perplexity": 168.2})

any_text = st.one_of(
    st.text(max_size=300),
    st.text(st.sampled_from("a.!?…#-•{[]1 \n\r\u2028\u3000的"), max_size=300),
    st.lists(st.sampled_from(["the", "and", "wo", "...", "[1]", "\n", "{", "java", "script."])).map(
        " ".join
    ),
    st.integers(1, 5_000).map("w".__mul__),
)


@given(any_text)
def test_any_text_is_judged_and_always_the_same(text: str) -> None:
    document = Document(text=text, metadata=HEAD)
    found = ALL.why(Candidate(text, document))
    assert found == ALL.why(Candidate(text, document))
    assert found is None or isinstance(found, Reject)


@given(any_text)
def test_the_first_rule_in_order_that_objects_gives_the_reason(text: str) -> None:
    document = Document(text=text, metadata=HEAD)
    candidate = Candidate(text, document)
    objecting = [rule.name for rule in ALL.rules if rule.check(candidate) is not None]
    found = ALL.why(Candidate(text, document))
    assert (found.reason if found else None) == (objecting[0] if objecting else None)


@given(any_text)
def test_a_rules_verdict_does_not_depend_on_those_asked_before_it(text: str) -> None:
    document = Document(text=text)
    asked_in_turn = Candidate(text, document)
    for rule in ALL.rules:
        assert rule.check(asked_in_turn) == rule.check(Candidate(text, document)), rule.name


def test_the_families_order_is_not_that_of_the_settings() -> None:
    backwards = Filters(FilterSettings(families=TEXT_FAMILIES[::-1]))
    assert [rule.name for rule in backwards.rules] == [rule.name for rule in ALL.rules]


@pytest.mark.parametrize("text", generated.documents(48))
def test_both_moments_together_say_what_all_rules_say(text: str) -> None:
    document = Document(text=text, metadata='{"bucket": "tail"}' if len(text) % 3 else HEAD)
    found = ALL.of_document(document) or ALL.of_segment(text, document)
    assert found == ALL.why(Candidate(text, document))


def test_a_document_is_judged_by_its_metadata_without_its_text() -> None:
    document = Document(text="#" * 500, metadata=HEAD)
    assert ALL.of_document(document) is None
    assert ALL.of_segment(document.text, document) is not None


def test_the_defaults_refuse_none_of_the_micro_worlds_pages() -> None:
    filters = Filters(FilterSettings())
    assert FilterSettings().families == ON_BY_DEFAULT
    for page in World(7).documents(200):
        document = Document(text=page.text, metadata='{"url":"https://d1.example/"}')
        assert filters.of_document(document) is None
        assert filters.of_segment(page.text, document) is None


def test_no_family_at_all_refuses_nothing() -> None:
    none = Filters(FilterSettings(families=()))
    document = Document(text="", metadata='{"noai": true}')
    assert none.of_document(document) is None
    assert none.of_segment("", document) is None


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("One. Two! Three? Four… Five", 5),
        ("He said “go.” Then he went.", 2),
        ("At 3.5 p.m. it began.", 1),
        ("It cost 5 e.g. a lot.", 1),
        ("今日は。明日は。", 2),
        ("", 1),
    ],
)
def test_sentences_end_at_marks_that_no_lower_case_letter_follows(text: str, count: int) -> None:
    assert 1 + len(sentence_ends(text)) == count
