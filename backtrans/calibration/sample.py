"""Draw the pairs to be labelled, from strata of the expected score.

A plain sample of a pool may have few pairs about the thresholds, where it matters. So half of it is
shared evenly among the strata, half by size, and what is estimated is weighted back: a labelled
pair stands for as many as its stratum holds, divided by how many of these are labelled.

Promises: the same pool and seed give the same pairs, in whatever order the pool comes; memory is
bounded by the sample and, of a pool with copies, a hash of each pair. Copies of a pair count once.

Does not know: where pairs come from, what becomes of them.
"""

import hashlib
import heapq
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from backtrans.analysis.pairs import HIGHEST, LOWEST
from backtrans.calibration.pool import Scored

EDGES = (1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5)
"""Where one stratum ends and the next begins. Source: this project's choice; A4 and A5 begin at two
of them."""


@dataclass(frozen=True, slots=True)
class Stratum:
    """Pairs whose expected score is at least `low` and under `high`; the last holds a 5 too."""

    low: float
    high: float
    population: int
    sampled: int


@dataclass(frozen=True, slots=True)
class Sample:
    """The pairs to label, by id, each with the number of its stratum."""

    strata: tuple[Stratum, ...]
    pairs: list[tuple[Scored, int]]
    copies: int
    unscored: int


def draw(pool: Iterable[Scored | None], size: int, seed: int) -> Sample:
    """Draw pairs; where a stratum has too few, the others give more. Rows: N -> min(N, size)."""
    seen: set[bytes] = set()
    populations = [0] * (len(EDGES) + 1)
    # Of each stratum the pairs of the highest rank, as (rank, id, pair): ids are there once.
    held: list[list[tuple[bytes, str, Scored]]] = [[] for _ in populations]
    copies = unscored = 0
    for pair in pool:
        if pair is None:
            unscored += 1
            continue
        rank = hashlib.blake2b(f"{seed} {pair.id}".encode(), digest_size=16).digest()
        if rank in seen:
            copies += 1
            continue
        seen.add(rank)
        stratum = bisect_right(EDGES, pair.judgement["score"])
        populations[stratum] += 1
        heap = held[stratum]
        if len(heap) < size:
            heapq.heappush(heap, (rank, pair.id, pair))
        else:
            heapq.heappushpop(heap, (rank, pair.id, pair))
    shares = allocated(populations, size)
    bounds = (LOWEST, *EDGES, HIGHEST)
    strata: list[Stratum] = []
    pairs: list[tuple[Scored, int]] = []
    for number, (population, share) in enumerate(zip(populations, shares, strict=True)):
        if not population:
            continue
        pairs += [(p, len(strata)) for _, _, p in heapq.nlargest(share, held[number])]
        strata.append(Stratum(bounds[number], bounds[number + 1], population, share))
    # By id, which is a hash: the order says nothing of the score.
    return Sample(tuple(strata), sorted(pairs, key=lambda each: each[0].id), copies, unscored)


def allocated(populations: Sequence[int], size: int) -> list[int]:
    """Share a sample out, half of it evenly and half by size; no stratum gives more than it has.

    Source: this project's choice. Evenly alone, the strata that hold most of what is kept have too
    few labels to say how good it is; by size alone, a small top stratum has next to none.
    """
    even = _evenly(populations, size // 2)
    rest = [population - given for population, given in zip(populations, even, strict=True)]
    more = _by_size(rest, min(size, sum(populations)) - sum(even))
    return [one + other for one, other in zip(even, more, strict=True)]


def _evenly(populations: Sequence[int], size: int) -> list[int]:
    given = [0] * len(populations)
    while left := min(size, sum(populations)) - sum(given):
        room = [n for n, population in enumerate(populations) if given[n] < population]
        # What does not divide goes to the high scores, where the thresholds lie.
        for number in room[-left:]:
            given[number] += min(max(left // len(room), 1), populations[number] - given[number])
    return given


def _by_size(populations: Sequence[int], size: int) -> list[int]:
    """Round exact shares down, and up for those that lost most by it."""
    whole = max(1, sum(populations))
    given = [population * size // whole for population in populations]
    lost = [population * size % whole for population in populations]
    order = sorted(range(len(populations)), key=lambda n: (lost[n], n), reverse=True)
    for number in order[: size - sum(given)]:
        given[number] += 1
    return given
