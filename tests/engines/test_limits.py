"""How fast a server is asked, and how long one waits: on a clock that the tests turn."""

import asyncio
import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtrans.engines.limits import (
    FIRST_WAIT_SECONDS,
    MAX_WAIT_SECONDS,
    Admission,
    Limiter,
    asked_to_wait,
    wait_seconds,
)

from .server import Clock

ARRIVALS = st.lists(
    st.tuples(st.floats(0, 40), st.integers(1, 50), st.integers(0, 60)), min_size=1, max_size=20
)
"""Of each request: how long after the one before it comes, what it is reckoned at, what it took."""


def admitted(
    requests: int | None, tokens: int | None, arrivals: list[tuple[float, int, int]]
) -> list[Admission]:
    """Let requests through one after another, each settled before the next comes."""
    clock = Clock()
    limiter = Limiter(requests, tokens, clock, clock.sleep)

    async def all_of_them() -> list[Admission]:
        made = []
        for pause, reckoned, took in arrivals:
            clock.now += pause
            made.append(await limiter.admit(reckoned))
            made[-1].tokens = took
        return made

    return asyncio.run(all_of_them())


@given(st.integers(1, 7), ARRIVALS)
def test_no_minute_has_more_requests_than_allowed(
    most: int, arrivals: list[tuple[float, int, int]]
) -> None:
    times = [each.at for each in admitted(most, None, arrivals)]
    assert times == sorted(times)
    for first, later in zip(times, times[most:], strict=False):
        assert later - first >= 60.0 - 1e-6


@given(st.integers(50, 200), ARRIVALS)
def test_no_minute_has_more_tokens_than_allowed_but_by_what_was_reckoned_too_low(
    most: int, arrivals: list[tuple[float, int, int]]
) -> None:
    honest = [(pause, reckoned, min(reckoned, took)) for pause, reckoned, took in arrivals]
    made = admitted(None, most, honest)
    for last in made:
        minute = [each for each in made if last.at - 60.0 + 1e-6 < each.at <= last.at]
        assert sum(each.tokens for each in minute) <= most


def test_what_was_reckoned_and_not_used_is_given_back() -> None:
    made = admitted(None, 100, [(0, 90, 5), (0, 90, 5), (0, 90, 90)])
    assert [each.at for each in made] == [1000.0, 1000.0, 1000.0]


def test_one_request_over_the_limit_waits_for_an_empty_minute_and_goes() -> None:
    made = admitted(None, 100, [(0, 50, 50), (0, 5000, 5000), (0, 1, 1)])
    assert [each.at for each in made] == pytest.approx([1000.0, 1060.0, 1120.0])


def test_without_limits_nobody_waits() -> None:
    assert {each.at for each in admitted(None, None, [(0, 10**9, 10**9)] * 50)} == {1000.0}


def test_who_came_first_goes_first_and_a_pause_holds_all() -> None:
    clock = Clock()
    limiter = Limiter(2, None, clock, clock.sleep)
    order: list[int] = []

    async def one(number: int) -> None:
        await limiter.admit(1)
        order.append(number)

    async def many() -> None:
        limiter.hold(25.0)
        await asyncio.gather(*(one(number) for number in range(6)))

    asyncio.run(many())
    assert order == [0, 1, 2, 3, 4, 5]
    assert clock.now == pytest.approx(1000.0 + 25.0 + 120.0)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("3", 3.0),
        (" 0.25 ", 0.25),
        ("Sat, 01 Aug 2026 12:00:30 GMT", 30.0),
        ("Sat, 01 Aug 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-1", None),
        ("", None),
        (None, None),
    ],
)
def test_a_server_may_say_when_in_seconds_or_by_a_date(
    header: str | None, seconds: float | None
) -> None:
    assert asked_to_wait(header, datetime(2026, 8, 1, 12, tzinfo=UTC)) == seconds


@given(st.integers(1, 60), st.integers())
def test_waits_double_spread_and_end_at_a_minute(attempt: int, seed: int) -> None:
    longest = min(FIRST_WAIT_SECONDS * 2 ** (attempt - 1), MAX_WAIT_SECONDS)
    assert longest / 2 <= wait_seconds(attempt, random.Random(seed)) <= longest
