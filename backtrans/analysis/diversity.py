"""How diverse texts are: how many different trigrams there are in so many of them.

A set has more of them the larger it is, so what is compared is a curve: the count in nested random
subsets, at sizes that are the same for every set.

Promises: a smaller subset lies within each larger one, so a curve never falls; the same seed draws
the same subsets. A trigram is three words in a row of one text, in one case, without punctuation.

Does not know: instructions from responses.
Source: 2408.04614 section 5.2 and figure 3: unique trigrams "given the same data quantity". How its
words are cut is not said; here as for deduplication.
"""

from collections.abc import Sequence

import numpy as np

from backtrans.corpus.words import gram_hashes, word_hashes, words

N_WORDS = 3

SMALLEST = 100
"""The first size; each next one is twice it. Source: doubling from 100 meets the data sizes of
2408.04614: 3,200, 6,400, 12,800, 25,600, 51,200."""


def common_sizes(all_sizes: Sequence[int]) -> list[int]:
    """Return the sizes at which sets are compared: doubled ones, and each set whole."""
    sizes, size = set(all_sizes), SMALLEST
    while size < max(all_sizes):
        sizes.add(size)
        size *= 2
    return sorted(sizes)


def curve(texts: Sequence[str], seed: int, sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Return those of the sizes that there are texts for, each with its different trigrams.

    Memory: some 65 bytes a trigram at its highest. Trigrams are told apart by 64 bits: of 25
    million, the odds that any two fall together are 1 in 60,000.
    """
    order = np.random.default_rng(seed).permutation(len(texts))
    found, places = [], []
    for place, index in enumerate(order.tolist()):
        grams = gram_hashes(word_hashes(words(texts[index])), [N_WORDS]).get(N_WORDS)
        if grams is not None and len(grams):
            unique = np.unique(grams)
            found.append(unique)
            places.append(np.full(len(unique), place, dtype=np.int32))
    sizes = [size for size in sizes if size <= len(texts)]
    if not found:
        return [(size, 0) for size in sizes]
    # A stable sort: of equal trigrams the first is that of the smallest subset.
    _, first = np.unique(np.concatenate(found), return_index=True)
    came = np.sort(np.concatenate(places)[first])
    return [(size, int(np.searchsorted(came, size))) for size in sizes]
