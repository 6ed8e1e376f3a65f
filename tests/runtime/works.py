"""Works whose addresses say what befalls them: they travel to workers, so they live in a module."""

import asyncio
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from backtrans.errors import CredentialsRefused, EngineDead, ModelError
from backtrans.ledger import Commit
from backtrans.records import Counts
from backtrans.work import Address

DEADLINE_SECONDS = 60.0


def play(*fates: str) -> list[Address]:
    """Return an address a fate, such as "well", "raises:2" or "kills:always"."""
    return [Address(f"k{n}", f"shard-{n}", fate, n) for n, fate in enumerate(fates)]


async def until(condition: object, what: str) -> None:
    end = time.monotonic() + DEADLINE_SECONDS
    while not condition():  # type: ignore[operator]
        if time.monotonic() > end:
            raise TimeoutError(what)
        await asyncio.sleep(0.01)


@dataclass(frozen=True, slots=True)
class Play:
    """A play; what happened is remembered in a folder, since processes die in it."""

    folder: Path
    company: tuple[str, ...] = ()  # keys that must all have begun before a first attempt goes on
    opens: Literal["well", "no_model", "dead", "killed", "killed_once", "odd"] = "well"
    uses_engine: bool = True
    gpus_each: float = 0.0
    name: str = "play+encore"

    def open(self) -> "Player":
        return Player(self)

    def remembered(self, what: str) -> list[str]:
        path = self.folder / what
        return path.read_text().splitlines() if path.exists() else []

    def remember(self, what: str, line: str) -> int:
        with (self.folder / what).open("a") as memory:
            memory.write(line + "\n")
        return len(self.remembered(what))


class Player:
    def __init__(self, work: Play) -> None:
        self._work = work
        self._dead = asyncio.Event()
        openings = work.remember("openings", str(os.getpid()))
        match work.opens:
            case "no_model":
                raise ModelError("models/none: there is no such folder")
            case "dead":
                raise EngineDead("out of memory")
            case "odd":
                raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "an error of five arguments")
            case "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            case "killed_once" if openings == 1:
                os.kill(os.getpid(), signal.SIGKILL)

    async def do(self, address: Address) -> tuple[list[Commit], int]:
        work = self._work
        call = work.remember(f"calls-{address.key}", str(os.getpid()))
        work.remember("log", f"begin {address.key}")
        if call == 1 and address.key in work.company:
            await until(self._all_have_come, f"{address.key} waits for its company")
        fate, _, when = address.object.partition(":")
        struck = when == "always" or (when != "" and call <= int(when))
        if struck and fate == "raises":
            raise ValueError(f"{address.key} is bad")
        if struck and fate == "stops":
            raise ModelError(f"{address.key} has found the model wrong")
        if struck and fate == "refused":
            raise CredentialsRefused(f"{address.key} was refused the credentials")
        if struck and fate == "kills":
            os.kill(os.getpid(), signal.SIGKILL)
        if struck and fate == "dies":
            self._dead.set()
            raise EngineDead("the engine fell over")
        if struck and fate == "hangs":
            await asyncio.wait_for(self._dead.wait(), DEADLINE_SECONDS)
            raise EngineDead("the engine fell over")
        if fate == "sleeps":
            await asyncio.sleep(DEADLINE_SECONDS)
        # Seen by tests that an address is alone: nothing else begins between these two lines.
        await asyncio.sleep(0.02)
        work.remember("log", f"end {address.key}")
        counts = Counts(1, 1, {})
        commit = Commit("play", address.key, address.shard, address.object, 0, "p", counts)
        return [commit], 1

    def _all_have_come(self) -> bool:
        return all(self._work.remembered(f"calls-{key}") for key in self._work.company)

    def close(self) -> None:
        self._work.remember("closings", str(os.getpid()))
