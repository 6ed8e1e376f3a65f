"""Places for so many at once, which go to whoever is first in rank and not to whoever asked first.

A worker has several shards in flight, so that its engine does not drain where one ends. If their
rows took turns, the shards would end together, each after as long as all of them take: receipts
would be late, and at the end of a run a worker with four shards left would be busy for four times
as long as one that has just run dry. So the rows of the shard that came first go first, in each of
its stages, and those behind it fill the places that it leaves.

Promises: no more places are held than there are; a place that is let go is given to the lowest rank
that waits, and within a rank in the order of asking; a caller who is cancelled holds nothing up.

Does not know: what has a rank, or what a place is for. For one event loop at a time.
"""

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Precedence:
    """Places, and who waits for one."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._numbers = itertools.count()
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []

    @asynccontextmanager
    async def place(self, rank: int) -> AsyncIterator[None]:
        """Hold a place; wait for one while there is none."""
        if self._free:
            self._free -= 1
        else:
            await self._wait(rank)
        try:
            yield
        finally:
            self._let_go()

    async def _wait(self, rank: int) -> None:
        given = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (rank, next(self._numbers), given))
        try:
            await given
        except asyncio.CancelledError:
            if given.done() and not given.cancelled():  # it was given a place, and will not come
                self._let_go()
            raise

    def _let_go(self) -> None:
        while self._waiting:
            _, _, given = heapq.heappop(self._waiting)
            if not given.done():
                given.set_result(None)
                return
        self._free += 1
