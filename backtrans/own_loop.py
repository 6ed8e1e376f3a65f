"""An event loop of one's own, in a thread: work for it comes from threads and from any other loop.

Promises: who waits for work hears of its end, also where the loop is closed meanwhile; a caller who
is interrupted takes its work back; nothing is left of a closed loop.

Does not know: what the work is.
"""

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

from backtrans.errors import EngineDead

T = TypeVar("T")

CLOSED = "this judge is closed"
"""What who comes too late hears."""


class OwnLoop:
    """A running loop."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._closed = False
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="judge")
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        """Have work done here. Raises: EngineDead where this is closed."""
        if self._closed:
            work.close()
            raise EngineDead(CLOSED)
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Have work done here, and wait for it in this thread. Raises: EngineDead; what it does."""
        future = self.submit(work)
        try:
            return future.result()
        except CancelledError:
            raise EngineDead(CLOSED) from None
        except BaseException:
            future.cancel()  # an interrupted caller asks no more
            raise

    async def awaited(self, work: Coroutine[Any, Any, T]) -> T:
        """Have work done here, and wait for it on the caller's loop. Raises: as `wait`."""
        try:
            return await asyncio.wrap_future(self.submit(work))
        except asyncio.CancelledError:
            if self._closed:  # closing cancelled it, not the caller
                raise EngineDead(CLOSED) from None
            raise

    def close(self) -> None:
        """End what is under way, and the loop; may be called twice."""
        if self._closed:
            return
        self._closed = True
        asyncio.run_coroutine_threadsafe(_end_all(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _end_all() -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
