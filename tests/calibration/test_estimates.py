"""The figures over labels: unbiased under stratification, and intervals that cover as they say."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtrans.calibration.estimates import (
    Floats,
    Pool,
    auc,
    calibration_error,
    lower_bound,
    point,
    pool_of,
    reliability,
    resampled,
    share_good,
)
from backtrans.microworld import verdict

POPULATIONS = (1500, 400, 100)
SHARES = (0.2, 0.5, 0.85)
"""Of good pairs, in each stratum of a pool of 2,000."""


def truth() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a whole pool: which pairs are good, their strata, and a signal that tells them."""
    dice = np.random.default_rng(11)
    strata = np.repeat(np.arange(3), POPULATIONS)
    good = dice.random(2000) < np.array(SHARES)[strata]
    return good, strata, strata + good * 0.4 + dice.normal(0, 0.5, 2000)


def drawn(dice: np.random.Generator, each: int = 50) -> tuple[Pool, Floats]:
    good, strata, values = truth()
    chosen = np.concatenate(
        [dice.choice(np.flatnonzero(strata == n), each, replace=False) for n in range(3)]
    )
    pool = pool_of(good[chosen].tolist(), strata[chosen].tolist(), POPULATIONS)
    return pool, values[chosen]


def test_precision_and_recall_weighted_back_are_those_of_the_pool() -> None:
    good, _, values = truth()
    kept = values >= 1.2
    precision, recall = good[kept].mean(), kept[good].mean()
    dice, found, unweighted = np.random.default_rng(0), [], []
    for _ in range(400):
        pool, signal = drawn(dice)
        each = point(pool, signal, 1.2, np.empty((0, len(pool))))
        found.append((each.precision.value, each.recall.value, each.kept.value))
        unweighted.append(pool.good[signal >= 1.2].mean())
    means = np.mean(found, axis=0)
    assert means[0] == pytest.approx(precision, abs=0.01)
    assert means[1] == pytest.approx(recall, abs=0.01)
    assert means[2] == pytest.approx(kept.mean(), abs=0.01)
    # Without weights the sheet's own shares would be taken for the pool's.
    assert abs(np.mean(unweighted) - precision) > 0.05


def test_intervals_cover_about_as_often_as_they_say() -> None:
    good, _, values = truth()
    kept = values >= 1.2
    wanted = (good[kept].mean(), kept[good].mean(), good.mean())
    area = verdict.auc(list(zip(values.tolist(), good.tolist(), strict=True)))
    dice, covered = np.random.default_rng(1), np.zeros(4)
    for number in range(120):
        pool, signal = drawn(dice)
        again = resampled(pool, 200, seed=number)
        at = point(pool, signal, 1.2, again)
        figures = (at.precision, at.recall, share_good(pool, again), auc(pool, signal, again))
        for place, (figure, true) in enumerate(zip(figures, (*wanted, area), strict=True)):
            covered[place] += figure.low <= true <= figure.high  # type: ignore[operator]
    assert all(0.88 <= share <= 0.99 for share in covered / 120), covered / 120


def test_a_bound_that_is_to_be_sure_of_holds_nineteen_times_in_twenty() -> None:
    dice = np.random.default_rng(2)
    held = [
        lower_bound(good / 60, np.ones(60)) <= 0.9 for good in dice.binomial(60, 0.9, size=2000)
    ]
    assert 0.93 <= np.mean(held) <= 0.98
    assert lower_bound(1.0, np.ones(20)) < 0.9  # twenty of twenty say less than they seem to


numbers = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=40)


@given(numbers)
def test_a_plain_sample_has_the_area_that_counting_pairs_gives(
    found: list[tuple[int, bool]],
) -> None:
    pool = pool_of([good for _, good in found], [0] * len(found), [len(found)])
    values = np.array([float(value) for value, _ in found])
    ours = auc(pool, values, np.empty((0, len(found)))).value
    assert ours == pytest.approx(verdict.auc([(float(v), g) for v, g in found]))


@given(numbers)
def test_with_a_higher_threshold_less_is_kept_and_less_found(
    found: list[tuple[int, bool]],
) -> None:
    pool = pool_of([good for _, good in found], [v % 2 for v, _ in found], [50, 80])
    values = np.array([float(value) for value, _ in found])
    none = np.empty((0, len(found)))
    points = [point(pool, values, float(t), none) for t in range(8)]
    for one, next_one in pairwise(points):
        assert (next_one.kept.value or 0) <= (one.kept.value or 0) + 1e-12
        assert (next_one.recall.value or 0) <= (one.recall.value or 0) + 1e-12
    assert points[0].kept.value == pytest.approx(1.0)
    assert points[-1].precision.value is None  # of nothing kept there is no share


def test_probabilities_that_are_so_have_no_error_and_others_have_theirs() -> None:
    good = [True] * 8 + [False] * 2
    pool = pool_of(good, [0] * 10, [1000])
    none = np.empty((0, 10))
    assert calibration_error(pool, np.full(10, 0.8), none).value == pytest.approx(0.0)
    assert calibration_error(pool, np.full(10, 1.0), none).value == pytest.approx(0.2)
    (one,) = reliability(pool, np.full(10, 0.95))
    assert (one.labelled, one.stated, one.found) == (10, pytest.approx(0.95), 0.8)


def test_a_skipped_pair_is_stood_for_by_those_of_its_own_stratum() -> None:
    pool = pool_of([True, False, True], [0, 0, 1], [10, 30])
    assert pool.weights.tolist() == [5.0, 5.0, 30.0]
    assert share_good(pool, resampled(pool, 10, 0)).value == pytest.approx(35 / 40)
