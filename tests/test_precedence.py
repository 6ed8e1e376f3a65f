"""Places go to who is first in rank, and none is lost, whoever is cancelled or fails."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from backtrans.precedence import Precedence


class Queue:
    """Callers who wait for a place, and note when they have it."""

    def __init__(self, places: int) -> None:
        self.precedence = Precedence(places)
        self.came: list[str] = []
        self.at_once = self.most = 0
        self.go_on = asyncio.Event()

    async def ask(self, rank: int, name: str = "", *, fails: bool = False) -> None:
        async with self.precedence.place(rank):
            self.came.append(name or str(rank))
            self.at_once += 1
            self.most = max(self.most, self.at_once)
            try:
                await self.go_on.wait()
                if fails:
                    raise ValueError(name)
            finally:
                self.at_once -= 1


async def waiting(*calls: Coroutine[Any, Any, None]) -> list[asyncio.Task[None]]:
    """Let calls come in this order, as far as they get."""
    tasks = []
    for call in calls:
        tasks.append(asyncio.ensure_future(call))
        await asyncio.sleep(0)
    return tasks


def test_a_place_goes_to_the_lowest_rank_and_among_equals_to_who_asked_first() -> None:
    async def play() -> list[str]:
        queue = Queue(1)
        asks = ((0, "a"), (2, "d"), (1, "b"), (2, "e"), (1, "c"))
        tasks = await waiting(*(queue.ask(rank, name) for rank, name in asks))
        queue.go_on.set()
        await asyncio.gather(*tasks)
        return queue.came

    assert asyncio.run(play()) == ["a", "b", "c", "d", "e"]


@given(
    st.integers(1, 4),
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["well", "fails", "gone"])), max_size=30),
)
def test_whoever_fails_or_is_cancelled_all_others_get_a_place_and_no_more_at_once_than_there_are(
    places: int, callers: list[tuple[int, str]]
) -> None:
    async def play() -> Queue:
        queue = Queue(places)
        tasks = await waiting(
            *(
                queue.ask(rank, f"{n}", fails=fate == "fails")
                for n, (rank, fate) in enumerate(callers)
            )
        )
        for task, (_, fate) in zip(tasks, callers, strict=True):
            if fate == "gone":
                task.cancel()
        queue.go_on.set()
        await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 10)
        queue.came.clear()
        await asyncio.gather(*(queue.ask(0) for _ in range(places)))
        return queue

    queue = asyncio.run(play())
    assert len(queue.came) == places, "a place is lost"
    assert queue.most <= places


def test_who_is_cancelled_in_the_moment_that_a_place_is_given_hands_it_on() -> None:
    async def play() -> list[str]:
        queue = Queue(1)
        queue.go_on.set()
        async with queue.precedence.place(0):
            gone, last = await waiting(queue.ask(1, "gone"), queue.ask(2, "last"))
        gone.cancel()  # the place is its own by now, and it has not been told
        await asyncio.wait_for(last, 10)
        assert gone.cancelled()
        return queue.came

    assert asyncio.run(play()) == ["last"]
