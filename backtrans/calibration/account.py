"""What labels say of each of the judge's signals: how well it tells good pairs, and from where on.

    expectation, digit                  higher is better
    entropy                             lower is better, so it is taken with a minus
    min_token_logprob, mean_logprob     of the response, given the instruction: higher is better
    pmi                                 higher is better

Promises: every figure is of the pool and has its interval; a signal that some labelled pair lacks
is left out and named; what is said of probabilities is said of the judge's own, the share of its
distribution on the digits that count as good, and of a selector's.

Does not know: how figures are estimated (`estimates`), how they are shown (`tables`).
Source: precision and recall of a selector over labelled pairs are 2308.06259's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from backtrans.calibration.estimates import (
    Bin,
    Figure,
    Floats,
    Point,
    Pool,
    auc,
    calibration_error,
    point,
    pool_of,
    reliability,
    resampled,
    share_good,
)
from backtrans.calibration.labels import LabelledPair, Labels
from backtrans.errors import ConfigError, InputError
from backtrans.records import Row
from backtrans.thresholds import Selector

GOOD_FROM = 4
"""The lowest label that counts as good. Source: A4 of 2308.06259, and its rubric: from 4 on it is
an assistant's answer."""

FEWEST = 20
"""Labels. Source: this project's choice: with fewer, intervals are over 40 points wide."""

RESAMPLES = 1000
"""Source: this project's choice; an interval's ends move by a point or so with the seed."""

SHOWN = {"expectation": (3.0, 3.5, 4.0, 4.5), "digit": (3.0, 4.0, 5.0)}
"""Thresholds that are shown whatever the labels say. Source: A4 and A5 of 2308.06259."""

KEPT_SHARES = (0.5, 0.3, 0.2, 0.1)
"""Of the pool: a signal without thresholds of its own is shown at those that keep so much."""

PAPERS = (
    ("M_0, 2308.06259", 0.44, 0.09),
    ("M_1, 2308.06259", 0.52, 0.44),
    ("GPT-4, 2308.06259", 0.88, 0.92),
)
"""Precision and recall of selectors on 250 labelled pairs, 20% of them good.
Source: 2308.06259 on what iterative curation does to the selector; round figures as it has them."""


@dataclass(frozen=True, slots=True)
class Signal:
    """How well one figure of a judgement tells good pairs."""

    name: str
    auc: Figure
    best: Point  # that of the highest F1
    points: list[Point]  # at each value that a labelled pair has
    shown: list[Point]


@dataclass(frozen=True, slots=True)
class Reliability:
    """Whether probabilities of being good are what they say."""

    name: str
    error: Figure
    bins: list[Bin]


@dataclass(frozen=True, slots=True)
class Account:
    """Everything that a sheet's labels say."""

    labels: int
    unlabelled: int
    population: int
    not_covered: int  # pairs of strata without one label: no figure is of them
    good_from: int | None  # None: the labels are y and n
    good: Figure
    signals: list[Signal]
    left_out: list[str]
    reliability: list[Reliability]
    seed: int


def is_good(pair: LabelledPair, good_from: int) -> bool:
    """Say whether a person called a pair good."""
    return pair.label == "y" if pair.label in "yn" else int(pair.label) >= good_from


def weighted(labels: Labels, good_from: int) -> Pool:
    """Return the labelled pairs with what each stands for.

    Raises: InputError where there are too few, or all are alike.
    """
    pairs = labels.pairs
    if len(pairs) < FEWEST:
        raise InputError(f"{labels.path}: has {len(pairs)} label(s); {FEWEST} are the fewest")
    good = [is_good(pair, good_from) for pair in pairs]
    if len(set(good)) == 1:
        said = "good" if good[0] else "not good"
        scale = "" if labels.scale == "y and n" else f" (good: {good_from} or higher)"
        raise InputError(f"{labels.path}: all {len(good)} labels are {said}{scale}: none to tell")
    populations = [stratum.population for stratum in labels.strata]
    return pool_of(good, [pair.stratum for pair in pairs], populations)


SIGNALS: dict[str, Callable[[Row], float | None]] = {
    "expectation": lambda row: row["score"],
    "digit": lambda row: row["digit"],
    "-entropy": lambda row: None if row["entropy"] is None else -row["entropy"],
    "min_token_logprob": lambda row: row["min_token_logprob"],
    "mean_logprob": lambda row: row["mean_logprob"],
    "pmi": lambda row: row["pmi"],
}


def account(
    labels: Labels,
    *,
    good_from: int = GOOD_FROM,
    seed: int = 0,
    resamples: int = RESAMPLES,
    selector: Selector | None = None,
) -> Account:
    """Sum up what labels say, of a selector too. Raises: InputError, ConfigError."""
    pool, judgements = weighted(labels, good_from), [pair.judgement for pair in labels.pairs]
    again = resampled(pool, resamples, seed)
    signals = dict(SIGNALS)
    if selector is not None:
        signals["probability"] = selector.probability
    found, left_out, stated = [], [], {}
    for name, signal in signals.items():
        values = [signal(row) for row in judgements]
        if any(value is None for value in values):
            if name == "probability":
                raise ConfigError("the selector reads a signal that some labelled pair lacks")
            left_out.append(name)
            continue
        array = np.array(values, dtype=np.float64)
        thresholds = (selector.a4, selector.a5) if selector and name == "probability" else None
        found.append(_signal(name, array, pool, again, thresholds))
        if name == "probability":
            stated["the selector"] = array
    if (own := _own(judgements, good_from)) is not None:
        stated = {"the judge's distribution": own, **stated}
    covered = sum(labels.strata[number].population for number in set(pool.strata.tolist()))
    population = sum(stratum.population for stratum in labels.strata)
    return Account(
        labels=len(pool),
        unlabelled=labels.unlabelled,
        population=population,
        not_covered=population - covered,
        good_from=None if labels.scale == "y and n" else good_from,
        good=share_good(pool, again),
        signals=found,
        left_out=left_out,
        reliability=[
            Reliability(name, calibration_error(pool, p, again), reliability(pool, p))
            for name, p in stated.items()
        ],
        seed=seed,
    )


def _signal(
    name: str, values: Floats, pool: Pool, again: Floats, thresholds: tuple[float, ...] | None
) -> Signal:
    points = [point(pool, values, float(t), again) for t in np.unique(values)]
    best = max(points, key=lambda each: each.f1.value or 0.0)
    at = thresholds or SHOWN.get(name) or _keeping(points)
    shown = [point(pool, values, t, again) for t in at]
    return Signal(name, auc(pool, values, again), best, points, shown)


def _keeping(points: list[Point]) -> tuple[float, ...]:
    """Return the thresholds that keep about KEPT_SHARES of the pool, from low to high."""
    found = [
        min(points, key=lambda each: abs((each.kept.value or 0.0) - share)).threshold
        for share in KEPT_SHARES
    ]
    return tuple(dict.fromkeys(found))


def _own(judgements: list[Row], good_from: int) -> Floats | None:
    """Return the judge's own probability that each pair is good, where it is known of all."""
    distributions: list[Any] = [row["distribution"] for row in judgements]
    if any(each is None for each in distributions):
        return None
    summed = [min(1.0, sum(each[good_from - 1 :])) for each in distributions]
    return np.array(summed, dtype=np.float64)
