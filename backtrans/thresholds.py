"""Which split a judged pair is in: the figures that A4 and A5 stand for, and who gives them.

That figure is the judge's expected score; or, with a selector, the probability that a person would
call the pair good, as labelled pairs have it (`calibration`).

Promises: pure arithmetic over a judgement's columns; what a selector was fitted on decides nothing.

Does not know: where judgements come from, what a pair holds, how selectors are fitted.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from backtrans.errors import ConfigError
from backtrans.records import Reject, Row

REST = "rest"
"""The split of a pair that is kept though it is in neither A4 nor A5: there is no filter."""

Feature = Literal[
    "expectation",
    "digit",
    "entropy",
    "off_digit_mass",
    "min_token_logprob",
    "mean_logprob",
    "pmi",
]
"""What a selector may read of a judgement. Each is the column of that name, but for `expectation`,
which is the column `score`."""


def column_of(feature: str) -> str:
    """Return the column of a judgement that holds a feature."""
    return "score" if feature == "expectation" else feature


@dataclass(frozen=True, slots=True)
class Weight:
    """How a feature counts: `weight * (value - mean) / scale`."""

    weight: float  # of one standard deviation
    mean: float  # of the labelled pairs
    scale: float  # their standard deviation


@dataclass(frozen=True, slots=True)
class Promise:
    """What labels say of the pairs from a threshold on, by the fits that did not see them.

    `low` is the lower end of a 95% interval around `precision`. Figures are of the pool that the
    labelled pairs were drawn from.
    """

    asked: float  # the precision that was asked for
    precision: float | None  # share of what is kept that is good
    low: float | None  # the lower end of its interval
    recall: float | None  # share of the good pairs that are kept


@dataclass(frozen=True, slots=True)
class Fitted:
    """What a selector was fitted on. For people: it decides nothing."""

    labels: int  # how many pairs have one
    good: int  # how many of these are good
    good_from: int | None  # the lowest label that is good; None: labels are yes and no
    digest: str  # of the labels
    a4: Promise
    a5: Promise


@dataclass(frozen=True, slots=True)
class Selector:
    """The probability that a pair is good: logistic in features of its judgement. a4 and a5 are
    probabilities. Raises: ConfigError for what is no selector.
    """

    version: Literal[1]  # of this form
    features: dict[Feature, Weight]
    intercept: float  # log-odds where every feature has its mean
    a4: float  # the probability from which a pair is in A4
    a5: float  # the probability from which a pair is in A5
    fitted: Fitted | None = None

    def __post_init__(self) -> None:
        numbers = [self.intercept, *(x for w in self.features.values() for x in _numbers(w))]
        if not self.features or not all(map(math.isfinite, numbers)):
            raise ConfigError("a selector has one feature at least, and finite numbers")
        if any(weight.scale <= 0 for weight in self.features.values()):
            raise ConfigError("a selector's scales are greater than 0")
        if not 0 <= self.a4 <= self.a5 <= 1:
            raise ConfigError(f"a selector has 0 <= a4 <= a5 <= 1; here {self.a4}, {self.a5}")

    def probability(self, score: Row) -> float | None:
        """Return how probable it is that a judged pair is good; None where a feature is missing."""
        total = self.intercept
        for name in sorted(self.features):  # one order, so that the sum is one
            value, how = score[column_of(name)], self.features[name]
            if value is None:
                return None
            total += how.weight * (value - how.mean) / how.scale
        # Either form overflows on one side alone.
        if total >= 0:
            return 1 / (1 + math.exp(-min(total, 700.0)))
        return math.exp(total) / (1 + math.exp(total))

    def deciding(self) -> dict[str, Any]:
        """Return what decides which pairs it takes."""
        return {name: value for name, value in asdict(self).items() if name != "fitted"}


def _numbers(weight: Weight) -> tuple[float, ...]:
    return weight.weight, weight.mean, weight.scale


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Expected scores from which a pair is in A4 and A5, and floors under its signals in nats.

    With a selector a4 and a5 are its own, and floors count as before.

    Source: 2308.06259 keeps score >= 4 as A4 and >= 4.5 as A5; how an integer reaches 4.5 it does
    not say, the expectation over the digits does.
    """

    a4: float = 4.0
    a5: float = 4.5
    floors: tuple[tuple[str, float], ...] = ()
    filter: bool = True
    selector: Selector | None = None

    def judge(self, score: Row) -> str | Reject:
        """Return the best split of a scored pair; where it is in neither, why, or `rest`."""
        if (reject := self.reject(score)) is not None:
            return reject if self.filter else REST
        return "A5" if self.value(score) >= (self.selector or self).a5 else "A4"

    def value(self, score: Row) -> float:
        """Return what a scored pair is judged by; -1, under all others, where it is missing."""
        if self.selector is None:
            return float(score["score"])
        found = self.selector.probability(score)
        return -1.0 if found is None else found

    def probability(self, score: Row) -> float | None:
        """Return the selector's probability of a scored pair; None where there is no selector."""
        return None if self.selector is None else self.selector.probability(score)

    def reject(self, score: Row) -> Reject | None:
        """Say why a scored pair is in neither A4 nor A5; None where it is."""
        value, a4 = self.value(score), (self.selector or self).a4
        if self.selector is not None and self.selector.probability(score) is None:
            missing = [f for f in self.selector.features if score[column_of(f)] is None]
            return Reject("signal_missing", ", ".join(missing))
        if value < a4:
            what = "probability " if self.selector else ""
            return Reject("below_a4", f"{what}{value:.3f} < {a4:g}")
        return self.under_floor(score)

    def under_floor(self, score: Row) -> Reject | None:
        """Say which signal of a scored pair lies below its floor; None where none does.

        A signal that is missing is under every floor: it was asked for and not to be had.
        """
        for signal, floor in self.floors:
            value = score[signal]
            if value is None or value < floor:
                return Reject("signal_below_floor", f"{signal} {value} < {floor:g}")
        return None
