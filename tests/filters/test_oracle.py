"""Our decisions are datatrove's, but where the table of docs/filters.md says why not.

Both are given the same words and sentences. Each disagreement has one of these causes, and goes away
when the cause is taken out of the text:

| family | cause | here | datatrove |
|---|---|---|---|
| Gopher quality | a word of symbols alone, such as a bullet or an emoji | no word | a word, unless each character is on its list of punctuation (where the wide １ is, too) |
| Gopher repetition | no text at all | repeats nothing (cutting refuses it) | refused as empty |
| Gopher repetition | runs of words that differ only in where a space stands | different | the same |
| FineWeb | a terminal mark that Unicode has added or taken away of late | as Unicode 17 has it | as an older Unicode had it |
"""  # noqa: E501

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest
from datatrove.pipeline.filters import GopherRepetitionFilter
from datatrove.utils.text import PUNCTUATION_SET, TERMINAL_PUNCTUATION
from hypothesis import given
from hypothesis import strategies as st

from backtrans.corpus.document import Document
from backtrans.corpus.filters.candidate import Candidate
from backtrans.corpus.filters.fineweb import TERMINAL, FineWebSettings
from backtrans.corpus.filters.gopher import (
    GopherQualitySettings,
    GopherRepetitionSettings,
    repetition_rules,
    top_ngram,
)
from backtrans.corpus.filters.ordered import FilterSettings, rules_of
from tests.filters import generated, oracle

REAL = Path(__file__).parents[3] / "shared/data/dolma/cc_en_head-0091.jsonl.gz"

SETTINGS = FilterSettings(
    gopher_quality=GopherQualitySettings(max_words=oracle.MAX_WORDS),
    fineweb=FineWebSettings(max_duplicate_chars=0.01),
)
FAMILIES = ("c4", "fineweb", "gopher_quality", "gopher_repetition")
GENERATED = 2_064  # 86 of each kind
RARE = list(dict.fromkeys(word for word in generated.WORDS if len(word) > 5))
ALIKE_BUT_FOR_SPACES = " ".join(
    [f"{a}{b[0]} {b[1:]} {c} {d} {e}" for a, b, c, d, e in zip(*[iter(RARE[:60])] * 5, strict=True)]
    + [f"{a} {b} {c} {d} {e}" for a, b, c, d, e in zip(*[iter(RARE[:60])] * 5, strict=True)]
)


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return [*generated.documents(GENERATED), ALIKE_BUT_FOR_SPACES]


def ours(family: str, text: str) -> str | None:
    candidate = Candidate(text, Document(text=text))
    for rule in rules_of(family, SETTINGS):
        if reject := rule.why(candidate):
            return reject.reason
    return None


def agree(family: str, of: Any, text: str) -> bool:
    return oracle.kept(of, text)[0] == (ours(family, text) is None)


def disputed_word(word: str) -> bool:
    """Whether only one of the two takes it for a word."""
    return any(map(str.isalnum, word)) != any(c not in PUNCTUATION_SET for c in word)


def without_cause(family: str, text: str) -> tuple[str, str] | None:
    """The cause in a text for which there may be a disagreement, and the text without it."""
    if family == "gopher_quality" and any(map(disputed_word, text.split())):
        return "symbols", " ".join(w for w in text.split(" ") if not disputed_word(w))
    if family == "gopher_repetition" and not text:
        return "empty", "."
    if family == "gopher_repetition" and (words := text.split()):
        runs = list(zip(*(words[start:] for start in range(5)), strict=False))
        if len(set(runs)) != len({"".join(run) for run in runs}):
            return "spaces", re.sub(r"(?<=\S)(?=\s|$)", "|", text)
    if family == "fineweb" and (marks := TERMINAL ^ TERMINAL_PUNCTUATION) & set(text):
        return "marks", "".join(c for c in text if c not in marks)
    return None


@pytest.mark.parametrize(
    ("family", "causes"),
    [
        ("c4", set()),
        ("fineweb", set()),
        ("gopher_quality", {"symbols"}),
        ("gopher_repetition", {"empty", "spaces"}),
    ],
)
def test_decisions_are_datatroves_but_for_the_causes_in_the_table(
    family: str, causes: set[str], texts: list[str]
) -> None:
    of = oracle.filters()[family]
    seen = set()
    for text in texts:
        if agree(family, of, text):
            continue
        found = without_cause(family, text)
        assert found is not None, f"no cause in {text!r}"
        cause, rest = found
        assert agree(family, of, rest), f"{cause} is not the cause in {text!r}"
        seen.add(cause)
    assert seen == causes


def test_only_terminal_marks_of_rare_scripts_are_disputed() -> None:
    """What they are is seen by character, since no generated text has them."""
    of = oracle.filters()["fineweb"]
    for mark in TERMINAL | TERMINAL_PUNCTUATION:
        text = "\n".join([f"A line of many words that ends in a mark{mark}"] * 1)
        disputed = mark in TERMINAL ^ TERMINAL_PUNCTUATION
        assert agree("fineweb", of, text) != disputed
    assert not {c for c in TERMINAL ^ TERMINAL_PUNCTUATION if ord(c) < 0x1700}


@pytest.mark.parametrize("family", FAMILIES)
def test_agreement_says_something_since_each_rule_refuses_some_texts(
    family: str, texts: list[str]
) -> None:
    off_by_default = {"c4_removed_lines"}
    for rule in rules_of(family, SETTINGS):
        refused = sum(rule.why(Candidate(text, Document(text=text))) is not None for text in texts)
        if rule.name not in off_by_default:
            assert 5 <= refused <= len(texts) * 0.6, rule.name


@given(
    st.lists(st.sampled_from("abc"), min_size=1, max_size=60),
    st.integers(1, 6),
    st.lists(st.tuples(st.integers(1, 9), st.floats(0, 0.9)), min_size=1, max_size=4).map(tuple),
)
def test_runs_of_words_are_counted_as_if_each_were_looked_at(
    letters: list[str], chars: int, bounds: tuple[tuple[int, float], ...]
) -> None:
    """Few different words and any bounds, so that no short cut goes unseen."""
    text = " ".join(letter * chars for letter in letters)
    of = GopherRepetitionFilter(
        language=oracle.OurWords(), top_n_grams=bounds[:1], dup_n_grams=bounds
    )
    ours = GopherRepetitionSettings(top_ngrams=bounds[:1], duplicate_ngrams=bounds)
    rules = repetition_rules(ours)
    refused = any(rule.why(Candidate(text, Document(text=text))) for rule in rules)
    assert oracle.kept(of, text)[0] != refused
    several = GopherRepetitionFilter(language=oracle.OurWords(), top_n_grams=bounds, dup_n_grams=())
    seen = top_ngram(Candidate(text, Document(text=text)), bounds)
    assert oracle.kept(several, text)[0] == (seen is None)


@pytest.mark.skipif(not REAL.is_file(), reason="no real Dolma documents in ../shared/data")
@pytest.mark.parametrize("family", FAMILIES)
def test_decisions_on_real_documents_and_their_lines_are_datatroves(family: str) -> None:
    with gzip.open(REAL) as file:
        whole = [json.loads(line)["text"] for line in file]
    of = oracle.filters()[family]
    pieces = [
        text[at : at + 1_500] for text in whole for at in range(0, min(len(text), 9_000), 750)
    ]
    for text in [*whole, *pieces]:
        found = without_cause(family, text)
        assert agree(family, of, text if found is None else found[1])
