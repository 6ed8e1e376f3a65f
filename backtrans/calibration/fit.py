"""Fit a selector: the probability that a pair is good, and from which probability on it is kept.

A logistic regression in a few standardised features of the judgement, or in one; each labelled
pair counts for as many as it stands for, and how strongly it is regularised is chosen by
cross-validation. Thresholds are chosen on probabilities that each pair got from fits without it:
the lowest from which on precision is as asked.

Promises: what a selector promises is measured, not taken from the choice: all of this, the choices
included, is done again without a tenth of the labels and judged by that tenth, for each tenth. The
figure on which a threshold was chosen is the best of many and too good; this one is not. The same
labels and seed give the same selector.

Does not know: the command line, where labels come from.
Source: scikit-learn's logistic regression and stratified folds; cross-fitting as in 1608.00060.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import get_args

import numpy as np
import orjson

from backtrans.calibration.account import GOOD_FROM, weighted
from backtrans.calibration.estimates import Bools, Floats, Ints, Pool, lower_bound
from backtrans.calibration.labels import Labels
from backtrans.errors import ConfigError, InputError
from backtrans.thresholds import Feature, Fitted, Promise, Selector, Weight, column_of

STRENGTHS = (0.1, 1.0, 10.0, 100.0)
"""Inverse strength of the L2 penalty, over standardised features. Source: this project's choice:
from one that holds weights near 0 to one that hardly counts."""

INNER_FOLDS = 5
OUTER_FOLDS = 10
REPEATS = 2
"""How often the labels are cut anew. Source: this project's choice: five and ten are the usual
numbers of folds, and a second cut takes out some of a cut's own luck."""

FEWEST_EACH = 6
"""Good pairs, and others. Source: this project's choice: each fold is to hold one of both."""

FEWEST_KEPT = 10
"""Labelled pairs that reach a threshold. Source: this project's choice: fewer say little."""

BY_DEFAULT: tuple[Feature, ...] = (
    "expectation",
    "entropy",
    "min_token_logprob",
    "mean_logprob",
    "pmi",
)
"""Of these, what every labelled pair has. The digit follows from the distribution that gives the
expectation; the mass off the digits is a health figure."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a selector is to reach. With `sure` it is the bound that precision is over with a
    confidence of 95% which must reach it, and else the estimate itself.
    """

    a5: float = 0.9
    a4: float = 0.8
    sure: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.a4 <= self.a5 < 1:
            raise ConfigError(f"precisions are over 0 and under 1, A4's ({self.a4:g}) no higher")


@dataclass(frozen=True, slots=True)
class _Model:
    """A regression, fitted."""

    weights: Floats
    means: Floats
    scales: Floats
    intercept: float

    def probabilities(self, values: Floats) -> Floats:
        found: Floats = 1 / (1 + np.exp(-self._logits(values)))
        return found

    def _logits(self, values: Floats) -> Floats:
        logits: Floats = (values - self.means) / self.scales @ self.weights + self.intercept
        return np.clip(logits, -500, 500)


@dataclass(frozen=True, slots=True)
class _Chosen:
    """A regression and its two thresholds; None where no threshold reaches what was asked."""

    model: _Model
    a4: float | None
    a5: float | None


def fit(
    labels: Labels,
    asked: Asked,
    *,
    features: Sequence[Feature] = (),
    good_from: int = GOOD_FROM,
    seed: int = 0,
) -> Selector:
    """Fit a selector to labels. Raises: InputError for labels that are too few or too much alike,
    ConfigError where a feature is missing or no threshold reaches what is asked.
    """
    if find_spec("sklearn") is None:
        raise ConfigError("fitting needs the extra `calibrate`: scikit-learn is not there")
    pool = weighted(labels, good_from)
    fewer = min(int(pool.good.sum()), int((~pool.good).sum()))
    if fewer < FEWEST_EACH:
        raise InputError(
            f"{labels.path}: of the labels {fewer} are of one kind, good or not, and"
            f" {FEWEST_EACH} are the fewest"
        )
    names, values = _features(labels, features)
    chosen = _choose(pool, values, asked, seed)
    if chosen.a4 is None or chosen.a5 is None:
        target = asked.a4 if chosen.a4 is None else asked.a5
        raise ConfigError(
            f"{labels.path}: by {', '.join(names)} no threshold has a precision of {target:g}"
            f" with {FEWEST_KEPT} labelled pairs or more: ask for less, add features, label more"
        )
    a4, a5 = _promises(pool, values, asked, seed)
    model = chosen.model
    return Selector(
        version=1,
        features={
            name: Weight(float(w), float(m), float(s))
            for name, w, m, s in zip(names, model.weights, model.means, model.scales, strict=True)
        },
        intercept=float(model.intercept),
        a4=min(chosen.a4, chosen.a5),
        a5=chosen.a5,
        fitted=Fitted(
            labels=len(pool),
            good=int(pool.good.sum()),
            good_from=None if labels.scale == "y and n" else good_from,
            digest=digest(labels),
            a4=a4,
            a5=a5,
        ),
    )


def known(names: Sequence[str]) -> list[Feature]:
    """Return these names as features. Raises: ConfigError for one that is none."""
    every: tuple[Feature, ...] = get_args(Feature)
    if unknown := [name for name in names if name not in every]:
        raise ConfigError(f"no feature is called {unknown[0]!r}; there are {', '.join(every)}")
    return [feature for feature in every if feature in names]


def digest(labels: Labels) -> str:
    """Name labels by what they say of which pairs, whatever their order."""
    said = sorted((pair.id, pair.label, pair.stratum) for pair in labels.pairs)
    strata = [stratum.population for stratum in labels.strata]
    return hashlib.sha256(orjson.dumps([said, strata])).hexdigest()


def _features(labels: Labels, wanted: Sequence[Feature]) -> tuple[list[Feature], Floats]:
    """Return the features' names and values. Shape: (N, features)."""
    judgements = [pair.judgement for pair in labels.pairs]
    names: list[Feature] = []
    for name in wanted or BY_DEFAULT:
        values = [row.get(column_of(name)) for row in judgements]
        varies = len(set(values)) > 1
        if None not in values and varies:
            names.append(name)
        elif wanted:
            why = "is missing" if None in values else "does not vary"
            raise ConfigError(f"{labels.path}: {name} {why} in the scores of the labelled pairs")
    if not names:
        raise ConfigError(f"{labels.path}: no feature is there in all labelled pairs")
    columns = [[float(row[column_of(name)]) for row in judgements] for name in names]
    return names, np.array(columns, dtype=np.float64).T


# ---------------------------------------------------------------------- choosing


def _choose(pool: Pool, values: Floats, asked: Asked, seed: int) -> _Chosen:
    """Fit, and choose both thresholds, on nothing but this pool."""
    strength = _strength(pool, values, seed)
    apart = np.zeros(len(pool))
    for cut in range(REPEATS):
        for learnt, left in _folds(pool.good, INNER_FOLDS, seed + cut):
            stated = _model(pool, values, learnt, strength).probabilities(values[left])
            apart[left] += stated / REPEATS
    whole = _model(pool, values, np.arange(len(pool)), strength)
    a4, a5 = (_threshold(pool, apart, target, asked.sure) for target in (asked.a4, asked.a5))
    return _Chosen(whole, a4, a5)


def _strength(pool: Pool, values: Floats, seed: int) -> float:
    """Return the strength by which pairs are most likely under fits that did not see them."""

    def loss(strength: float) -> float:
        total = 0.0
        for learnt, left in _folds(pool.good, INNER_FOLDS, seed):
            stated = _model(pool, values, learnt, strength).probabilities(values[left])
            right = np.where(pool.good[left], stated, 1 - stated)
            total -= float(pool.weights[left] @ np.log(np.maximum(right, 1e-12)))
        return total

    return min(STRENGTHS, key=loss)


def _folds(good: Bools, count: int, seed: int) -> Iterator[tuple[Ints, Ints]]:
    """Cut pairs into parts with good ones in each; yield what is learnt from, and what is left."""
    from sklearn.model_selection import StratifiedKFold

    count = min(count, int(good.sum()), int((~good).sum()))
    yield from StratifiedKFold(count, shuffle=True, random_state=seed).split(good, good)


def _model(pool: Pool, values: Floats, members: Ints, strength: float) -> _Model:
    from sklearn.linear_model import LogisticRegression

    inside, weights = values[members], pool.weights[members]
    weights = weights / weights.mean()
    means = np.average(inside, axis=0, weights=weights)
    scales = np.sqrt(np.average((inside - means) ** 2, axis=0, weights=weights))
    scales = np.where(scales > 0, scales, 1.0)
    found = LogisticRegression(C=strength, solver="newton-cholesky").fit(
        (inside - means) / scales, pool.good[members], sample_weight=weights
    )
    return _Model(found.coef_[0], means, scales, float(found.intercept_[0]))


def _threshold(pool: Pool, stated: Floats, target: float, sure: bool) -> float | None:
    """Return the lowest probability from which on precision is as asked."""
    order = np.argsort(-stated, kind="stable")
    stated, good, weights = stated[order], pool.good[order], pool.weights[order]
    precision = np.cumsum(weights * good) / np.cumsum(weights)
    found = None
    for last in range(FEWEST_KEPT - 1, len(stated)):
        if last + 1 < len(stated) and stated[last + 1] == stated[last]:
            continue  # equal probabilities are kept together
        reached = float(precision[last])
        if sure:
            reached = lower_bound(reached, weights[: last + 1])
        if reached >= target:
            found = float(stated[last])
    return found


# ---------------------------------------------------------------------- promising


def _promises(pool: Pool, values: Floats, asked: Asked, seed: int) -> list[Promise]:
    """Measure the whole procedure on labels that it has not seen: of A4, and of A5."""
    kept: dict[str, list[Floats]] = {"a4": [], "a5": []}
    for repeat in range(REPEATS):
        taken = {name: np.zeros(len(pool), dtype=np.bool_) for name in kept}
        for learnt, left in _folds(pool.good, OUTER_FOLDS, seed + 1 + repeat):
            part = Pool(pool.good[learnt], pool.strata[learnt], pool.weights[learnt])
            chosen = _choose(part, values[learnt], asked, seed)
            stated = chosen.model.probabilities(values[left])
            for name, threshold in (("a4", chosen.a4), ("a5", chosen.a5)):
                taken[name][left] = threshold is not None and stated >= threshold
        for name, which in taken.items():
            kept[name].append(which.astype(np.float64))
    return [
        _promise(pool, np.mean(kept[name], axis=0), target)
        for name, target in (("a4", asked.a4), ("a5", asked.a5))
    ]


def _promise(pool: Pool, kept: Floats, target: float) -> Promise:
    """Sum up how often each pair was kept by a selector that had not seen it."""
    weights = pool.weights * kept
    if not weights.any():
        return Promise(target, None, None, None)
    precision = float(weights @ pool.good / weights.sum())
    recall = float(weights @ pool.good / (pool.weights @ pool.good))
    return Promise(target, precision, lower_bound(precision, weights), recall)
