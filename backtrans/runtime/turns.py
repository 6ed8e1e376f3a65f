"""Whose turn it is in a worker: many side by side, or one alone.

Promises: first come, first served, so that neither kind waits for ever; and who wants to be alone
goes before whoever comes after it. A turn of one who is cancelled is the next one's.

Does not know: what is done in a turn.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """The turns of one worker."""

    def __init__(self) -> None:
        self._beside = 0
        self._alone = False
        self._waiting: deque[tuple[bool, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def beside_others(self) -> AsyncIterator[None]:
        """Hold a turn that others may share."""
        await self._turn(alone=False)
        try:
            yield
        finally:
            self._beside -= 1
            self._admit()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Hold a turn during which nobody else holds one."""
        await self._turn(alone=True)
        try:
            yield
        finally:
            self._alone = False
            self._admit()

    async def _turn(self, *, alone: bool) -> None:
        entry = (alone, asyncio.get_running_loop().create_future())
        self._waiting.append(entry)
        self._admit()
        try:
            await entry[1]
        except asyncio.CancelledError:
            if entry in self._waiting:
                self._waiting.remove(entry)
            elif not entry[1].cancelled():  # it was admitted, and will not come
                self._alone = self._alone and not alone
                self._beside -= not alone
            self._admit()
            raise

    def _admit(self) -> None:
        while self._waiting:
            alone, turn = self._waiting[0]
            if self._alone or (alone and self._beside):
                return
            self._waiting.popleft()
            if turn.cancelled():
                continue
            if alone:
                self._alone = True
            else:
                self._beside += 1
            turn.set_result(None)
