"""Texts and copies of them, their true similarity, and which copies the pipeline's matching finds.

Promises: texts follow from the seed alone. A text that is no copy is like no other; of a copy,
about so large a share of the words are others as is asked for.

Does not know: jobs, objects, time. `bench.dedup` makes its corpus of these texts, and prints the
curve.
"""

import random
from collections.abc import Iterator
from typing import Any

import numpy as np

from backtrans.corpus.duplicates import NOTHING, Verdicts, entries
from backtrans.corpus.similarity import Sketcher, bytes_needed, words

WORDS = 240
"""Of a document: about 1,500 characters."""

SHARES = (0.0, 0.003, 0.006, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.07, 0.1, 0.15, 0.3)
"""Of the words of a copy that are other words."""


class Writer:
    """Draws texts from a vocabulary whose words are as frequent as those of a language."""

    def __init__(self, seed: int) -> None:
        self._drawn = random.Random(seed)
        letters = "etaoinshrdlucmfwypvbgkjqxz"
        self._words = ["".join(self._drawn.choices(letters, k=2 + k % 9)) for k in range(30_000)]
        self._weights = np.cumsum([1 / (rank + 10) for rank in range(len(self._words))]).tolist()

    def original(self) -> str:
        """Return a text that is like no other."""
        return " ".join(self._drawn.choices(self._words, cum_weights=self._weights, k=WORDS))

    def copy(self, text: str, share: float) -> str:
        """Return a text of which this share of the words are others."""
        return " ".join(
            self._drawn.choice(self._words) if self._drawn.random() < share else word
            for word in text.split()
        )

    def texts(self, count: int) -> Iterator[str]:
        """Yield texts of which a fifth are copies of others."""
        held: list[str] = []
        for _ in range(count):
            if held and self._drawn.random() < 0.2:
                yield self.copy(self._drawn.choice(held), self._drawn.choice(SHARES[:8]))
                continue
            held = [*held[-99:], self.original()]
            yield held[-1]


def true_similarity(one: str, other: str) -> float:
    """Return the Jaccard similarity of two texts' shingles of five words."""

    def shingles(text: str) -> set[tuple[str, ...]]:
        found = words(text)
        return {tuple(found[k : k + 5]) for k in range(len(found) - 4)}

    ours, theirs = shingles(one), shingles(other)
    return len(ours & theirs) / len(ours | theirs)


def matched(texts: list[str], threshold: float) -> list[int]:
    """Return for each text the first that it is a copy of, or NOTHING."""
    verdicts = Verdicts(entries(Sketcher().sketched(texts)), bytes_needed(threshold))
    same, like, _ = verdicts.close()
    return [int(each) for each in np.where(same == NOTHING, like, same)]


def curve(pairs: int, thresholds: tuple[float, ...], seed: int = 1) -> dict[float, dict[str, Any]]:
    """Return, a threshold, the share of pairs found by true similarity, and the precision.

    Precision: of all texts that were called copies, the share whose original is that of the text
    which they were called copies of. Each pair is a cluster of its own, and all are matched at
    once.
    """
    writer = Writer(seed)
    texts: list[str] = []
    similar: list[float] = []
    for number in range(pairs):
        original = writer.original()
        copy = writer.copy(original, SHARES[number % len(SHARES)])
        texts += [original, copy]
        similar.append(true_similarity(original, copy))
    found: dict[float, dict[str, Any]] = {}
    for threshold in thresholds:
        likes = matched(texts, threshold)
        called = [(place, like) for place, like in enumerate(likes) if like != NOTHING]
        right = sum(place // 2 == like // 2 for place, like in called)
        bins: dict[float, list[bool]] = {}
        for number, similarity in enumerate(similar):
            low = min(int(similarity * 20 + 1e-9) / 20, 1.0)
            bins.setdefault(low, []).append(likes[2 * number + 1] == 2 * number)
        over = [likes[2 * n + 1] == 2 * n for n, s in enumerate(similar) if s >= 0.8]
        found[threshold] = {
            "precision": right / max(1, len(called)),
            "recall": sum(over) / max(1, len(over)),
            "bins": {low: (sum(hits) / len(hits), len(hits)) for low, hits in sorted(bins.items())},
        }
    return found
