"""How alike two texts are: what the sketches promise, and how well they tell it."""

import random
import subprocess
import sys
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtrans.corpus.similarity import (
    BANDS,
    SKETCH_BYTES,
    Sketch,
    Sketcher,
    bytes_needed,
    contents,
    estimate,
    estimated,
    words,
)

TEXT = st.text(st.characters(codec="utf-8"), max_size=200)
PLAIN = st.lists(st.sampled_from("the quick brown fox jumps over a lazy dog".split()), max_size=40)


def shingles(text: str, length: int = 5) -> set[tuple[str, ...]]:
    found = words(text)
    return {tuple(found[k : k + length]) for k in range(max(1, len(found) - length + 1))}


def true_similarity(one: str, other: str) -> float:
    ours, theirs = shingles(one), shingles(other)
    return len(ours & theirs) / len(ours | theirs)


def changed(text: str, share: float, drawn: random.Random) -> str:
    """Return a text of which about this share of the words are others."""
    return " ".join(
        f"other{drawn.randrange(10_000)}" if drawn.random() < share else word
        for word in text.split()
    )


def texts(count: int, drawn: random.Random, length: int = 240) -> list[str]:
    vocabulary = [f"w{k}" for k in range(4000)]
    return [" ".join(drawn.choices(vocabulary, k=length)) for _ in range(count)]


@given(TEXT)
def test_a_text_is_wholly_like_itself(text: str) -> None:
    assert estimate(Sketch.of(text), Sketch.of(text)) == 1.0


@given(TEXT, TEXT)
def test_the_estimate_is_symmetric_and_a_share(one: str, other: str) -> None:
    a, b = Sketch.of(one), Sketch.of(other)
    assert estimate(a, b) == estimate(b, a)
    assert 0.0 <= estimate(a, b) <= 1.0


@given(PLAIN, st.sampled_from([" ", "\n\n", "\t ", ", ", " - ", "! ", "...\u00a0"]))
def test_case_white_space_and_punctuation_make_no_difference(said: list[str], between: str) -> None:
    plain = Sketch.of(" ".join(said))
    assert Sketch.of(f"  {between.join(said).upper()}{between}") == plain


@given(TEXT)
def test_one_letter_in_two_encodings_is_one_letter(text: str) -> None:
    assert Sketch.of(unicodedata.normalize("NFD", text)) == Sketch.of(text)


@given(st.lists(TEXT, max_size=6), st.integers(1, 7))
def test_many_texts_at_once_give_what_each_gives_alone(many: list[str], length: int) -> None:
    found = Sketcher(length).sketched(many)
    assert len(found) == len(many)
    for place, text in enumerate(many):
        alone = Sketch.of(text, length)
        assert int(found.content[place]) == alone.content
        assert tuple(map(int, found.bands[place])) == alone.bands
        assert found.bytes[place].tobytes() == alone.bytes


@given(PLAIN, PLAIN)
def test_contents_are_equal_where_the_words_are_and_only_there(
    one: list[str], other: list[str]
) -> None:
    found = contents([" ".join(one), "  ".join(other)])
    assert (found.content[0] == found.content[1]) == (one == other)
    assert (found.bytes[0] == found.bytes[1]).all() == (one == other)
    assert found.content[0] == Sketch.of(" ".join(one)).content


@given(TEXT)
def test_no_band_can_be_taken_for_a_content(text: str) -> None:
    found = Sketch.of(text)
    assert found.content % 2 == 1
    assert len(found.bands) == BANDS
    assert all(band % 2 == 0 for band in found.bands)


def test_the_order_of_words_counts_and_so_do_words_beyond_the_first_shingle() -> None:
    assert Sketch.of("a b c d e f") != Sketch.of("f e d c b a")
    assert Sketch.of("a b c d e f").bytes != Sketch.of("a b c d e g").bytes


def test_a_text_shorter_than_a_shingle_is_like_nothing_but_itself() -> None:
    short = ["", "one", "one two", "two one", "one two three four"]
    found = [Sketch.of(text) for text in short]
    for place, sketch in enumerate(found):
        assert all(estimate(sketch, each) < 0.3 for each in found[:place])


def test_without_spaces_between_words_a_changed_sentence_leaves_the_others_alike() -> None:
    page = "".join(chr(0x4E00 + random.Random(k).randrange(3000)) for k in range(200))
    assert len(words(page)) == 200
    assert estimate(Sketch.of(page), Sketch.of(page[:150] + "完" + page[151:])) > 0.9


def test_texts_without_a_shingle_in_common_agree_by_chance_alone() -> None:
    found = Sketcher().sketched(texts(400, random.Random(1)))
    agreeing = np.count_nonzero(found.bytes[1:] == found.bytes[:-1]) / (399 * SKETCH_BYTES)
    assert agreeing == pytest.approx(1 / 256, abs=0.0015)


def test_the_estimate_is_near_the_truth_at_any_similarity() -> None:
    drawn = random.Random(2)
    for share in (0.0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.3):
        off = []
        for text in texts(60, drawn):
            other = changed(text, share, drawn)
            said = estimate(Sketch.of(text), Sketch.of(other))
            off.append(said - true_similarity(text, other))
        assert abs(float(np.mean(off))) < 0.03, share
        assert max(map(abs, off)) < 0.25, share


@pytest.mark.parametrize("threshold", [0.01, 0.5, 0.7, 0.8, 1.0])
def test_as_many_bytes_as_needed_reach_the_threshold_and_one_less_does_not(
    threshold: float,
) -> None:
    needed = bytes_needed(threshold)
    assert estimated(needed) >= threshold > estimated(needed - 1)


def test_another_process_sketches_the_same() -> None:
    """These figures are in what is committed: others mean a new `similarity.VERSION`."""
    said = "from backtrans.corpus.similarity import Sketch; s = Sketch.of('Ein Wort, und zwei!')"
    shown = subprocess.run(
        [sys.executable, "-c", f"{said}; print(s.content, s.bands[0], s.bytes.hex()[:32])"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert shown.stdout.split() == [
        "9963033974677692091",
        "8389486747615340830",
        "ddab6e9e8932367d20f7a032ae791853",
    ]
