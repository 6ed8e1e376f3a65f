"""The figures of an audit: how far scores moved against their clean twins, with intervals.

Promises: every figure follows from two lists of scores and a seed; an interval resamples pairs,
since they are what another set would have other ones of; a pair without one of its two scores is in
no figure but `unscored`.

Does not know: what was done to a text, who judged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backtrans.evaluation.win_rate import COVERAGE

Floats = NDArray[np.float64]
Scores = Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Figure:
    """A mean over pairs, and the bootstrap interval around it."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Effect:
    """What became of the clean twins' scores. Shifts are in points, the rest are shares of pairs.

    `up` counts what rose by how much it rose, and what fell as nothing; `down` the other way round.
    `entered` are the pairs in A5 whose clean twin is not; `left`, the other way round; `leak` is
    their difference: by how much A5 grew.
    """

    pairs: int
    unscored: int
    shift: Figure
    up: Figure
    down: Figure
    absolute: Figure
    entered: Figure
    left: Figure
    leak: Figure


def effect(
    clean: Scores, twins: Mapping[str, Scores], a5: float, *, seed: int, resamples: int
) -> Effect:
    """Measure one kind of twin, or several together: a pair's figure is the mean over its kinds.

    Raises: ValueError where not one pair has both scores.
    """
    before: Floats = np.array([np.nan if s is None else s for s in clean], dtype=np.float64)
    after: Floats = np.array(
        [[np.nan if s is None else s for s in scores] for scores in twins.values()],
        dtype=np.float64,
    )
    change = after - before
    known = ~np.isnan(change)
    there = known.any(axis=0)
    if not there.any():
        raise ValueError("not one pair has a score both clean and changed")
    was, now = before >= a5, after >= a5
    measured = {
        "shift": change,
        "up": np.maximum(change, 0.0),
        "down": np.maximum(-change, 0.0),
        "absolute": np.abs(change),
        "entered": (now & ~was).astype(np.float64),
        "left": (~now & was).astype(np.float64),
        "leak": now.astype(np.float64) - was.astype(np.float64),
    }
    each = {
        name: np.where(known, found, 0.0).sum(axis=0)[there] / known.sum(axis=0)[there]
        for name, found in measured.items()
    }
    n = int(there.sum())
    counts = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples)
    tail = 100 * (1 - COVERAGE) / 2

    def figure(name: str) -> Figure:
        low, high = np.percentile(counts @ each[name] / n, [tail, 100 - tail])
        return Figure(float(each[name].mean()), float(low), float(high))

    return Effect(
        pairs=n,
        unscored=int((~known).sum()),
        shift=figure("shift"),
        up=figure("up"),
        down=figure("down"),
        absolute=figure("absolute"),
        entered=figure("entered"),
        left=figure("left"),
        leak=figure("leak"),
    )
