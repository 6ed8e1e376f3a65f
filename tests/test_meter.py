"""A worker's time is shared among what it does at once, and the shares add up to it."""

from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtrans.meter import Meter, Share


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_what_runs_alone_takes_all_the_time_and_two_at_once_half_each() -> None:
    clock = Clock()
    meter = Meter(clock)
    with meter.running() as first:
        clock.now += 2.0
        with meter.running() as second:
            clock.now += 4.0
        clock.now += 1.0
    clock.now += 50.0  # nobody's
    with meter.running() as third:
        clock.now += 3.0
    assert (first.seconds, second.seconds, third.seconds) == (5.0, 2.0, 3.0)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4), st.floats(0.0, 100.0)), max_size=40))
def test_shares_add_up_to_the_time_in_which_anything_ran(
    steps: list[tuple[bool, int, float]],
) -> None:
    clock = Clock()
    meter = Meter(clock)
    running: list[tuple[ExitStack, Share]] = []
    shares: list[Share] = []
    busy = 0.0
    for begins, which, seconds in steps:
        if begins:
            stack = ExitStack()
            share = stack.enter_context(meter.running())
            shares.append(share)
            running.append((stack, share))
        elif running:
            running.pop(which % len(running))[0].close()
        busy += seconds * bool(running)
        clock.now += seconds
    for stack, _ in running:
        stack.close()
    assert sum(share.seconds for share in shares) == pytest.approx(busy)


def test_what_fails_is_charged_and_let_go() -> None:
    clock = Clock()
    meter = Meter(clock)
    failing = ExitStack()
    failed = failing.enter_context(meter.running())
    clock.now += 2.0
    with pytest.raises(ValueError, match="broken"), failing:
        raise ValueError("broken")
    with meter.running() as next_one:
        clock.now += 3.0
    assert (failed.seconds, next_one.seconds) == (2.0, 3.0)
