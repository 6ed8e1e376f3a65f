"""Work mapped over addresses in this process, by one worker with several addresses in flight.

Promises: the same receipts as the cluster runtime gives; where a run may be stopped, nothing is
begun until the receipt before it has been looked at, so that a stop is seen at once; closing the
iterator early ends what is in flight and closes the worker before it returns. Runs beside an event
loop of the caller's (a notebook's), because it has a thread and a loop of its own.

Does not know: Ray. A death of this process is the caller's: what was in flight is tried alone when
the same run is started again.
"""

import asyncio
import queue
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Self

from backtrans.runtime.attempts import Attempts, open_patiently
from backtrans.work import Address, Receipt, RuntimeSettings, Work, Worker


class LocalRuntime:
    """Maps work over addresses in this process."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Keep nothing between maps."""

    def ready(self, settings: RuntimeSettings) -> None:
        """Do nothing: this process is what work is mapped on."""

    def map(
        self, work: Work, addresses: Sequence[Address], settings: RuntimeSettings
    ) -> Iterator[Receipt]:
        """Yield one receipt an address, as they come. Rows: N -> N.

        Raises: what cannot be any one address's fault, such as work that does not open.
        """
        if not addresses:
            return
        arrived: queue.SimpleQueue[Receipt | BaseException | None] = queue.SimpleQueue()
        turn = _Turn(work, addresses, settings, arrived)
        thread = threading.Thread(target=turn.run, name=f"{work.name}-local", daemon=True)
        thread.start()
        try:
            while (came := arrived.get()) is not None:
                if isinstance(came, BaseException):
                    raise came
                yield came
                turn.heard()
        finally:
            turn.cancel()
            thread.join()


class _Turn:
    """One map: its loop, its worker, what is left to do."""

    def __init__(
        self,
        work: Work,
        addresses: Sequence[Address],
        settings: RuntimeSettings,
        arrived: "queue.SimpleQueue[Receipt | BaseException | None]",
    ) -> None:
        self._work = work
        self._left = deque(addresses)
        self._settings = settings
        self._arrived = arrived
        self._worker: Worker | None = None
        self._refused: Exception | None = None
        self._loop = asyncio.new_event_loop()
        self._all: asyncio.Task[None] | None = None
        self._cancelled = threading.Event()
        self._heard = asyncio.Semaphore(0)

    def run(self) -> None:
        """Run to the end, on the loop's own thread; the last thing put is an error or None."""
        end: BaseException | None = None
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._carry_all())
        except asyncio.CancelledError:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again on the caller's thread
            end = error
        finally:
            self._arrived.put(end)

    def cancel(self) -> None:
        """End what is in flight; from the caller's thread, and after the end too."""
        self._cancelled.set()
        with suppress(RuntimeError):  # the loop has closed: there is nothing left to end
            self._loop.call_soon_threadsafe(lambda: self._all and self._all.cancel())

    def heard(self) -> None:
        """Hear that a receipt has been looked at; from the caller's thread."""
        with suppress(RuntimeError):  # the loop has closed: nobody waits for it
            self._loop.call_soon_threadsafe(self._heard.release)

    def worker(self) -> Worker:
        """Return the worker; the first use opens it, and so does the first after a death."""
        if self._refused is not None:  # the other lanes end too, without openings of their own
            raise self._refused
        if self._worker is None:
            try:
                self._worker = open_patiently(self._work, self._settings)
            except Exception as error:
                self._refused = error
                raise
        return self._worker

    def died(self, worker: Worker) -> None:
        """Let a dead worker go. Others in flight on it will say the same of it."""
        if self._worker is worker:
            self._worker = None
            worker.close()

    async def _carry_all(self) -> None:
        self._all = asyncio.current_task()
        if self._cancelled.is_set():
            return
        attempts = Attempts(self._work.name, self._settings, self)
        lanes = [asyncio.ensure_future(self._lane(attempts)) for _ in range(self._lanes())]
        try:
            await asyncio.gather(*lanes)
        finally:
            for lane in lanes:
                lane.cancel()
            await asyncio.gather(*lanes, return_exceptions=True)
            if self._worker is not None:
                self._worker.close()

    def _lanes(self) -> int:
        return min(self._settings.in_flight, len(self._left))

    async def _lane(self, attempts: Attempts) -> None:
        while self._left:
            self._arrived.put(await attempts.carry(self._left.popleft()))
            if self._settings.stoppable:
                await self._heard.acquire()
