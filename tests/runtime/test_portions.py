"""A run is handed out in portions: every address once, in order, smaller ones at the end."""

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from backtrans.runtime.portions import MOST, held_at_once, portions
from backtrans.store import StoreSettings
from backtrans.work import Address, RuntimeSettings


def settings(workers: int = 1, in_flight: int = 3, *, stoppable: bool = False) -> RuntimeSettings:
    return RuntimeSettings(
        "run", StoreSettings("root"), in_flight=in_flight, max_workers=workers, stoppable=stoppable
    )


def addresses(number: int) -> list[Address]:
    return [Address(f"k{n}", f"s{n}", "o") for n in range(number)]


@given(st.integers(0, 30_000), st.integers(1, 300), st.integers(1, 8))
def test_every_address_is_in_one_portion_in_order_and_portions_never_grow(
    number: int, workers: int, in_flight: int
) -> None:
    given_out = addresses(number)
    found = portions(given_out, settings(workers, in_flight))
    assert [address for portion in found for address in portion] == given_out
    sizes = [len(portion) for portion in found]
    assert sizes == sorted(sizes, reverse=True)
    assert 0 not in sizes


@given(st.integers(1, 100_000), st.integers(1, 300))
def test_when_a_larger_portion_goes_out_as_much_is_left_as_lies_at_the_workers(
    number: int, workers: int
) -> None:
    placed = settings(workers)
    sizes = [len(portion) for portion in portions(addresses(number), placed)]
    held = held_at_once(placed, number)
    for size, gone in zip(sizes, accumulate(sizes), strict=True):
        assert size == 1 or number - gone >= size * held


def test_a_hundred_times_the_shards_are_no_more_portions_than_the_bound() -> None:
    placed = settings(workers=64)
    few, many = (len(portions(addresses(n), placed)) for n in (10_000, 1_000_000))
    levelling = 2 * held_at_once(placed, 1_000_000)
    assert few <= many <= 2 * MOST + levelling * 10


def test_a_small_run_and_one_that_may_be_stopped_are_handed_out_one_by_one() -> None:
    assert {len(each) for each in portions(addresses(2 * MOST - 1), settings())} == {1}
    assert {len(each) for each in portions(addresses(9 * MOST), settings(stoppable=True))} == {1}
