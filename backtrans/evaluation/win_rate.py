"""The figures of an evaluation: win rates with their intervals, position bias, lengths.

Promises: every figure follows from the verdicts alone, and from a seed; an interval resamples
instructions, since they are what another evaluation set would have other ones of.

Does not know: who judged, how it is shown.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backtrans.evaluation.length_control import Floats, length_controlled, resampled
from backtrans.evaluation.pairing import Pair
from backtrans.evaluation.verdicts import POINTS, Verdict
from backtrans.records import Reject

COVERAGE = 0.95
"""Of the percentile interval."""

HELD_COUNTS = 1_000_000
"""How often each pair came in each resample, held at once. Source: this project's choice; 8 MB in
each of some ten arrays."""

Judged = Sequence[tuple[Pair, Verdict | Reject]]


@dataclass(frozen=True, slots=True)
class Rate:
    """A share from 0 to 1, and the bootstrap interval around it."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Position:
    """How much the judge's answers follow the place; without such a bias both shares are half.

    Of pairs that it was asked about, twice each: how often it chose what stood first, the mean
    probability that it gave to that, and how often it chose another output in the other order.
    """

    chose_first: float
    probability_of_first: float
    orders_disagree: float


@dataclass(frozen=True, slots=True)
class Lengths:
    """How long outputs are, and how often the longer one wins, ties as half."""

    candidate_mean_chars: float
    reference_mean_chars: float
    candidate_mean_tokens: float | None  # by the engine that wrote them
    longer_wins: float | None  # of pairs of different lengths; None where there are none


@dataclass(frozen=True, slots=True)
class Figures:
    """What an evaluation comes to. Rates are the candidate's."""

    pairs: int
    judged: int
    not_judged: dict[str, int]  # by reason
    wins: int
    ties: int
    losses: int
    notes: dict[str, int]  # pairs that needed no judge, by why
    unfinished: int  # outputs of the candidate that ran out of tokens
    win_rate: Rate  # wins, and ties as half
    mean_preference: Rate
    length_controlled: Rate
    length_coefficient: float
    position: Position | None  # None where no pair needed a judge
    off_letter_mass: float | None  # mean: how much of the judge's probability lay on neither letter
    lengths: Lengths


def figures(judged: Judged, *, seed: int, resamples: int) -> Figures:
    """Sum the verdicts up. Raises: ValueError where not one pair was judged."""
    done = [(pair, each) for pair, each in judged if isinstance(each, Verdict)]
    refused = Counter(each.reason for _, each in judged if isinstance(each, Reject))
    if not done:
        raise ValueError(f"not one pair was judged: {dict(refused)}")
    verdicts = [each for _, each in done]
    points = np.array([POINTS[each.outcome] for each in verdicts])
    preferences = np.array([each.preference for each in verdicts])
    differences = np.array([float(_longer_by(pair)) for pair, _ in done])
    control = length_controlled(preferences, differences)
    lows, highs = _intervals(points, preferences, differences, seed, resamples)
    outcomes = Counter(each.outcome for each in verdicts)
    masses = [each.off_letter_mass for each in verdicts if each.off_letter_mass is not None]
    return Figures(
        pairs=len(judged),
        judged=len(done),
        not_judged=dict(refused),
        wins=outcomes["win"],
        ties=outcomes["tie"],
        losses=outcomes["loss"],
        notes=dict(Counter(each.note for each in verdicts if each.note)),
        unfinished=sum(pair.candidate.unfinished for pair, _ in judged),
        win_rate=Rate(float(points.mean()), float(lows[0]), float(highs[0])),
        mean_preference=Rate(float(preferences.mean()), float(lows[1]), float(highs[1])),
        length_controlled=Rate(control.win_rate, float(lows[2]), float(highs[2])),
        length_coefficient=control.length,
        position=_position(verdicts),
        off_letter_mass=sum(masses) / len(masses) if masses else None,
        lengths=_lengths(done),
    )


def _intervals(
    points: Floats, preferences: Floats, differences: Floats, seed: int, resamples: int
) -> Floats:
    """Return the lower ends of the three rates' intervals, and the upper ones. Shape: (2, 3)."""
    n, dice = len(points), np.random.default_rng(seed)
    at_once = max(1, HELD_COUNTS // n)
    rates = []
    for start in range(0, resamples, at_once):
        size = min(at_once, resamples - start)
        counts = dice.multinomial(n, np.full(n, 1 / n), size=size).astype(np.float64)
        again = resampled(preferences, differences, counts)
        rates.append(np.stack([counts @ points / n, counts @ preferences / n, again], axis=1))
    tail = 100 * (1 - COVERAGE) / 2
    found: Floats = np.percentile(np.concatenate(rates), [tail, 100 - tail], axis=0)
    return found


def _position(verdicts: Sequence[Verdict]) -> Position | None:
    asked = [(v.first, v.second, v) for v in verdicts if v.first is not None]
    if not asked:
        return None
    # The candidate stood first, then the reference did: what stood first had these probabilities.
    first = np.array([p for a, b, _ in asked for p in (a, 1.0 - (b or 0.0))])
    chosen = np.where(first == 0.5, 0.5, first > 0.5)
    return Position(
        chose_first=float(chosen.mean()),
        probability_of_first=float(first.mean()),
        orders_disagree=sum(v.orders_disagree for _, _, v in asked) / len(asked),
    )


def _lengths(done: Sequence[tuple[Pair, Verdict]]) -> Lengths:
    ours = [pair.candidate for pair, _ in done]
    tokens = [each.output_tokens for each in ours if each.output_tokens is not None]
    longer = [
        POINTS[verdict.outcome] if _longer_by(pair) > 0 else 1 - POINTS[verdict.outcome]
        for pair, verdict in done
        if _longer_by(pair) != 0
    ]
    return Lengths(
        candidate_mean_chars=sum(len(each.output) for each in ours) / len(done),
        reference_mean_chars=sum(len(pair.reference.output) for pair, _ in done) / len(done),
        candidate_mean_tokens=sum(tokens) / len(tokens) if tokens else None,
        longer_wins=sum(longer) / len(longer) if longer else None,
    )


def _longer_by(pair: Pair) -> int:
    return len(pair.candidate.output) - len(pair.reference.output)
