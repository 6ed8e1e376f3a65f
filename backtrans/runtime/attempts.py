"""The bounded attempts at one address, the same in every runtime.

An attempt that raises is repeated here, after a pause. An attempt whose process or engine died is
repeated by whoever delivers the address again, and then *alone*: a row that kills its engine kills
the addresses beside it too, and only by itself can an address be shown to be the one at fault. One
that had been done, and whose receipt was lost with another's death, is not at fault: its commits
are found again, beside others.

Promises: an address ends in one receipt; one that raised or died alone in its last attempt is
quarantined with its error; one that died only in company has one more attempt, alone, whatever
`max_attempts` says. So deaths are bounded: each costs an address its one attempt in company, or one
of its attempts alone. That a machine is lost is no address's fault, and costs it none, up to
`MAX_LOST` times.

Does not know: Ray, engines, what the work is.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from backtrans import logs
from backtrans.errors import ConfigError, CredentialsRefused, EngineDead, ModelError
from backtrans.journal import Journal, Quarantined
from backtrans.meter import ATTEMPT
from backtrans.runtime.machines import MAX_LOST, Machines, OneMachine
from backtrans.store import Store
from backtrans.work import Address, Receipt, RuntimeSettings, Work, Worker

MAX_OPENINGS = 3
"""How often in a row a worker may fail to open before the run stops. Source: this project's choice;
an engine start takes half a minute, and one that fails three times is not unlucky."""

MAX_BACKOFF_SECONDS = 60.0
"""The longest pause between two attempts. Source: this project's choice."""

DIED = "the worker process died"
"""The error of an attempt that left nothing but its record."""


class Hold(Protocol):
    """How a runtime holds the worker of its process."""

    def worker(self) -> Worker:
        """Return the worker, opened if need be. Raises: what stops the run."""
        ...

    def died(self, worker: Worker) -> None:
        """Let go of a worker whose engine died; need not return."""
        ...


class Attempts:
    """The attempts of one worker, over the journal's count of them, which outlives the worker."""

    def __init__(
        self,
        name: str,
        settings: RuntimeSettings,
        hold: Hold,
        machines: Machines = OneMachine(),  # noqa: B008 - it holds nothing
    ) -> None:
        self._name = name
        self._machines = machines
        self._settings = settings
        self._hold = hold
        self._journal = Journal(Store(settings.store))
        self._turns = Turns()
        self._stopped = False

    async def carry(self, address: Address) -> Receipt:
        """Try an address until it is done or given up.

        Raises: what is no address's fault: ConfigError, CredentialsRefused, ModelError, a
        StoreError of the record of attempts itself, work that does not open.
        """
        if await self._is_stopped():
            return Receipt(address, "left", attempts=0)
        logs.here(run=self._settings.run, stages=self._name, shard=address.shard)
        # Delivered before, not done, and not by this worker: in flight when its process died,
        # unless that died with its machine.
        delivered = await self._count("delivered", address)
        lost = await self._lost(address, delivered)
        was_done = delivered > 1 and await self._was_done(address)
        suspect = delivered - lost > 1 and not was_done
        error = ""
        while True:
            async with self._turns.alone() if suspect else self._turns.beside_others():
                attempt = await self._count("", address)
                tries_alone = await self._count("alone", address) if suspect else 0
                most = self._settings.max_attempts + lost
                if attempt > most and tries_alone > 1:
                    return await self._give_up(address, error, attempt - 1)
                at_fault = suspect
                ATTEMPT.set(attempt)
                logs.here(attempt=attempt)
                logs.happened("attempt begun", object=address.name, alone=suspect)
                worker = self._hold.worker()
                began = time.monotonic()
                try:
                    commits, made = await worker.do(address)
                    seconds = time.monotonic() - began
                    if not was_done:
                        await self._count("done", address)
                    return Receipt(address, "done", tuple(commits), made, "", attempt, seconds)
                except EngineDead as death:
                    error, suspect, raised = _text(death), True, False
                    logs.went_wrong("engine died", error=error)
                    self._hold.died(worker)
                except (ConfigError, CredentialsRefused, ModelError):
                    raise
                except Exception as failure:  # noqa: BLE001 - whatever it is, it is this address's
                    error, raised = _text(failure), True
                    logs.went_wrong("attempt failed", error=error)
                if attempt >= most and (at_fault or raised):
                    return await self._give_up(address, error, attempt)
            if raised:
                await asyncio.sleep(_pause_seconds(self._settings, address.key, attempt))

    async def _count(self, kind: str, address: Address) -> int:
        stage = f"{self._name}.{kind}" if kind else self._name
        begin, run, here = self._journal.begin_attempt, self._settings.run, self._machines.here
        return await asyncio.to_thread(begin, run, stage, address.key, here)

    async def _lost(self, address: Address, delivered: int) -> int:
        """Return how many deliveries before this one were lost with their machine."""
        read, stage = self._journal.attempted_where, f"{self._name}.delivered"

        def count() -> int:
            before = range(1, delivered)
            held = [read(self._settings.run, stage, address.key, number) for number in before]
            gone = self._machines.gone(held)
            return min(MAX_LOST, sum(machine in gone for machine in held))

        return await asyncio.to_thread(count) if delivered > 1 else 0

    async def _is_stopped(self) -> bool:
        if self._settings.stoppable and not self._stopped:  # there is no way back: seen once is all
            run = self._settings.run
            self._stopped = await asyncio.to_thread(self._journal.stopped, run)
        return self._stopped

    async def _was_done(self, address: Address) -> bool:
        stage, run = f"{self._name}.done", self._settings.run
        return await asyncio.to_thread(self._journal.attempted, run, stage, address.key)

    async def _give_up(self, address: Address, error: str, attempts: int) -> Receipt:
        run, name = self._settings.run, self._name
        if not error:
            # Nothing of this process's own to say. Where the address had been given up before, and
            # is delivered once more because its receipt was lost, that record says more.
            for known in await asyncio.to_thread(self._journal.quarantined, run):
                if (known.stage, known.key) == (name, address.key):
                    error, attempts = known.error, known.attempts
                    return Receipt(address, "quarantined", error=error, attempts=attempts)
        error = error or DIED
        record = Quarantined(run, name, address.key, address.name, error, attempts)
        await asyncio.to_thread(self._journal.quarantine, record)
        return Receipt(address, "quarantined", error=error, attempts=attempts)


def open_patiently(work: Work, settings: RuntimeSettings) -> Worker:
    """Open work, a few times where its engine dies while it starts.

    Raises: EngineDead after `MAX_OPENINGS`; whatever else `open` raises, at once.
    """
    for opening in range(1, MAX_OPENINGS):
        try:
            return work.open()
        except EngineDead:
            time.sleep(_pause_seconds(settings, "opening", opening))
    return work.open()


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _pause_seconds(settings: RuntimeSettings, key: str, attempt: int) -> float:
    """Return a growing pause, spread so that addresses that failed together part."""
    spread = random.Random(f"{settings.run}/{key}/{attempt}").uniform(0.5, 1.5)
    longest = settings.backoff_seconds * 2.0 ** (attempt - 1)
    return min(MAX_BACKOFF_SECONDS, longest * spread)


class Turns:
    """Whose turn it is in a worker: many side by side, or one alone.

    First come, first served, so that neither kind waits for ever; and who wants to be alone goes
    before whoever comes after it.
    """

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
