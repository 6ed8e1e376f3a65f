"""Find in a text what it has from an evaluation set: runs of the same words.

Promises: a text that holds n consecutive words of an evaluation text, or the whole of one that has
fewer but no less than `min_words`, is found, in whatever case, punctuation, spacing, Unicode form
or markup; the index takes 13 to 14 bytes a run; what is found does not depend on the process.

Does not know: paraphrases and translations; which of several rows that share a run a text is from
(the first counts); whether a run is a common phrase, as rows of one template or quotations share:
the counts by set and row show those. Runs are told by 64-bit hashes and not compared word by word:
a million texts of 1,000 words make, against 10 million runs, some 6 * 10**16 of 2**64 pairs, so
that one of 300 such corpora holds a chance hit.

Source: 2005.14165, appendix C: runs of 13 words; 8 at least, since shorter ones hit by chance.
"""

import hashlib
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from backtrans.corpus.evaluation import EvaluationSet
from backtrans.corpus.words import VERSION, Hashes, gram_hashes, word_hashes, words
from backtrans.errors import ConfigError
from backtrans.records import Reject

N_WORDS = 13
MIN_WORDS = 8

MAX_EXCERPT_CHARS = 120
WINDOW_WORDS = 2**16
"""Words hashed at once: a few MiB, whatever a text's length."""
MAX_N_WORDS = WINDOW_WORDS // 2
"""Of the longest run: windows share that much, so that no run falls between two."""
BATCH_WORDS = 2**18
"""Words of evaluation texts hashed at once."""

_DETAIL = re.compile(r"([\d,]+) words of (\S+) row ([\d,]+): (.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Match:
    """What a text has of the row of which it has most."""

    set: str
    row: int  # zero-based, as in the set
    words: int  # of the text, in runs that are the row's
    grams: int  # how many runs of n words, or of a shorter row's length
    excerpt: str  # the words where the first of them stands, normalised

    @property
    def reject(self) -> Reject:
        """Refuse the text. The detail's form is what `overlap` reads."""
        where = f"{self.words:,} words of {self.set} row {self.row:,}"
        return Reject("contaminated", f"{where}: {self.excerpt}")


def overlap(detail: str) -> tuple[str, int, int]:
    """Return the set, the row and the number of words that a reject's detail tells.

    Its form: "13 words of mmlu row 1,234: the words themselves".
    Raises: ValueError for another form.
    """
    told = _DETAIL.fullmatch(detail)
    if told is None:
        raise ValueError(f"not the detail of a contaminated text: {detail!r}")
    count, name, row = told[1], told[2], told[3]
    return name, int(row.replace(",", "")), int(count.replace(",", ""))


def overlaps(details: Iterable[str]) -> Counter[tuple[str, int]]:
    """Count rejects by the set and row that they were found to hold, given their details."""
    return Counter(overlap(detail)[:2] for detail in details)


class NGrams:
    """The runs of words of evaluation sets. It is built in each process, not sent to it."""

    def __init__(
        self,
        hashes: Hashes,
        rows: NDArray[np.uint32],
        sets: Sequence[EvaluationSet],
        lengths: tuple[int, ...],
        fingerprint: str,
        short_texts: int,
    ) -> None:
        self._hashes = hashes  # sorted, each once
        self._present = Present(hashes)
        self._rows = rows  # of each hash, counted through all sets
        self._names = [each.name for each in sets]
        self._firsts = [0]  # the number of each set's first row
        for each in sets:
            self._firsts.append(self._firsts[-1] + len(each.texts))
        self._lengths = lengths  # in words, of the runs that there are
        self.short_texts = short_texts
        """How many evaluation texts have fewer than `min_words`, and are not looked for."""
        self.fingerprint = fingerprint
        """Names the index by its sets' content, the lengths asked for, and what words are."""

    @classmethod
    def of(
        cls, sets: Sequence[EvaluationSet], n: int = N_WORDS, min_words: int = MIN_WORDS
    ) -> "NGrams":
        """Build the index of some sets.

        Raises: ConfigError where lengths are impossible, or two sets have one name.
        """
        if not 1 <= min_words <= n:
            raise ConfigError(f"min_words {min_words} to n {n}: no range")
        if n > MAX_N_WORDS:
            raise ConfigError(f"n {n:,}: runs have at most {MAX_N_WORDS:,} words")
        if len({each.name for each in sets}) < len(sets):
            raise ConfigError("two evaluation sets have the same name")
        texts = ((number, text) for number, row in enumerate(_rows(sets)) for text in row)
        batches: list[tuple[Hashes, NDArray[np.uint32]]] = []
        batch: list[tuple[int, list[str]]] = []
        lengths = {n}
        batch_words = short_texts = 0
        for number, text in texts:
            found = words(text)
            if len(found) < min_words:
                short_texts += 1
                continue
            lengths.add(min(n, len(found)))
            batch.append((number, found))
            batch_words += len(found)
            if batch_words > BATCH_WORDS:
                batches.append(_grams_of(batch, n))
                batch, batch_words = [], 0
        batches.append(_grams_of(batch, n))
        hashes = np.concatenate([hashes for hashes, _ in batches])
        rows = np.concatenate([rows for _, rows in batches])
        del batches
        hashes, firsts = np.unique(hashes, return_index=True)
        said = [VERSION, str(n), str(min_words), *(each.fingerprint for each in sets)]
        fingerprint = hashlib.sha256("\0".join(said).encode()).hexdigest()
        return cls(hashes, rows[firsts], sets, tuple(sorted(lengths)), fingerprint, short_texts)

    def __len__(self) -> int:
        return len(self._hashes)

    @property
    def nbytes(self) -> int:
        """How much memory the runs take."""
        return int(self._hashes.nbytes + self._rows.nbytes + self._present.nbytes)

    def __reduce__(self) -> NoReturn:
        raise TypeError("an index of n-grams is built anew from its sets, not sent to a process")

    def match(self, text: str) -> Match | None:
        """Return what a text has of the row of which it has most runs, or None."""
        if not len(self._hashes):
            return None
        found = words(text)
        hits: list[tuple[int, int, int]] = []  # row, first word, words
        step = WINDOW_WORDS - max(self._lengths)
        for first in range(0, max(1, len(found)), step):
            hits += self._hits(found[first : first + WINDOW_WORDS], first)
        if not hits:
            return None
        counts = Counter(row for row, _, _ in set(hits))
        most = max(counts.values())
        row = min(row for row, count in counts.items() if count == most)
        spans = sorted({(first, first + n) for each, first, n in hits if each == row})
        held, end = 0, 0
        for first, last in spans:
            held += max(0, last - max(first, end))
            end = max(end, last)
        place = bisect_right(self._firsts, row) - 1
        excerpt = " ".join(found[spans[0][0] : spans[0][1]])[:MAX_EXCERPT_CHARS]
        return Match(self._names[place], row - self._firsts[place], held, most, excerpt)

    def _hits(self, found: list[str], shift: int) -> list[tuple[int, int, int]]:
        """Return the runs of some words that are in the index: row, first word, words."""
        hits: list[tuple[int, int, int]] = []
        for n, hashes in gram_hashes(word_hashes(found), self._lengths).items():
            at = self._present.among(hashes)
            places = np.searchsorted(self._hashes, hashes[at])
            places[places == len(self._hashes)] = 0
            same = self._hashes[places] == hashes[at]
            at, rows = at[same], self._rows[places[same]]
            hits += [(int(row), int(first) + shift, n) for row, first in zip(rows, at, strict=True)]
        return hits


class Present:
    """Which first bits the hashes of an index have.

    To look a hash up takes some twenty reads from all over the index. Of hashes that are not there,
    seven of eight at least are told by one read from a table of 1 to 2 bytes a hash.
    """

    def __init__(self, hashes: Hashes) -> None:
        bits = max(3, (8 * len(hashes) - 1).bit_length())
        self._shift = np.uint64(64 - bits)
        self._table = np.zeros(1 << (bits - 3), dtype=np.uint8)
        if len(hashes):
            first = (hashes >> self._shift).astype(np.int64)
            places = first >> 3
            starts = np.concatenate(([0], np.flatnonzero(np.diff(places)) + 1))
            marks = np.left_shift(1, first & 7).astype(np.uint8)
            self._table[places[starts]] = np.bitwise_or.reduceat(marks, starts)

    @property
    def nbytes(self) -> int:
        return int(self._table.nbytes)

    def among(self, hashes: Hashes) -> NDArray[np.int64]:
        """Return the places of those hashes that may be there."""
        first = (hashes >> self._shift).astype(np.int64)
        return np.flatnonzero((self._table[first >> 3] >> (first & 7)) & 1)


def _rows(sets: Sequence[EvaluationSet]) -> Iterable[Sequence[str]]:
    return (row for each in sets for row in each.texts)


def _grams_of(batch: list[tuple[int, list[str]]], n: int) -> tuple[Hashes, NDArray[np.uint32]]:
    """Hash the runs of texts, each with its row: of n words, or the whole of a shorter text."""
    every = [word for _, found in batch for word in found]
    counts = np.array([len(found) for _, found in batch], dtype=np.int64)
    rows = np.array([row for row, _ in batch], dtype=np.uint32)
    ends = np.cumsum(counts)
    row_of = np.repeat(rows, counts)
    left = np.repeat(ends, counts) - np.arange(len(every))  # words from here to the text's end
    starts = ends - counts
    hashes: list[Hashes] = [np.empty(0, dtype=np.uint64)]
    of: list[NDArray[np.uint32]] = [np.empty(0, dtype=np.uint32)]
    shortest = int(counts.min(initial=n))
    for length, grams in gram_hashes(word_hashes(every), range(shortest, n + 1)).items():
        if length == n:
            at = np.flatnonzero(left[: len(grams)] >= n)
        else:
            at = starts[counts == length]
        hashes.append(grams[at])
        of.append(row_of[at])
    return np.concatenate(hashes), np.concatenate(of)
