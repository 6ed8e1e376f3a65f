"""Training data: the same whatever its order, each row once, and nothing dropped in silence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtrans.dialogue import Message
from backtrans.training.pairs import WHY, Exchange, Refused, TrainingPair, gathered

TEXTS = st.text(alphabet="ab \n", max_size=4)
PAIRS = st.builds(TrainingPair, TEXTS, TEXTS, st.booleans())
ROWS = st.lists(st.one_of(PAIRS, st.builds(Refused, st.sampled_from(sorted(WHY)))), max_size=12)


@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_changes_nothing(rows: list[TrainingPair | Refused], dice) -> None:  # type: ignore[no-untyped-def]
    shuffled = list(rows)
    dice.shuffle(shuffled)
    assert gathered(shuffled) == gathered(rows)


@given(ROWS)
def test_every_row_is_kept_or_counted_under_a_reason(rows: list[TrainingPair | Refused]) -> None:
    data = gathered(rows)
    assert sum(data.counts.values()) == len(rows)
    assert data.counts.keys() <= {*WHY, "seed", "augmented", "replay"}
    assert len(data.pairs) == data.counts.get("seed", 0) + data.counts.get("augmented", 0)
    assert all(pair.instruction.strip() and pair.output.strip() for pair in data.pairs)


def test_a_repeated_pair_is_trained_on_once() -> None:
    pair = TrainingPair("Say hi.", "Hi!")
    assert gathered([pair, pair]).pairs == (pair,)
    assert gathered([pair, pair]).digest == gathered([pair]).digest


@pytest.mark.parametrize(
    "other",
    [
        TrainingPair("Say ho.", "Hi!"),
        TrainingPair("Say hi.", "Ho!"),
        TrainingPair("Say hi.", "Hi!", augmented=True),
    ],
)
def test_another_pair_is_other_data(other: TrainingPair) -> None:
    assert gathered([other]).digest != gathered([TrainingPair("Say hi.", "Hi!")]).digest


def test_what_is_replayed_is_part_of_the_data() -> None:
    pair = TrainingPair("Say hi.", "Hi!")
    rating = Exchange((Message("user", "Rate it."),), "Score: 5")
    assert gathered([pair], [rating]).digest != gathered([pair]).digest
    assert gathered([pair], [rating]).counts == {"seed": 1, "replay": 1}


def test_an_exchange_may_ask_nothing_but_must_answer() -> None:
    rows = [Exchange((Message("user", ""),), "A page."), Exchange((Message("user", "Say."),), " ")]
    assert gathered([], rows).counts == {"replay": 1, "empty": 1}
