"""A text that holds an evaluation text is found, however it was copied; a clean one is not."""

import gzip
import io
import json
import pickle
import random
import subprocess
import sys
import unicodedata
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtrans.corpus import contamination
from backtrans.corpus.contamination import Match, NGrams, overlap, overlaps
from backtrans.corpus.evaluation import EvaluationSet, read_evaluation
from backtrans.corpus.words import gram_hashes, word_hashes, words
from backtrans.errors import ConfigError, InputError

QUESTION = (
    "A baker's dozen of café crèmes costs £39; each costs the same. How much does one cost, and how"
    " much do five cost when every fifth café crème is free of charge?"
)
SHORT = "Which river flows through the town of Oldenburg?"
TEA = EvaluationSet(
    "acme/tea", [("What is this?", "yes"), (QUESTION, "three pounds, and twelve"), (SHORT, "Hunte")]
)
INDEX = NGrams.of([TEA])

draw = random.Random(11)
VOCABULARY = [
    "".join(
        draw.choices("aeiou", k=1) + draw.choices("bcdfghklmnprst", k=2) + draw.choices("aeiou")
    )
    for _ in range(400)
]


def clean(number: int, count: int = 300) -> str:
    """A document of words as frequent as in natural text, that nobody has planted anything in."""
    these = random.Random(number)
    weights = [1 / rank for rank in range(1, len(VOCABULARY) + 1)]
    return " ".join(these.choices(VOCABULARY, weights, k=count)).capitalize() + "."


def found(text: str, index: NGrams = INDEX) -> tuple[str, int]:
    match = index.match(text)
    assert match is not None
    return match.set, match.row


COPIES = {
    "verbatim": QUESTION,
    "in capitals": QUESTION.upper(),
    "in small letters": QUESTION.lower(),
    "without punctuation": QUESTION.replace(",", "").replace(";", "").replace("?", ""),
    "punctuated otherwise": QUESTION.replace(" ", " - ").replace("'", "’"),
    "wrapped and indented": QUESTION.replace(" ", "\n\t\u00a0 "),
    "decomposed": unicodedata.normalize("NFD", QUESTION),
    "in full width": "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in QUESTION),
    "with soft hyphens": QUESTION.replace("char", "ch\u00adar").replace("much", "mu\u200bch"),
    "in Markdown": QUESTION.replace("baker's dozen", "**baker's** _dozen_").replace("; ", ";\n> "),
    "with links": QUESTION.replace("dozen", "[dozen](https://acme.io/dozen)"),
    "in HTML": f"<p>{QUESTION}</p>".replace("each", "<b>each</b>").replace("How", "<i x='y'>How"),
    "with entities": QUESTION.replace("'", "&#39;").replace("£", "&pound;").replace("é", "&#xe9;"),
}  # fmt: skip


@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES.keys())
def test_a_copy_is_found_alone_and_within_another_text(copy: str) -> None:
    assert words(copy) == words(QUESTION)
    assert found(copy) == ("acme/tea", 1)
    assert found(f"{clean(1)}\n\n{copy}\n\n{clean(2)}") == ("acme/tea", 1)


def test_thirteen_words_are_enough_and_twelve_are_not() -> None:
    some = words(QUESTION)[4:17]
    match = INDEX.match(f"{clean(1)} {' '.join(some)} {clean(2)}")
    assert match == Match("acme/tea", 1, 13, 1, " ".join(some))
    assert INDEX.match(f"{clean(1)} {' '.join(some[:12])} {clean(2)}") is None


def test_a_shorter_evaluation_text_is_found_only_whole() -> None:
    assert len(words(SHORT)) == 8
    match = INDEX.match(f"{clean(1)} {SHORT.upper()} {clean(2)}")
    assert match is not None
    assert (match.row, match.words, match.grams) == (2, 8, 1)
    assert INDEX.match(f"{clean(1)} {SHORT.replace('Oldenburg', 'Emden')} {clean(2)}") is None


def test_texts_of_fewer_than_eight_words_are_not_looked_for_and_counted() -> None:
    assert INDEX.match("What is this? Yes. Three pounds, and twelve. Hunte.") is None
    assert INDEX.short_texts == 4
    assert found("What is this?", NGrams.of([TEA], min_words=1)) == ("acme/tea", 0)


def test_none_of_a_thousand_clean_documents_is_found() -> None:
    planted = [(clean(number, 40), clean(number + 10_000, 9)) for number in range(2_000)]
    index = NGrams.of([EvaluationSet("planted", planted)])
    assert [n for n in range(1_000) if index.match(clean(50_000 + n)) is not None] == []


def test_every_one_of_a_thousand_planted_rows_is_found_as_itself() -> None:
    planted = [(clean(number, 30),) for number in range(1_000)]
    index = NGrams.of([TEA, EvaluationSet("planted", planted)])
    for number, (text,) in enumerate(planted):
        match = index.match(f"{clean(70_000 + number)} {text.swapcase()}, {clean(90_000 + number)}")
        assert match is not None
        assert (match.set, match.row, match.words, match.grams) == ("planted", number, 30, 18)


def test_of_several_rows_the_one_with_most_words_is_told() -> None:
    other = " ".join(words(QUESTION)[:15])
    index = NGrams.of([EvaluationSet("part", [(other,)]), TEA])
    assert found(QUESTION, index) == ("acme/tea", 1)
    assert found(other, index) == ("part", 0)


def test_batches_and_windows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [(clean(number, 8 + number % 30),) for number in range(60)]
    text = " ".join([clean(500), *(row[0] for row in rows[20:30]), clean(501)])
    whole = NGrams.of([EvaluationSet("set", rows)])
    expected = whole.match(text)
    monkeypatch.setattr(contamination, "BATCH_WORDS", 10)
    monkeypatch.setattr(contamination, "WINDOW_WORDS", 20)
    parts = NGrams.of([EvaluationSet("set", rows)])
    assert len(parts) == len(whole)
    assert parts.match(text) == expected is not None


def test_chinese_is_found_by_its_characters() -> None:
    index = NGrams.of([EvaluationSet("zh", [("奥尔登堡位于哪条河流的岸边？请用一句话回答。",)])])
    assert found("他问：“奥尔登堡，位于哪条河流的岸边？”然后走了。", index) == ("zh", 0)
    assert index.match("奥尔登堡位于德国西北部的下萨克森州，是一座古老的城市。") is None


def test_a_math_text_is_not_taken_for_markup() -> None:
    assert words("if x<y and z>w then <b>stop</b>") == "if x y and z w then stop".split()


def test_no_set_and_no_text_find_nothing() -> None:
    assert NGrams.of([]).match(QUESTION) is None
    assert NGrams.of([EvaluationSet("empty", [("", "?!"), ()])]).match(QUESTION) is None
    assert INDEX.match("") is None


# ------------------------------------------------------------------ what is told of it


def test_a_reject_names_the_words_the_set_and_the_row() -> None:
    reject = Match("acme/tea", 1_234, 13, 1, "how much does one cost").reject
    assert reject.reason == "contaminated"
    assert reject.detail == "13 words of acme/tea row 1,234: how much does one cost"
    assert overlap(reject.detail) == ("acme/tea", 1_234, 13)


def test_details_add_up_to_what_matched_what() -> None:
    details = [Match("a", row, 13, 1, "b row 7: x").reject.detail for row in (3, 3, 1_000)]
    assert overlaps(details) == {("a", 3): 2, ("a", 1_000): 1}
    with pytest.raises(ValueError, match="not the detail"):
        overlaps(["something else"])


def test_an_excerpt_has_an_end() -> None:
    long = " ".join(letter * 50 for letter in "abcdefghijklm")
    match = NGrams.of([EvaluationSet("long", [(long,)])]).match(long)
    assert match is not None
    assert len(match.excerpt) == contamination.MAX_EXCERPT_CHARS


@pytest.mark.parametrize("name", ["", "two words", "a\nb", "/a"])
def test_a_name_that_would_not_be_read_back_is_a_config_error(name: str) -> None:
    with pytest.raises(ConfigError, match="cannot name"):
        EvaluationSet(name, [])


def test_impossible_lengths_and_equal_names_are_config_errors() -> None:
    with pytest.raises(ConfigError, match="min_words 14 to n 13"):
        NGrams.of([TEA], min_words=14)
    with pytest.raises(ConfigError, match="at most 32,768 words"):
        NGrams.of([], n=100_000)  # a text would be looked at in windows that are shorter
    with pytest.raises(ConfigError, match="same name"):
        NGrams.of([TEA, TEA])


# ------------------------------------------------------------------ the index


def test_the_fingerprint_is_that_of_the_sets_content_and_of_the_lengths() -> None:
    same = EvaluationSet("acme/tea", [list(row) for row in TEA.texts])
    assert NGrams.of([same]).fingerprint == INDEX.fingerprint
    others = [
        NGrams.of([EvaluationSet("tea", TEA.texts)]),
        NGrams.of([EvaluationSet("acme/tea", TEA.texts[:2])]),
        NGrams.of([EvaluationSet("acme/tea", [["What is this?yes"], *TEA.texts[1:]])]),
        NGrams.of([TEA], n=12),
        NGrams.of([TEA], min_words=7),
        NGrams.of([]),
    ]
    assert len({INDEX.fingerprint, *(other.fingerprint for other in others)}) == 7


def test_the_index_is_small_and_is_not_sent_to_workers() -> None:
    index = NGrams.of([EvaluationSet("set", [(clean(n, 60),) for n in range(500)])])
    assert len(index) == 500 * 48
    assert index.nbytes <= 14 * len(index)
    with pytest.raises(TypeError, match="built anew"):
        pickle.dumps(index)


HASHES = """
from backtrans.corpus.words import gram_hashes, word_hashes, words
print([hex(int(h)) for h in gram_hashes(word_hashes(words("Tea, crème & 茶")), (2, 4))[2]])
"""


def test_hashes_are_the_same_in_every_process() -> None:
    told = {
        subprocess.run(
            [sys.executable, "-c", HASHES], check=True, capture_output=True, text=True,
            env={"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert told == {"['0x12584acae0cca098', '0x1a23773b79c4a285']\n"}


# ------------------------------------------------------------------ laws

texts = st.text(st.sampled_from("aéß茶ก '-_<>&;.\n\u00adİǅ") | st.characters(), max_size=60)


@given(texts)
def test_words_of_words_are_those_words(text: str) -> None:
    once = words(text)
    assert words(" ".join(once)) == once
    assert all(word and not word.isspace() for word in once)


@given(st.lists(st.sampled_from(["tea", "crème", "茶", "o'clock", "3", "ΣΊΣΥΦΟΣ"]), max_size=9))
def test_case_form_and_what_stands_between_change_no_word(these: list[str]) -> None:
    expected = [word for each in these for word in words(each)]
    assert words(" ".join(these).upper()) == expected
    assert words(unicodedata.normalize("NFD", "...\n".join(these))) == expected
    assert words("</b> <i>".join(these)) == expected


@given(st.lists(st.text("ab", min_size=1, max_size=3), max_size=40), st.integers(1, 6))
def test_runs_have_the_same_hash_where_their_words_are_the_same(these: list[str], n: int) -> None:
    hashes = gram_hashes(word_hashes(these), (n,)).get(n, np.empty(0, dtype=np.uint64))
    runs = [tuple(these[i : i + n]) for i in range(len(these) - n + 1)]
    assert len(hashes) == len(runs)
    assert len(set(zip(runs, hashes.tolist(), strict=True))) == len(set(runs))
    assert len(set(hashes.tolist())) == len(set(runs))


word_lists = st.lists(st.sampled_from("abc"), max_size=12)


@given(st.lists(word_lists, max_size=5), st.lists(st.sampled_from("abc"), max_size=25))
def test_what_is_found_is_what_comparing_words_finds(
    rows: list[list[str]], text: list[str]
) -> None:
    n, least = 5, 3
    runs = {
        tuple(row[i : i + min(n, len(row))])
        for row in rows
        if len(row) >= least
        for i in range(max(1, len(row) - n + 1))
    }
    expected = any(
        tuple(text[i : i + length]) in runs for length in (3, 4, 5) for i in range(len(text))
    )
    index = NGrams.of([EvaluationSet("set", [(" ".join(row),) for row in rows])], n, least)
    match = index.match(" ".join(text))
    assert (match is not None) == expected
    assert len(index) == len(runs)
    if match is not None:
        assert match.excerpt in " ".join(text)
        assert match.excerpt in " ".join(rows[match.row])
        assert least <= match.words <= len(text)


# ------------------------------------------------------------------ reading sets

ROWS: list[dict[str, Any]] = [
    {"question": QUESTION, "choices": ["three", {"text": "four"}], "answer": 0, "note": None},
    {"question": SHORT, "choices": [], "answer": 1, "note": "of towns"},
]


def as_lines(rows: list[Any]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def as_parquet() -> bytes:
    sink = io.BytesIO()
    rows = [{**row, "choices": [str(each) for each in row["choices"]]} for row in ROWS]
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue()


def read(data: bytes, name: str = "tea.jsonl", fields: tuple[str, ...] = ()) -> list[list[str]]:
    return [list(row) for row in read_evaluation(io.BytesIO(data), name, "tea", fields).texts]


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_every_string_of_a_row_is_read_however_deep(compress: Any) -> None:
    assert read(compress(as_lines(ROWS))) == [[QUESTION, "three", "four"], [SHORT, "of towns"]]


def test_parquet_is_read_as_json_lines_are() -> None:
    told = read(as_parquet(), "tea.parquet")
    assert told[1] == [SHORT, "of towns"]
    assert told[0][:2] == [QUESTION, "three"]


def test_only_the_fields_that_are_named_are_read() -> None:
    assert read(as_lines(ROWS), fields=("note",)) == [[], ["of towns"]]
    assert read(as_parquet(), "tea.parquet", ("note",)) == [[], ["of towns"]]


@pytest.mark.parametrize(
    ("data", "name", "match"),
    [
        (as_lines(ROWS) + b'{"question": ', "tea.jsonl", r"tea\.jsonl: row 2"),
        (as_lines([*ROWS, [1]]), "tea.jsonl", "row 2: not a JSON object"),
        (gzip.compress(as_lines(ROWS))[:-9], "tea.jsonl.gz", r"tea\.jsonl\.gz"),
        (as_parquet()[:-20], "tea.parquet", r"tea\.parquet: cannot be read as Parquet"),
        (as_lines([{"answer": 1}]), "tea.jsonl", "no row holds a text"),
        (b"", "tea.jsonl", "no row holds a text"),
        (b"good morning", "tea.txt", r"tea\.txt"),
    ],
)
def test_a_set_that_cannot_be_read_whole_is_an_input_error(
    data: bytes, name: str, match: str
) -> None:
    with pytest.raises(InputError, match=match):
        read(data, name)


def test_a_field_that_no_row_has_is_an_input_error() -> None:
    with pytest.raises(InputError, match="no row has the field prompt"):
        read(as_lines(ROWS), fields=("question", "prompt"))


class Lost(io.BytesIO):
    """A connection that is lost after the first bytes."""

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() > 0:
            raise OSError("connection reset")
        return super().read(size)


def test_a_failing_read_is_never_taken_for_damage_to_the_set() -> None:
    for data, name in ((as_parquet(), "tea.parquet"), (as_lines(ROWS * 9_999), "tea.jsonl")):
        with pytest.raises(OSError, match="connection reset"):
            read_evaluation(Lost(data), name, "tea")
