"""The attempts at one address across the deaths of the processes that held it."""

import asyncio
from collections.abc import Collection
from pathlib import Path

import pytest

from backtrans.journal import Journal
from backtrans.runtime.attempts import Attempts
from backtrans.runtime.machines import MAX_LOST
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


class Ends(Fine):
    """A worker whose process ends under what it is given."""

    async def do(self, address: Address) -> tuple[list[object], int]:
        self.done += 1
        raise SystemExit


class Fleet:
    """Machines, as seen from one of them."""

    def __init__(self, here: str, there: Collection[str]) -> None:
        self.here = here
        self._there = there

    def gone(self, names: Collection[str]) -> set[str]:
        return set(names) - set(self._there)


def ends_on(machine: str, there: Collection[str], settings: RuntimeSettings) -> str:
    """Deliver the address to a worker that ends on a machine; return the outcome, if any."""
    attempts = Attempts("score", settings, Held(Ends()), Fleet(machine, there))
    try:
        return asyncio.run(attempts.carry(ADDRESS)).outcome
    except SystemExit:
        return ""


def test_machines_that_go_are_no_attempts_of_what_they_held(tmp_path: Path) -> None:
    settings = RuntimeSettings("run", StoreSettings(str(tmp_path)), max_attempts=2)
    for number in range(MAX_LOST):
        assert ends_on(f"spot-{number}", {f"spot-{number}"}, settings) == ""
    attempts = Attempts("score", settings, Held(Fine()), Fleet("last", {"last"}))
    assert asyncio.run(attempts.carry(ADDRESS)).outcome == "done"
    # Nor was it suspected: it was done beside others.
    counted = {info.key.split("/")[2] for info in Store(settings.store).list("attempts/")}
    assert counted == {"score", "score.delivered", "score.done"}


@pytest.mark.parametrize("there", [{"one"}, set()], ids=["a process", "its machine"])
def test_what_ends_its_process_or_its_machine_for_ever_is_given_up(
    tmp_path: Path, there: Collection[str]
) -> None:
    settings = RuntimeSettings("run", StoreSettings(str(tmp_path)), max_attempts=2)
    outcomes = [ends_on("one", there, settings) for _ in range(MAX_LOST + 5)]
    assert "quarantined" in outcomes
    assert outcomes.index("quarantined") <= (2 if there else MAX_LOST + 3)
