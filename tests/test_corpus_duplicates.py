"""Which segments are copies of earlier ones: against a plain loop over all pairs."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtrans.corpus import duplicates
from backtrans.corpus.duplicates import NOTHING, Entries, Verdicts, entries
from backtrans.corpus.similarity import Sketch, Sketcher, Sketches, bytes_needed, estimate
from bench.copies import curve

THRESHOLD = 0.7


def part(found: Sketches, low: int = 0, high: int | None = None) -> Entries:
    """Return the entries of some of the segments, as if they were an object of their own."""
    return entries(Sketches(found.content[low:high], found.bands[low:high], found.bytes[low:high]))


def clusters(seed: int, originals: int) -> list[str]:
    """Return texts, each with some copies of which up to 5% of the words are others."""
    drawn = random.Random(seed)
    texts = []
    for _ in range(originals):
        original = [f"w{drawn.randrange(3000)}" for _ in range(120)]
        for _ in range(drawn.randint(1, 5)):
            share = drawn.choice([0.0, 0.0, 0.01, 0.02, 0.05])
            texts.append(
                " ".join(f"x{k}" if drawn.random() < share else w for k, w in enumerate(original))
            )
    drawn.shuffle(texts)
    return texts


def by_all_pairs(texts: list[str]) -> list[tuple[int, int]]:
    """Return for each text the first with the same words, and the first that is like it."""
    found = [Sketch.of(text) for text in texts]

    def first(place: int, near: bool) -> int:
        mine = found[place]
        for earlier, other in enumerate(found[:place]):
            if not near and other.content == mine.content:
                return earlier
            meet = set(mine.bands) & set(other.bands)
            if near and meet and estimate(mine, other) >= THRESHOLD:
                return earlier
        return NOTHING

    return [(first(place, near=False), first(place, near=True)) for place in range(len(texts))]


def chosen(same: int, like: int) -> int:
    return like if same == NOTHING else same


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10_000), st.data())
def test_the_verdicts_are_those_of_a_loop_over_all_pairs_however_the_texts_come(
    seed: int, data: st.DataObject
) -> None:
    texts = clusters(seed, 12)
    found = Sketcher().sketched(texts)
    cuts = data.draw(st.lists(st.integers(0, len(texts)), max_size=4).map(sorted))
    new_from = cuts.pop() if cuts else 0
    verdicts = Verdicts(part(found, new_from), bytes_needed(THRESHOLD))
    shown = 0
    for cut in [*cuts, new_from]:
        used = verdicts.show(part(found, shown, cut))
        assert all(0 <= place < cut - shown for place in used)
        shown = cut
    same, like, agreeing = verdicts.close()
    expected = by_all_pairs(texts)[new_from:]
    assert same.tolist() == [each for each, _ in expected]
    said = list(map(chosen, same.tolist(), like.tolist()))
    assert said == [chosen(*each) for each in expected]
    for place, (twin, other) in enumerate(expected):
        if twin == NOTHING != other:
            together = np.count_nonzero(found.bytes[new_from + place] == found.bytes[other])
            assert agreeing[place] == together


def test_what_is_shown_says_which_of_it_are_needed_by_name() -> None:
    texts = ["a b c d e f g h", "one two three four five six", "A b c, d e f g h."]
    found = Sketcher().sketched(texts)
    verdicts = Verdicts(part(found, 2), bytes_needed(THRESHOLD))
    assert verdicts.show(part(found, 0, 2)).tolist() == [0]


def test_no_segments_have_no_verdicts() -> None:
    nothing = Sketcher().sketched([])
    verdicts = Verdicts(part(nothing), bytes_needed(THRESHOLD))
    assert verdicts.show(part(nothing)).tolist() == []
    assert [each.tolist() for each in verdicts.close()] == [[], [], []]


def test_one_hash_that_everything_shares_does_not_cost_the_square(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Beyond the bound, what is like none of the first under a hash is kept."""
    monkeypatch.setattr(duplicates, "MAX_COMPARED", 5)
    drawn = np.random.default_rng(1)
    sketches = drawn.integers(0, 256, (40, 64), dtype=np.uint8)
    sketches[30], sketches[31] = sketches[2], sketches[20]
    everything = Entries(sketches, np.full(40, 8, np.uint64), np.arange(40))
    _, like, _ = Verdicts(everything, 45).close()
    assert like[30] == 2
    assert like[31] == NOTHING


def test_pairs_of_which_some_words_differ_are_found_where_they_are_alike() -> None:
    """The curve of `python -m bench.dedup`, over fewer pairs."""
    found = curve(1400, (0.7,), seed=5)[0.7]
    assert found["precision"] >= 0.99
    assert found["recall"] >= 0.97
    for low, (share, _) in found["bins"].items():
        assert share >= 0.9 or low < 0.8, low
        assert share <= 0.15 or low >= 0.6, low


def test_a_page_that_comes_often_is_listed_under_its_content_alone() -> None:
    found = Sketcher().sketched(["one page here and there"] * 50 + ["another page of this kind"])
    assert len(entries(found).hashes) == 2 * 15 + 49
