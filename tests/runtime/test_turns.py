"""Who may be in flight beside whom."""

import asyncio
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from backtrans.runtime.turns import Turns


async def holds(turns: Turns, alone: bool, steps: int, inside: list[bool]) -> None:
    async with turns.alone() if alone else turns.beside_others():
        inside.append(alone)
        for _ in range(steps):
            await asyncio.sleep(0)
            assert inside == [True] or not any(inside)
        inside.remove(alone)


holders = st.lists(st.tuples(st.booleans(), st.integers(0, 4), st.booleans()), max_size=12)


@given(holders)
def test_who_is_alone_is_alone_and_everyone_gets_a_turn(
    wanted: Iterable[tuple[bool, int, bool]],
) -> None:
    async def scene() -> None:
        turns, inside = Turns(), []
        tasks = []
        for alone, steps, cancelled in wanted:
            # One that is cancelled never comes in, or leaves at once: it must not keep its turn.
            task = asyncio.ensure_future(holds(turns, alone, steps, [] if cancelled else inside))
            tasks.append(task)
            if steps % 2:
                await asyncio.sleep(0)
            if cancelled:
                task.cancel()
        ends = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
        kept = [end for end, (*_, cancelled) in zip(ends, wanted, strict=True) if not cancelled]
        assert kept == [None] * len(kept)
        await asyncio.wait_for(holds(turns, True, 1, inside), 5)

    asyncio.run(scene())


def test_those_beside_each_other_overlap_and_who_waits_to_be_alone_goes_before_latecomers() -> None:
    async def scene() -> list[str]:
        turns, order = Turns(), []
        gate = asyncio.Event()

        async def first(name: str) -> None:
            async with turns.beside_others():
                order.append(name)
                await gate.wait()

        async def then(name: str, alone: bool) -> None:
            async with turns.alone() if alone else turns.beside_others():
                order.append(name)

        early = [asyncio.ensure_future(first(name)) for name in ("a", "b")]
        await asyncio.sleep(0)
        late = [asyncio.ensure_future(then("alone", True))]
        await asyncio.sleep(0)
        late.append(asyncio.ensure_future(then("late", False)))
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(*early, *late)
        return order

    assert asyncio.run(scene()) == ["a", "b", "alone", "late"]
