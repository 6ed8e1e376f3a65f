"""Figures against judges whose bias is known: what is planted comes out, and nothing else does."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtrans.evaluation.length_control import RIDGE, length_controlled, resampled
from backtrans.evaluation.outputs import Output
from backtrans.evaluation.pairing import Pair
from backtrans.evaluation.verdicts import Verdict, verdict, without_judge
from backtrans.evaluation.win_rate import Figures, figures
from backtrans.records import Reject

SEEDS = range(20)


def pair(ours: str, theirs: str, number: int = 1) -> Pair:
    asked = (number, None, f"Question {number}?")
    return Pair(str(number), None, asked[2], Output(*asked, ours), Output(*asked, theirs))


def asked(one_first: float, other_first: float, margin: float = 0.0) -> Verdict:
    fields = {"a_one_first": one_first, "a_other_first": other_first, "off_letter_mass": 0.0}
    found = verdict(fields, margin)
    assert isinstance(found, Verdict)
    return found


def summed(verdicts: list[Verdict | Reject], lengths: list[tuple[int, int]]) -> Figures:
    pairs = [pair("a" * ours, "b" * theirs) for ours, theirs in lengths]
    return figures(list(zip(pairs, verdicts, strict=True)), seed=0, resamples=200)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


# ---------------------------------------------------------------- one pair


def test_a_preference_is_the_mean_of_both_orders() -> None:
    # First, the candidate is A with 0.9; second, the reference is A with 0.3.
    found = asked(0.9, 0.3)
    assert (found.preference, found.first, found.second) == pytest.approx((0.8, 0.9, 0.7))
    assert found.outcome == "win"
    assert asked(0.2, 0.9).outcome == "loss"


def test_orders_that_disagree_are_a_tie_however_strong_one_of_them_is() -> None:
    found = asked(0.99, 0.6)
    assert found.preference > 0.5
    assert found.orders_disagree
    assert found.outcome == "tie"


def test_a_preference_within_the_margin_is_a_tie() -> None:
    assert asked(0.54, 0.46, margin=0.05).outcome == "tie"
    assert asked(0.56, 0.44, margin=0.05).outcome == "win"
    assert asked(0.5, 0.5).outcome == "tie"


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.49))
def test_sides_exchanged_give_the_opposite_verdict(a: float, b: float, margin: float) -> None:
    ours, theirs = asked(a, b, margin), asked(b, a, margin)
    assert ours.preference + theirs.preference == pytest.approx(1.0)
    if abs(abs(ours.preference - 0.5) - margin) > 1e-9 and min(abs(a - 0.5), abs(b - 0.5)) > 1e-9:
        opposite = {"win": "loss", "loss": "win", "tie": "tie"}
        assert theirs.outcome == opposite[ours.outcome]


@pytest.mark.parametrize(
    ("ours", "theirs", "outcome", "note"),
    [
        ("same", "same", "tie", "identical"),
        ("", " \n", "tie", "identical"),
        ("", "text", "loss", "candidate_empty"),
        (" \n", "text", "loss", "candidate_empty"),
        ("text", "", "win", "reference_empty"),
    ],
)
def test_empty_and_equal_outputs_are_decided_without_a_judge(
    ours: str, theirs: str, outcome: str, note: str
) -> None:
    found = without_judge(pair(ours, theirs))
    assert found is not None
    assert (found.outcome, found.note, found.first) == (outcome, note, None)
    assert without_judge(pair("text", "text ")) is None


# ---------------------------------------------------------------- many pairs


def test_ties_count_as_half_and_every_pair_is_accounted_for() -> None:
    verdicts = [asked(0.9, 0.1), asked(0.9, 0.9), asked(0.2, 0.9), Reject("refused", "why")]
    found = summed(verdicts, [(3, 1)] * 4)
    assert (found.wins, found.ties, found.losses) == (1, 1, 1)
    assert (found.pairs, found.judged, found.not_judged) == (4, 3, {"refused": 1})
    assert found.win_rate.value == 0.5
    assert found.mean_preference.value == pytest.approx((0.9 + 0.5 + 0.15) / 3)


def test_a_judge_that_only_likes_a_place_finds_no_winner_and_is_found_out() -> None:
    found = summed([asked(0.9, 0.9)] * 50, [(k, 100 - k) for k in range(50)])
    assert (found.wins, found.ties, found.losses) == (0, 50, 0)
    assert found.win_rate.value == found.mean_preference.value == 0.5
    assert found.length_controlled.value == pytest.approx(0.5)
    assert found.position is not None
    assert (found.position.chose_first, found.position.orders_disagree) == (1.0, 1.0)
    assert found.position.probability_of_first == pytest.approx(0.9)


def test_a_judge_without_a_favourite_place_shows_no_position_bias() -> None:
    found = summed([asked(0.8, 0.2), asked(0.3, 0.7)] * 20, [(2, 1)] * 40)
    assert found.position is not None
    assert found.position.chose_first == 0.5
    assert found.position.probability_of_first == pytest.approx(0.5)
    assert found.position.orders_disagree == 0.0


def test_pairs_that_needed_no_judge_say_nothing_of_its_bias() -> None:
    found = figures(
        [(pair("", "b"), Verdict(0.0, "loss", note="candidate_empty"))], seed=0, resamples=9
    )
    assert found.position is None
    assert found.notes == {"candidate_empty": 1}
    assert found.off_letter_mass is None


def biased_to_length(seed: int, *, n: int = 400, quality: float = 0.0) -> Figures:
    """Judge by length and by a quality that is planted, when ours is the longer on average."""
    dice = np.random.default_rng(seed)
    lengths = [
        (int(a), int(b))
        for a, b in zip(dice.integers(50, 1000, n), dice.integers(50, 700, n), strict=True)
    ]
    spread = float(np.std([a - b for a, b in lengths], ddof=1))
    ours = [sigmoid(quality + 3 * math.tanh((a - b) / spread)) for a, b in lengths]
    return summed([asked(p, 1 - p) for p in ours], lengths)


def test_a_judge_that_only_likes_length_is_worth_half_when_length_is_controlled() -> None:
    for seed in SEEDS:
        found = biased_to_length(seed)
        assert found.win_rate.value > 0.6
        assert found.length_controlled.value == pytest.approx(0.5, abs=0.01)
        assert found.lengths.longer_wins == pytest.approx(1.0)


def test_quality_beside_length_is_what_is_left_when_length_is_controlled() -> None:
    for quality in (-1.0, 1.0):
        found = biased_to_length(3, quality=quality)
        assert found.length_controlled.value == pytest.approx(sigmoid(quality), abs=0.01)


@pytest.mark.parametrize("p", [0.3, 0.5, 0.8])
def test_a_planted_win_rate_lies_within_the_interval_in_most_seeds(p: float) -> None:
    inside = 0
    for seed in SEEDS:
        dice = np.random.default_rng(seed)
        wins = dice.random(200) < p
        verdicts = [asked(0.9, 0.1) if win else asked(0.1, 0.9) for win in wins]
        found = summed(verdicts, [(10, 10)] * 200)
        inside += found.win_rate.low <= p <= found.win_rate.high
        assert found.win_rate.value == wins.mean()
        assert found.win_rate.low < found.win_rate.value < found.win_rate.high
    assert inside >= 17  # of 20; 95% of them, and three for chance


def test_an_interval_follows_from_its_seed() -> None:
    judged = [(pair("aa", "b"), asked(p, 1 - p)) for p in (0.1, 0.4, 0.7, 0.9)]
    one, again, other = (figures(judged, seed=s, resamples=50) for s in (1, 1, 2))
    assert one == again
    assert one.win_rate != other.win_rate


def test_not_one_verdict_is_an_error_and_no_figure() -> None:
    with pytest.raises(ValueError, match="not one pair"):
        summed([Reject("refused", "")], [(1, 1)])


# ---------------------------------------------------------------- the regression


def test_the_regression_finds_the_coefficients_that_made_its_data() -> None:
    dice = np.random.default_rng(0)
    differences = dice.normal(100, 300, 5000)
    lengths = np.tanh(differences / differences.std(ddof=1))
    found = length_controlled(1 / (1 + np.exp(-(0.7 - 1.3 * lengths))), differences)
    assert (found.model, found.length) == pytest.approx((0.7, -1.3), abs=1e-3)
    assert found.win_rate == pytest.approx(sigmoid(0.7), abs=1e-3)


def test_a_regression_solved_by_hand() -> None:
    # Two lengths; where ours is longer three of four are won, where it is shorter one of four. The
    # logits are ln 3 and -ln 3: nothing is left at no difference, and the slope leads to both.
    differences = np.array([10.0] * 4 + [-10.0] * 4).repeat(1000)
    preferences = np.array([1, 1, 1, 0, 1, 0, 0, 0], dtype=float).repeat(1000)
    found = length_controlled(preferences, differences)
    assert found.model == pytest.approx(0.0, abs=1e-9)
    slope = math.log(3) / math.tanh(10 / np.std(differences, ddof=1))
    assert found.length == pytest.approx(slope, rel=1e-3)


def test_the_ridge_moves_a_win_rate_of_805_preferences_by_less_than_a_tenth_of_a_point() -> None:
    for wins in (81, 240, 402, 724):
        preferences = np.array([1.0] * wins + [0.0] * (805 - wins))
        found = length_controlled(preferences, np.zeros(805))
        assert found.win_rate == pytest.approx(wins / 805, abs=0.001)


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(-4000, 4000)), min_size=1, max_size=30))
def test_candidate_and_reference_exchanged_give_the_rest_of_the_figure(
    rows: list[tuple[float, int]],
) -> None:
    preferences = np.array([p for p, _ in rows])
    differences = np.array([float(d) for _, d in rows])
    ours = length_controlled(preferences, differences)
    theirs = length_controlled(1 - preferences, -differences)
    assert 0 < ours.win_rate < 1
    assert ours.win_rate + theirs.win_rate == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("won", [0.0, 1.0])
def test_wins_without_exception_have_a_figure_near_all_or_nothing(won: float) -> None:
    for differences in (np.zeros(300), np.arange(300.0), np.full(300, 7.0)):
        found = length_controlled(np.full(300, won), differences)
        assert found.win_rate == pytest.approx(won, abs=0.1)
        assert math.isfinite(found.length)


def test_a_sample_in_which_each_pair_comes_once_is_the_sample_itself() -> None:
    dice = np.random.default_rng(0)
    preferences, differences = dice.random(50), dice.normal(50, 200, 50)
    counts = np.stack([np.ones(50), np.eye(50)[0] * 50, np.ones(50)])
    one, lopsided, again = resampled(preferences, differences, counts)
    assert one == again == pytest.approx(length_controlled(preferences, differences).win_rate)
    assert lopsided != pytest.approx(one)


@pytest.mark.slow
def test_the_fit_is_the_one_that_scikit_learn_finds() -> None:
    from sklearn.linear_model import LogisticRegression

    for seed in range(5):
        dice = np.random.default_rng(seed)
        preferences, differences = dice.random(300), dice.normal(80, 400, 300)
        lengths = np.tanh(differences / differences.std(ddof=1))
        columns = np.stack([np.ones(300), lengths], axis=1)
        # A preference of 0.7 is a win that weighs 0.7 and a loss that weighs 0.3.
        theirs = LogisticRegression(C=1 / RIDGE, fit_intercept=False, tol=1e-10).fit(
            np.tile(columns, (2, 1)),
            [1] * 300 + [0] * 300,
            sample_weight=np.concatenate([preferences, 1 - preferences]),
        )
        ours = length_controlled(preferences, differences)
        assert (ours.model, ours.length) == pytest.approx(tuple(theirs.coef_[0]), abs=1e-5)
