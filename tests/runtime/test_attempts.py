"""The attempts at one address across the deaths of the processes that held it."""

import asyncio
from pathlib import Path

from backtrans.journal import Journal
from backtrans.runtime.attempts import Attempts
from backtrans.store import Store, StoreSettings
from backtrans.work import Address, RuntimeSettings, Worker

ADDRESS = Address("k0", "shard", "corpus/part-0.jsonl")


class Fine:
    """A worker that does what it is given, and counts."""

    def __init__(self) -> None:
        self.done = 0

    async def do(self, address: Address) -> tuple[list[object], int]:
        self.done += 1
        return [], 0

    def close(self) -> None: ...


class Held:
    """Holds a worker."""

    def __init__(self, worker: Fine) -> None:
        self._worker = worker

    def worker(self) -> Worker:
        return self._worker  # type: ignore[return-value]

    def died(self, worker: Worker) -> None:
        raise AssertionError("nothing died here")


def test_an_address_whose_receipts_are_lost_again_and_again_is_never_given_up(
    tmp_path: Path,
) -> None:
    # Another address kills the process each time, before this one's receipt has left it.
    settings = RuntimeSettings("run", StoreSettings(str(tmp_path)), max_attempts=3)
    worker = Fine()
    for _ in range(8):
        delivered = Attempts("score", settings, Held(worker)).carry(ADDRESS)
        assert asyncio.run(delivered).outcome == "done"
    assert worker.done == 8
    assert Journal(Store(settings.store)).quarantined("run") == []


class Slow(Fine):
    """A worker that does one address only when it has been given another."""

    def __init__(self) -> None:
        super().__init__()
        self.others = asyncio.Event()

    async def do(self, address: Address) -> tuple[list[object], int]:
        if address == ADDRESS:
            self.others.set()
        else:
            await self.others.wait()
        return await super().do(address)


def test_an_address_that_was_done_does_not_wait_to_be_alone_when_it_is_delivered_again(
    tmp_path: Path,
) -> None:
    settings = RuntimeSettings("run", StoreSettings(str(tmp_path)))
    asyncio.run(Attempts("score", settings, Held(Fine())).carry(ADDRESS))

    async def both() -> list[str]:
        attempts = Attempts("score", settings, Held(Slow()))
        other = Address("k1", "shard-1", "corpus/part-0.jsonl", 1)
        carried = asyncio.gather(attempts.carry(other), attempts.carry(ADDRESS))
        return [receipt.outcome for receipt in await asyncio.wait_for(carried, 30)]

    assert asyncio.run(both()) == ["done", "done"]
