"""Drivers: runs of a job, each in a process of its own that may be killed.

A server forks them. It has imported everything and begun no thread of ours, so that a driver starts
in milliseconds and opens its stores, loops and connections itself.
"""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import psutil

from backtrans.config import load
from backtrans.pipeline import Pipeline
from backtrans.runtime.local import LocalRuntime
from backtrans.runtime.ray_data import RayRuntime
from backtrans.work import Address, Receipt, Runtime, RuntimeSettings, Work, Worker
from tests.chaos.diary import Diary, Line, keep, note
from tests.jobs import Silent

DEADLINE_SECONDS = 120.0
"""Nothing takes so long; what does, hangs."""

FORKS = multiprocessing.get_context("forkserver")
# What a driver imports sooner or later; but Ray, which reads its environment when it is imported.
FORKS.set_forkserver_preload(
    [
        "tests.chaos.drivers",
        "tests.chaos.model",
        "tests.chaos.readers",
        "backtrans.engines.scripted",
        "backtrans.runtime.local",
        "backtrans.store_s3",
        "pandas",  # which pyarrow imports with its first empty table, and which takes a second
    ]
)


@dataclass(frozen=True, slots=True)
class Orders:
    """What a driver is to do: plain values."""

    config: Path
    diary: Diary
    environment: tuple[tuple[str, str], ...] = ()  # of the test, which the server does not know


@dataclass(frozen=True, slots=True)
class Watched:
    """Work whose workers keep the driver's diary."""

    work: Work
    diary: Diary

    @property
    def name(self) -> str:
        return self.work.name

    @property
    def uses_engine(self) -> bool:
        return self.work.uses_engine

    @property
    def gpus_each(self) -> float:
        return self.work.gpus_each

    def open(self) -> Worker:
        keep(self.diary, "worker")
        note("opened")
        return self.work.open()


class WatchedRay(RayRuntime):
    """Ray, whose workers keep the driver's diary."""

    def __init__(self, diary: Diary) -> None:
        super().__init__()
        self._diary = diary

    def map(
        self, work: Work, addresses: Sequence[Address], settings: RuntimeSettings
    ) -> Iterator[Receipt]:
        return super().map(Watched(work, self._diary), addresses, settings)


def in_a_child(call: Callable[..., None], said: Path, *arguments: Any) -> None:
    """Do something as a child of the server, whose words go to a file."""
    words = os.open(said, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(words, 1)
    os.dup2(words, 2)
    call(*arguments)


def drive(orders: Orders) -> None:
    """Run the job once, in this process."""
    os.environ.update(orders.environment)
    keep(orders.diary, "driver")
    runtimes: dict[str, Callable[[], Runtime]] = {
        "local": LocalRuntime,  # its worker is this process
        "ray": lambda: WatchedRay(orders.diary),
    }
    # The runtime is chosen inside the run: in this process, which lives for one run, it is ours.
    with mock.patch("backtrans.pipeline.open_runtime", lambda kind, _: runtimes[kind]()):
        Pipeline(load(orders.config), ray_auth_token=True).run(Silent())


class Driver:
    """A driver under way, seen from outside."""

    def __init__(self, orders: Orders) -> None:
        self.diary = orders.diary
        self._said = orders.diary.folder / "said"
        self._child = FORKS.Process(
            target=in_a_child, args=(drive, self._said, orders), daemon=True
        )
        self._child.start()

    @property
    def pid(self) -> int:
        assert self._child.pid is not None
        return self._child.pid

    def lines(self, did: str | None = None) -> list[Line]:
        """Return what its diary says, of one kind where that is asked for."""
        return [line for line in self.diary.lines() if did in (None, line.did)]

    def commits(self) -> int:
        """Count the commits that its diary tells of."""
        return sum(line.won and line.key.startswith("commits/") for line in self.lines("put_new"))

    def until(self, condition: Callable[[], bool], what: str) -> bool:
        """Wait for something that this driver brings about; False where it ended before that."""
        end = time.monotonic() + DEADLINE_SECONDS
        while not condition():
            if not self._child.is_alive():
                return condition()
            assert time.monotonic() < end, f"no sign of {what}\n{self.said()}"
            time.sleep(0.0005)
        return True

    def stopped(self) -> bool:
        """Say whether it has stopped itself."""
        return bool(psutil.Process(self.pid).status() == psutil.STATUS_STOPPED)

    def kill(self) -> None:
        """Kill it with -9, if it still runs."""
        self._child.kill()

    def go_on(self) -> None:
        """Let it go on after a stop."""
        os.kill(self.pid, signal.SIGCONT)

    def end(self) -> int:
        """Wait for its end; return the exit code, or minus the signal that ended it."""
        self._child.join(DEADLINE_SECONDS)
        code = self._child.exitcode
        if code is None:
            self._child.kill()
            self._child.join()
            raise AssertionError(f"the driver did not end by itself\n{self.said()}")
        self._child.close()
        return code

    def completes(self) -> None:
        """Wait for its end, which must be a good one."""
        code = self.end()
        assert code == 0, f"the driver ended with {code}\n{self.said()}"

    def close(self) -> None:
        """Kill it if a test left it running, stopped or not."""
        try:
            self._child.kill()
            self._child.join(DEADLINE_SECONDS)
            self._child.close()
        except ValueError:  # it was closed before
            return

    def said(self) -> str:
        """Return its words."""
        return self._said.read_text(errors="replace") if self._said.exists() else ""
