"""Figures of labelled pairs, weighted back to the pool that they were drawn from.

Each stratum is a plain sample of its pairs, so a labelled pair stands for as many as its stratum
holds, divided by how many of them are labelled. Skipped pairs thus count as if they were like the
others of their stratum.

Promises: pure; shares of nothing are None. Intervals are percentiles of a bootstrap that draws
again within each stratum, one pair fewer than it has, and counts them for as many (Rao, Wu and Yue
1992), so that small strata are not taken for surer than they are; a seed decides them.

Does not know: files, which labels are good, what a signal means.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backtrans.evaluation.win_rate import COVERAGE

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

SURE_Z = 1.6448536269514722
"""Source: the normal distribution: what lies under it has a probability of 95%."""

RELIABILITY_BINS = 10
"""Source: Guo et al. (1706.04599) section 2 has M bins of one width; 10 is the usual number for
hundreds of points, theirs is 15 for thousands."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Labelled pairs as arrays: which are good, their strata, and for how many each stands."""

    good: Bools
    strata: Ints
    weights: Floats

    def __len__(self) -> int:
        return len(self.good)


def pool_of(good: Sequence[bool], strata: Sequence[int], populations: Sequence[int]) -> Pool:
    """Weight labelled pairs back. `populations` is by number of stratum."""
    numbers = np.asarray(strata, dtype=np.int64)
    labelled = np.bincount(numbers, minlength=len(populations))
    weights = np.array([populations[n] / labelled[n] for n in numbers], dtype=np.float64)
    return Pool(np.asarray(good, dtype=np.bool_), numbers, weights)


@dataclass(frozen=True, slots=True)
class Figure:
    """A value, and the interval around it; None where there is none."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """What would be kept at a threshold: its share of the pool, and how good that is."""

    threshold: float
    labelled: int  # labelled pairs that reach it
    kept: Figure
    precision: Figure
    recall: Figure
    f1: Figure


@dataclass(frozen=True, slots=True)
class Bin:
    """Pairs whose stated probability lies between two bounds: what it says, and what is so."""

    low: float
    high: float
    labelled: int
    stated: float
    found: float


def resampled(pool: Pool, resamples: int, seed: int) -> Floats:
    """Draw weights again. Shape: (resamples, pairs)."""
    dice = np.random.default_rng(seed)
    found = np.empty((resamples, len(pool)), dtype=np.float64)
    for stratum in np.unique(pool.strata):
        (members,) = np.nonzero(pool.strata == stratum)
        n = len(members)
        # One pair says nothing of how others would differ: it stays.
        drawn = dice.multinomial(n - 1, np.full(n, 1 / n), size=resamples) if n > 1 else 1
        found[:, members] = drawn * (n / (n - 1) if n > 1 else 1.0) * pool.weights[members]
    return found


def point(pool: Pool, values: Floats, threshold: float, again: Floats) -> Point:
    """Return the figures of keeping what reaches a threshold. Shape: (N,), (resamples, N)."""
    kept = values >= threshold
    once = _rates(kept, pool.good, pool.weights[None, :])
    spread = _rates(kept, pool.good, again)
    figures = [_figure(o[0], s) for o, s in zip(once, spread, strict=True)]
    return Point(threshold, int(kept.sum()), *figures)


def _rates(kept: Bools, good: Bools, weights: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    # As floats in one product: numpy multiplies truth values without BLAS.
    columns = np.stack([np.ones(len(good)), kept, good, kept & good], axis=1).astype(np.float64)
    whole, taken, true, both = (weights @ columns).T
    with np.errstate(divide="ignore", invalid="ignore"):
        return taken / whole, both / taken, both / true, 2 * both / (taken + true)


def auc(pool: Pool, values: Floats, again: Floats) -> Figure:
    """Return the probability that a good pair of the pool has the higher value; ties count half."""
    good, bad = values[pool.good], values[~pool.good]
    if not len(good) or not len(bad):
        return Figure(None)
    above = np.sign(good[:, None] - bad[None, :]) / 2 + 0.5

    def area(weights: Floats) -> Floats:
        ours, theirs = weights[:, pool.good], weights[:, ~pool.good]
        with np.errstate(divide="ignore", invalid="ignore"):
            found: Floats = ((ours @ above) * theirs).sum(axis=1) / (
                ours.sum(axis=1) * theirs.sum(axis=1)
            )
        return found

    return _figure(area(pool.weights[None, :])[0], area(again))


def share_good(pool: Pool, again: Floats) -> Figure:
    """Return which share of the pool is good."""
    once = pool.weights @ pool.good / pool.weights.sum()
    return _figure(once, again @ pool.good / again.sum(axis=1))


def reliability(pool: Pool, stated: Floats) -> list[Bin]:
    """Compare stated probabilities with what is so, in bins of one width that hold some pair."""
    numbers, found = _bin_numbers(stated), []
    for number in np.unique(numbers):
        inside = numbers == number
        weights = pool.weights[inside]
        found.append(
            Bin(
                int(number) / RELIABILITY_BINS,
                (int(number) + 1) / RELIABILITY_BINS,
                int(inside.sum()),
                float(np.average(stated[inside], weights=weights)),
                float(np.average(pool.good[inside], weights=weights)),
            )
        )
    return found


def calibration_error(pool: Pool, stated: Floats, again: Floats) -> Figure:
    """Return the expected calibration error: how far bins are off, by their share of the pool."""
    inside = np.eye(RELIABILITY_BINS)[_bin_numbers(stated)]  # (N, bins)
    off = (stated - pool.good)[:, None] * inside

    def error(weights: Floats) -> Floats:
        found: Floats = np.abs(weights @ off).sum(axis=1) / weights.sum(axis=1)
        return found

    return _figure(error(pool.weights[None, :])[0], error(again))


def _bin_numbers(stated: Floats) -> Ints:
    return np.minimum((stated * RELIABILITY_BINS).astype(np.int64), RELIABILITY_BINS - 1)


def lower_bound(share: float, weights: Floats) -> float:
    """Return what a share of weighted pairs is over, with a confidence of 95%.

    Source: Wilson's score interval, of as many pairs as Kish's effective sample size says.
    """
    n = float(weights.sum() ** 2 / (weights**2).sum())
    z2 = SURE_Z**2
    reach = SURE_Z * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max(0.0, (share + z2 / (2 * n) - reach) / (1 + z2 / n))


def _figure(value: Any, spread: Floats) -> Figure:
    if not math.isfinite(value):
        return Figure(None)
    there = spread[np.isfinite(spread)]
    if not len(there):
        return Figure(float(value))
    tail = 100 * (1 - COVERAGE) / 2
    low, high = np.percentile(there, [tail, 100 - tail])
    return Figure(float(value), float(low), float(high))
