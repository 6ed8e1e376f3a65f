"""Which segments are copies of earlier ones: against a plain loop over all pairs."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtrans.corpus import duplicates
from backtrans.corpus.duplicates import NOTHING, Entries, Verdicts
from backtrans.corpus.similarity import Sketch, Sketcher, Sketches, bytes_needed, estimate

THRESHOLD = 0.7


def entries(found: Sketches, low: int = 0, high: int | None = None) -> Entries:
    hashes = np.concatenate([found.bands, found.content[:, None]], axis=1)[low:high]
    segment = np.repeat(np.arange(len(hashes)), hashes.shape[1])
    return Entries(found.bytes[low:high], hashes.reshape(-1), segment)


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


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10_000), st.data())
def test_the_verdicts_are_those_of_a_loop_over_all_pairs_however_the_texts_come(
    seed: int, data: st.DataObject
) -> None:
    texts = clusters(seed, 12)
    found = Sketcher().sketched(texts)
    cuts = data.draw(st.lists(st.integers(0, len(texts)), max_size=4).map(sorted))
    new_from = cuts.pop() if cuts else 0
    verdicts = Verdicts(entries(found, new_from), bytes_needed(THRESHOLD))
    shown = 0
    for cut in [*cuts, new_from]:
        used = verdicts.show(entries(found, shown, cut))
        assert all(0 <= place < cut - shown for place in used)
        shown = cut
    same, like, agreeing = verdicts.close()
    expected = by_all_pairs(texts)[new_from:]
    assert list(zip(same.tolist(), like.tolist(), strict=True)) == expected
    for place, (_, other) in enumerate(expected):
        if other != NOTHING:
            together = np.count_nonzero(found.bytes[new_from + place] == found.bytes[other])
            assert agreeing[place] == together


def test_what_is_shown_says_which_of_it_are_needed_by_name() -> None:
    texts = ["a b c d e f g h", "one two three four five six", "A b c, d e f g h."]
    found = Sketcher().sketched(texts)
    verdicts = Verdicts(entries(found, 2), bytes_needed(THRESHOLD))
    assert verdicts.show(entries(found, 0, 2)).tolist() == [0]


def test_no_segments_have_no_verdicts() -> None:
    nothing = Sketcher().sketched([])
    verdicts = Verdicts(entries(nothing), bytes_needed(THRESHOLD))
    assert verdicts.show(entries(nothing)).tolist() == []
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
