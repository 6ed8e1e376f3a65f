"""An event loop of one's own, in a thread: work for it comes from threads and from any other loop.

Promises: who waits for work that is ended hears why; a caller who is interrupted takes its work
back; nothing is left of a closed loop.

Does not know: what the work is.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

from backtrans.errors import EngineDead

T = TypeVar("T")


class OwnLoop:
    """A running loop. `over` says why it takes no more work, once that is so."""

    def __init__(self, name: str, closed: str) -> None:
        """Start the loop. `closed` is what who comes after its closing hears, whatever ended it."""
        self.over = ""
        self._closed_words = closed
        self._lock = threading.Lock()
        self._closed = False
        self._asked: set[Future[Any]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name=name)
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        """Have work done here. Raises: EngineDead where no more is taken."""
        with self._lock:
            if self.over:
                work.close()
                raise EngineDead(self._closed_words if self._closed else self.over)
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
            self._asked.add(future)
        future.add_done_callback(self._asked.discard)
        return future

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Have work done here, and wait for it in this thread. Raises: EngineDead; what it does."""
        future = self.submit(work)
        try:
            return future.result()
        except CancelledError:
            raise EngineDead(self.over) from None
        except BaseException:
            future.cancel()  # an interrupted caller asks no more
            raise

    async def awaited(self, work: Coroutine[Any, Any, T]) -> T:
        """Have work done here, and wait for it on the caller's loop. Raises: as `wait`."""
        try:
            return await asyncio.wrap_future(self.submit(work))
        except asyncio.CancelledError:
            if self.over:  # its end cancelled it, not the caller
                raise EngineDead(self.over) from None
            raise

    def soon(self, call: Callable[[], object]) -> None:
        """Have a call made on the loop, from any thread; nobody waits for it."""
        self._loop.call_soon_threadsafe(call)

    def end(self, why: str) -> None:
        """End all work that was asked for, and take no more; the first reason counts."""
        with self._lock:
            self.over = self.over or why
        for future in list(self._asked):
            future.cancel()

    def close(self, last: Callable[[], Coroutine[Any, Any, None]] | None = None) -> None:
        """End the work, do what is to be done last, and end the loop; may be called twice."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self.end(self._closed_words)
        asyncio.run_coroutine_threadsafe(_finish(last), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _finish(last: Callable[[], Coroutine[Any, Any, None]] | None) -> None:
    try:
        if last is not None:
            await last()
    finally:
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


async def together(calls: list[Coroutine[Any, Any, T]]) -> list[T]:
    """Await calls at once, in order; the first failure ends the others and is raised as it is."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
