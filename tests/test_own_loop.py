"""A loop in a thread: nobody waits for what will not come."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from backtrans.errors import EngineDead
from backtrans.own_loop import OwnLoop, together


@pytest.fixture
def own() -> Iterator[OwnLoop]:
    loop = OwnLoop("tested", "it is closed")
    yield loop
    loop.close()


async def never(begun: threading.Event | None = None) -> None:
    if begun:
        begun.set()
    await asyncio.Event().wait()


async def one() -> int:
    return 1


def test_work_is_done_for_a_thread_and_for_another_loop(own: OwnLoop) -> None:
    assert own.wait(one()) == 1
    assert asyncio.run(own.awaited(one())) == 1


def test_what_the_work_raises_its_caller_hears(own: OwnLoop) -> None:
    async def failing() -> None:
        raise KeyError("it")

    with pytest.raises(KeyError, match="it"):
        own.wait(failing())


@pytest.mark.parametrize("ending", ["end", "close"])
def test_who_waits_when_it_ends_hears_why_and_so_does_who_comes_after(
    own: OwnLoop, ending: str
) -> None:
    begun = threading.Event()

    def end() -> None:
        begun.wait()
        if ending == "end":
            own.end("the core has ended")
            own.end("another reason")
        else:
            own.close()

    ender = threading.Thread(target=end)
    ender.start()
    why = "the core has ended" if ending == "end" else "it is closed"
    with pytest.raises(EngineDead, match=why):
        asyncio.run(own.awaited(never(begun)))
    ender.join()
    with pytest.raises(EngineDead, match=why):
        own.wait(one())
    own.close()
    with pytest.raises(EngineDead, match="it is closed"):
        asyncio.run(own.awaited(one()))


def test_a_caller_who_is_cancelled_takes_its_work_back_and_the_loop_goes_on(own: OwnLoop) -> None:
    begun, taken_back = threading.Event(), threading.Event()

    async def work() -> None:
        try:
            await never(begun)
        finally:
            taken_back.set()

    async def caller() -> None:
        asked = asyncio.ensure_future(own.awaited(work()))
        await asyncio.to_thread(begun.wait)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked

    asyncio.run(caller())
    assert taken_back.wait(10)
    assert own.wait(one()) == 1


def test_closing_does_what_is_to_be_done_last_on_the_loop_once_and_leaves_no_thread() -> None:
    own = OwnLoop("tested", "it is closed")
    inside = own.wait(_thread())
    done: list[int] = []

    async def last() -> None:
        done.append(threading.get_ident())

    own.close(last)
    own.close(last)
    assert done == [inside]
    assert inside not in {thread.ident for thread in threading.enumerate()}


async def _thread() -> int:
    return threading.get_ident()


def test_of_calls_that_are_awaited_together_the_first_failure_ends_the_others() -> None:
    ended: list[str] = []

    async def patient() -> None:
        try:
            await never()
        finally:
            ended.append("patient")

    async def failing() -> None:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        asyncio.run(together([patient(), failing()]))
    assert ended == ["patient"]
