"""What a rewrite did to its source: figures that hold for any two texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtrans.corpus.words import words
from backtrans.errors import ConfigError
from backtrans.records import REWRITTEN
from backtrans.rewriting import (
    MAX_LISTED,
    MAX_LISTED_CHARS,
    RefuseSettings,
    dropped_names,
    dropped_numbers,
    figures,
    names,
    novelty,
)

SOURCE = (
    "The Eiffel Tower was built by Gustave Eiffel in 1889. It is 330 m high, and about 7,000,000"
    " people see it each year."
)
texts = st.text(st.characters(codec="utf-8"), max_size=200)
lengths = st.integers(1, 4)


@given(texts, texts)
def test_there_are_figures_of_any_two_texts_and_they_lie_in_their_ranges(
    source: str, rewrite: str
) -> None:
    found = figures(source, rewrite)
    assert set(found) <= {name for name, _ in REWRITTEN}
    assert 0 <= found["rewrite_novelty"] <= 1
    assert 0 <= found["rewrite_new_words"] <= 1
    assert found["rewrite_length_ratio"] >= 0
    for kind in ("dropped_numbers", "dropped_names"):
        assert len(found[f"{kind}_listed"]) == min(found[kind], MAX_LISTED)
    for listed in (v for v in found.values() if isinstance(v, list)):
        assert all(len(each) <= MAX_LISTED_CHARS for each in listed)


@given(texts, lengths)
def test_a_text_beside_itself_has_nothing_new_and_lacks_nothing(text: str, n: int) -> None:
    assert novelty(words(text), words(text), n) == 0
    found = figures(text, text)
    assert found["dropped_numbers"] == found["dropped_names"] == 0
    assert found["rewrite_leaks"] == found["rewrite_refusals"] == []
    assert found["rewrite_length_ratio"] == (1 if text else 0)


@given(st.lists(st.sampled_from("abc")), st.lists(st.sampled_from("xyz"), min_size=1), lengths)
def test_of_a_text_that_shares_no_word_all_is_new(
    source: list[str], rewrite: list[str], n: int
) -> None:
    assert novelty(source, rewrite, n) == 1


@given(st.lists(st.sampled_from("abcd")), st.lists(st.sampled_from("abcd")))
def test_longer_runs_are_new_where_shorter_ones_are(source: list[str], rewrite: list[str]) -> None:
    shares = [novelty(source, rewrite, n) > 0 for n in range(1, 5)]
    assert shares == sorted(shares)


def test_case_spaces_and_punctuation_are_not_new() -> None:
    assert figures("Boil it, for six minutes.", "BOIL it\nfor *six* minutes!")[
        "rewrite_novelty"
    ] == pytest.approx(0)
    assert novelty(words("a b c d e"), words("a b c x e"), 3) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("rewrite", "missing"),
    [
        (SOURCE, []),
        ("In 1889 it was 330 m high; 7000000 see it.", []),
        ("It is 33 m high, and 7,000,00 see it. In 18890?", ["1889", "330", "7000000"]),
        ("", ["1889", "330", "7000000"]),
    ],
)
def test_a_number_is_dropped_unless_it_stands_there_whole(rewrite: str, missing: list[str]) -> None:
    assert dropped_numbers(SOURCE, rewrite) == missing


def test_a_number_within_a_word_is_none() -> None:
    assert dropped_numbers("word12 and b2b, but 3.5 or 12:30 on 1/2/2020", "") == [
        "3.5",
        "12:30",
        "1/2/2020",
    ]


def test_names_are_what_has_capitals_within_sentences() -> None:
    assert names(SOURCE) == ["Eiffel", "Tower", "Gustave"]
    headed = (
        "How To Boil An Egg\n\nThey think that I am Ann-Marie, and I'm not. Say that it is The End."
    )
    assert names(headed) == ["Ann-Marie", "The", "End"]
    assert names("The tower. We call it Tower, or tower.") == []
    assert names("Ça plaît à Élodie. 埃菲尔铁塔在巴黎。") == ["Élodie"]


def test_a_name_is_dropped_unless_its_word_is_there_in_any_case() -> None:
    assert dropped_names(SOURCE, "EIFFEL built the tower.") == ["Gustave"]
    assert dropped_names(SOURCE, "Nobody did.") == ["Eiffel", "Tower", "Gustave"]


def test_what_is_listed_is_bounded_and_what_is_counted_is_not() -> None:
    found = figures(" ".join(str(n) for n in range(100)) + " " + "9" * 200, "none")
    assert found["dropped_numbers"] == 101
    assert found["dropped_numbers_listed"] == [str(n) for n in range(MAX_LISTED)]
    assert len(figures("9" * 200, "")["dropped_numbers_listed"][0]) == MAX_LISTED_CHARS


@pytest.mark.parametrize(
    "said",
    [
        "As the draft says, boil it.",
        "I improved the original draft.",
        "As said in the text above, boil it.",
        "Based on the information provided, six minutes.",
        "According to the provided text, six minutes.",
        "This web text is about eggs.",
        "Here is the rewritten response: boil it.",
        "The provided question is about eggs.",
    ],
)
def test_what_speaks_of_a_draft_or_a_text_that_nobody_has_is_a_leak(said: str) -> None:
    assert figures("Boil the egg.", said)["rewrite_leaks"]
    assert figures(f"An editor wrote: {said}", said)["rewrite_leaks"] == []


@pytest.mark.parametrize(
    "said",
    [
        "I’m sorry, but no.",
        "I apologize for that.",
        "As an AI language model, I boil no eggs.",
        "I cannot provide this.",
        "I am unable to boil it.",
    ],
)
def test_what_declines_is_a_refusal_unless_the_source_does(said: str) -> None:
    assert figures("Boil the egg.", said)["rewrite_refusals"]
    assert figures(f"She said: {said}", said)["rewrite_refusals"] == []


@pytest.mark.parametrize(
    "said",
    [
        "Keep the tower's text in mind: boil the egg, and provide salt.",
        "Cold drafts are bad for eggs; overdraft fees too.",
        "I can help, and will provide a pan. The answer is six minutes.",
        "Read the text of the law. The improved recipe is above the stove.",
    ],
)
def test_plain_words_are_neither(said: str) -> None:
    found = figures("Boil the egg.", said)
    assert (found["rewrite_leaks"], found["rewrite_refusals"]) == ([], [])


SETTINGS = RefuseSettings(max_novelty=0.5, min_length_ratio=0.5, max_length_ratio=2.0)
FINE = {
    "rewrite_novelty": 0.5,
    "rewrite_length_ratio": 1.0,
    "rewrite_leaks": [],
    "rewrite_refusals": [],
}


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        ({}, None),
        ({"rewrite_length_ratio": 0.5}, None),
        ({"rewrite_length_ratio": 2.0}, None),
        ({"rewrite_novelty": 0.51}, "rewrite_novel"),
        ({"rewrite_length_ratio": 0.49}, "rewrite_too_short"),
        ({"rewrite_length_ratio": 2.01}, "rewrite_too_long"),
        ({"rewrite_leaks": ["the draft"]}, "rewrite_leaks"),
        ({"rewrite_refusals": ["sorry"], "rewrite_leaks": ["the draft"]}, "rewrite_refuses"),
    ],
)
def test_what_the_recipe_names_refuses_and_nothing_else(
    odd: dict[str, object], reason: str | None
) -> None:
    refused = SETTINGS.verdict({**FINE, **odd})
    assert (refused and refused.reason) == reason
    assert RefuseSettings(False, False, None, None, None).verdict({**FINE, **odd}) is None


@pytest.mark.parametrize(
    "wrong",
    [{"max_novelty": 1.5}, {"max_novelty": -0.1}, {"min_length_ratio": -1.0},
     {"min_length_ratio": 2.0, "max_length_ratio": 1.0}],
)  # fmt: skip
def test_bounds_that_nothing_can_meet_are_a_wrong_configuration(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        RefuseSettings(**wrong)  # type: ignore[arg-type]
