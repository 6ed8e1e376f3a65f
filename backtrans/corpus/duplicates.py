"""Which segments are copies of earlier ones, among those that meet under a hash.

A segment is a copy where any earlier one has the same words (their contents meet, and their
sketches are equal), or shares a band with it and is alike enough. So the first of each chain of
copies stays, whatever else is in it, and a verdict needs only what came before.

Promises: a verdict names the earliest of those that a segment is a copy of, one with the same words
before one that is merely like it; it does not depend on the order in which hashes are listed.
Bounded: under one hash a segment is compared with the first `MAX_COMPARED` there, no more.

Does not know: where segments lie; what makes one earlier than another is the order in which they
are handed in.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from backtrans.corpus.similarity import SKETCH_BYTES, U8, U64, Sketches

Places = npt.NDArray[np.int64]

MAX_COMPARED = 4096
"""Source: this project's choice. Without a bound a template of which a million pages share half
costs the square of those that meet; what a page is like is most often among the first."""

NOTHING = -1
"""Stands where a segment is a copy of none."""


@dataclass(frozen=True, slots=True)
class Entries:
    """Segments with their sketches, and the hashes that lead to them.

    Shape: bytes (N, SKETCH_BYTES); hashes (M,), segment (M,) with values below N.
    """

    bytes: U8
    hashes: U64
    segment: Places

    @property
    def segments(self) -> int:
        """How many segments there are."""
        return len(self.bytes)


def entries(found: Sketches) -> Entries:
    """Return the entries of segments, in order.

    One whose words an earlier one of them has is found by its content alone: whatever shares a band
    with it shares it with the other, and so a page that comes a million times fills no bucket.
    """
    first = np.zeros(len(found), bool)
    first[np.unique(found.content, return_index=True)[1]] = True
    hashes = np.concatenate([found.content[:, None], found.bands], axis=1)
    there = np.ones(hashes.shape, bool)
    there[:, 1:] = first[:, None]
    segment = np.nonzero(there)[0]
    return Entries(found.bytes, hashes[there], segment)


@dataclass(frozen=True, slots=True)
class LikenessSettings:
    """When a segment is a copy of an earlier one. All of it decides the result."""

    near: bool = True  # else only where the words are the same
    threshold: float = 0.7
    shingle_words: int = 5


class Verdicts:
    """For each of N new segments, what it is a copy of; earlier ones must be shown in order.

    `same` and `like` count earlier segments as they are shown, the new ones after them; `agreeing`
    are the bytes that agree with `like`.
    """

    def __init__(self, new: Entries, needed: int) -> None:
        """Hold new segments, in their order; `needed` bytes must agree for one to be like."""
        order = np.argsort(new.hashes, kind="stable")
        self._new = new
        self._hashes = new.hashes[order]
        self._segment = new.segment[order]
        is_content = (self._hashes & np.uint64(1)).astype(bool)
        self._needed = np.where(is_content, SKETCH_BYTES, needed)
        self._shown = 0
        self._compared = np.zeros(len(order), np.int64)  # with how many, by row
        self._found = np.full(len(order), NOTHING, np.int64)
        self._agreeing = np.zeros(len(order), np.int64)

    def show(self, earlier: Entries) -> Places:
        """Compare what is open with the next earlier segments, which come in their order.

        Returns which of them a new one is a copy of, by their place among these.
        """
        # Only what meets is looked at: an index may be large, and what is new in it small.
        place = np.searchsorted(self._hashes, earlier.hashes)
        there = place < len(self._hashes)
        there[there] = self._hashes[place[there]] == earlier.hashes[there]
        meets = np.flatnonzero(there)
        # Stable: under one hash they stay in their order.
        meets = meets[np.argsort(earlier.hashes[meets], kind="stable")]
        hashes, begins, counts = np.unique(
            earlier.hashes[meets], return_index=True, return_counts=True
        )
        low = np.searchsorted(self._hashes, hashes, "left")
        rows_each = np.searchsorted(self._hashes, hashes, "right") - low
        within = np.arange(rows_each.sum()) - np.repeat(np.cumsum(rows_each) - rows_each, rows_each)
        rows = np.repeat(low, rows_each) + within
        first = np.repeat(begins, rows_each)
        last = first + np.repeat(counts, rows_each)
        self._compare(rows, first, last, earlier.bytes, earlier.segment[meets])
        found = self._found[rows]
        before, self._shown = self._shown, self._shown + earlier.segments
        return np.unique(found[found >= before]) - before

    def close(self) -> tuple[Places, Places, Places]:
        """Compare the new with each other; return `same`, `like` and `agreeing`, a segment a row.

        Call it once, after all earlier segments have been shown.
        """
        rows = np.arange(len(self._hashes))
        begins = np.ones(len(rows), bool)
        begins[1:] = self._hashes[1:] != self._hashes[:-1]
        first = np.maximum.accumulate(np.where(begins, rows, 0)) if len(rows) else rows
        self._compare(rows, first, rows, self._new.bytes, self._segment)
        return self._by_segment()

    def _compare(
        self, rows: Places, first: Places, last: Places, sketches: U8, segment: Places
    ) -> None:
        """Compare rows that are open, each with the segments of its range, one after another."""
        last = np.minimum(last, first + MAX_COMPARED - self._compared[rows])
        self._compared[rows] += np.maximum(last - first, 0)
        going = np.flatnonzero((self._found[rows] == NOTHING) & (first < last))
        turn = 0
        while len(going):
            mine, others = rows[going], segment[first[going] + turn]
            agreeing = np.count_nonzero(
                self._new.bytes[self._segment[mine]] == sketches[others], axis=1
            )
            alike = agreeing >= self._needed[mine]
            self._found[mine[alike]] = self._shown + others[alike]
            self._agreeing[mine[alike]] = agreeing[alike]
            turn += 1
            going = going[~alike]
            going = going[first[going] + turn < last[going]]

    def _by_segment(self) -> tuple[Places, Places, Places]:
        same = np.full(self._new.segments, NOTHING, np.int64)
        like, agreeing = same.copy(), np.zeros(self._new.segments, np.int64)
        rows = np.flatnonzero(self._found != NOTHING)
        is_content = (self._hashes[rows] & np.uint64(1)).astype(bool)
        exact = rows[is_content]
        same[self._segment[exact]] = self._found[exact]
        # The earliest of each is written last.
        near = rows[~is_content]
        near = near[np.argsort(-self._found[near], kind="stable")]
        like[self._segment[near]] = self._found[near]
        agreeing[self._segment[near]] = self._agreeing[near]
        return same, like, agreeing
