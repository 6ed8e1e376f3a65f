"""The bounded attempts at one address, the same in every runtime.

An attempt that raises is repeated here, after a pause. An attempt whose process or engine died is
repeated by whoever delivers the address again, and then *alone*: a row that kills its engine kills
the addresses beside it too, and only by itself can an address be shown to be the one at fault. One
that had been done, and whose receipt was lost with another's death, is not at fault: its commits
are found again, beside others.

Promises: an address ends in one receipt; one that raised in its last attempt is quarantined with
its error; so is one that died alone in it, where its worker cannot search for the rows that it dies
of, or has searched in vain; one that died only in company has one more attempt, alone, whatever
`max_attempts` says. So deaths are bounded: each costs an address its one attempt in company, one of
its attempts alone, or one of its searches. That a machine is lost is no address's fault, and costs
it none, up to `MAX_LOST` times.

Does not know: Ray, engines, what the work is.
"""

import asyncio
import random
import time
from typing import Protocol

from backtrans import logs
from backtrans.errors import ConfigError, CredentialsRefused, EngineDead, ModelError
from backtrans.journal import Journal, Quarantined
from backtrans.ledger import Commit
from backtrans.meter import ATTEMPT
from backtrans.runtime.machines import MAX_LOST, Machines, OneMachine
from backtrans.runtime.turns import Turns
from backtrans.searching import MAX_SEARCHES
from backtrans.store import Store
from backtrans.work import Address, Receipt, RuntimeSettings, Searcher, Work, Worker

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
                searching = attempt > most and tries_alone > 1
                if searching and not await self._may_search(address):
                    return await self._give_up(address, error, attempt - 1)
                at_fault = suspect
                ATTEMPT.set(attempt)
                logs.here(attempt=attempt)
                logs.happened("attempt begun", object=address.name, alone=suspect)
                worker = self._hold.worker()
                began = time.monotonic()
                try:
                    commits, made = await _carried(worker, address, searching=searching)
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
                if attempt >= most and (raised or (at_fault and not isinstance(worker, Searcher))):
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

    async def _may_search(self, address: Address) -> bool:
        """Say whether the address may be searched for rows of which the engine dies, once more."""
        if not isinstance(self._hold.worker(), Searcher):
            return False
        return await self._count("search", address) <= MAX_SEARCHES

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


async def _carried(
    worker: Worker, address: Address, *, searching: bool
) -> tuple[list[Commit], int]:
    if searching and isinstance(worker, Searcher):
        return await worker.search(address)
    return await worker.do(address)


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
