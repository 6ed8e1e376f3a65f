"""What the processes of one driver did, line by line, in a file that outlives them; and strikes.

Every operation on a store is a step. A process that keeps a diary writes each down when it is done,
and kills or stops itself at the one where it is to be struck. The diary lies outside the root,
and each line is one write, so that the lines of several processes stay whole.

Only processes that are forked or started for a test call `keep`: it changes `Store` for good.
"""

import fnmatch
import json
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from backtrans.store import ObjectInfo, Store

OPERATIONS = ("get", "put", "put_new", "exists", "list", "delete")
WRITES = ("put", "put_new")

Moment = Literal["before", "unnamed", "named", "after"]
"""On which side of a step. Inside a local write: the bytes are there but not under their name; or
under their name, with the temporary file beside it."""

Target = Literal["driver", "worker"]


@dataclass(frozen=True, slots=True)
class Strike:
    """Where a process strikes itself: at the n-th operation of a kind on keys of a pattern."""

    target: Target = "driver"
    operation: str = "*"
    keys: str = "*"
    nth: int = 1
    moment: Moment = "before"
    signal: int = signal.SIGKILL

    def __str__(self) -> str:
        number = f" ({self.nth})" if self.nth > 1 else ""
        return f"{self.moment} {self.operation} {self.keys}{number}"


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that a process did."""

    pid: int
    did: str  # an operation; "asked" the model; "opened" a worker
    key: str = ""
    won: bool = True  # of put_new: whether it was this call's


@dataclass(frozen=True, slots=True)
class Diary:
    """The diary of one driver and its workers: plain values that travel to them."""

    folder: Path
    strikes: tuple[Strike, ...] = ()

    def lines(self) -> list[Line]:
        """Return what was written down; an unfinished last line is not there yet."""
        written = self.folder / "diary"
        if not written.exists():
            return []
        whole, _, _ = written.read_text().rpartition("\n")
        return [Line(**json.loads(line)) for line in whole.splitlines()]

    def struck(self) -> list[Strike]:
        """Return the strikes that came about."""
        return [s for n, s in enumerate(self.strikes) if (self.folder / f"struck-{n}").exists()]

    def write(self, line: Line) -> None:
        """Write one line down, whole."""
        written = os.open(self.folder / "diary", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(written, json.dumps(asdict(line)).encode() + b"\n")
        finally:
            os.close(written)


def place(key: str) -> str:
    """Return the pattern of keys that stand at the same place of the layout."""
    top, *rest = key.split("/")
    match top:
        case "parts" | "commits":
            return f"{top}/{rest[0]}/*"
        case "attempts":
            return f"attempts/*/{rest[1]}/*" if len(rest) > 1 else key
        case "splits" if len(rest) > 1:
            return f"splits/*/{rest[1]}" + ("/*" if rest[2:] else "")
    return f"{top}/*"


_kept: "_Keeper | None" = None


def keep(diary: Diary, target: Target) -> None:
    """Keep a diary in this process from here on, once, whoever asks for it."""
    global _kept  # noqa: PLW0603 - a process has one Store, and one diary of what is done to it
    if _kept is None:
        _kept = _Keeper(diary, target)
        _kept.begin()


def note(did: str) -> None:
    """Write down something that was no step, where a diary is kept."""
    if _kept is not None:
        _kept.diary.write(Line(os.getpid(), did))


class _Keeper:
    """Stands between this process and its stores."""

    def __init__(self, diary: Diary, target: Target) -> None:
        self.diary = diary
        self._strikes = [(n, s) for n, s in enumerate(diary.strikes) if s.target == target]
        self._seen = [0] * len(diary.strikes)
        self._lock = threading.Lock()
        self._within = threading.local()

    def begin(self) -> None:
        for operation in OPERATIONS:
            setattr(Store, operation, self._watched(operation, getattr(Store, operation)))
        os.fsync = self._synced(os.fsync)

    def _watched(self, operation: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def step(store: Store, key: str = "", *data: bytes) -> Any:
            due = self._due(operation, key)
            self._strike(due, "before")
            self._within.due, self._within.syncs = due, 0
            won = operation != "put_new"
            try:
                result = original(store, key, *data)
                if operation == "list":
                    listed: list[ObjectInfo] = list(result)
                    result = iter(listed)
                elif operation == "put_new":
                    won = result
                return result
            finally:  # a step that found nothing, or that failed, is one too
                self._within.due = None
                # First the strike: a process may end between what it does and any word of it.
                self._strike(due, "after")
                self.diary.write(Line(os.getpid(), operation, key, won))

        return step

    def _synced(self, original: Callable[[int], None]) -> Callable[[int], None]:
        def fsync(file: int) -> None:
            # A local write syncs its temporary file first, then the folder that got the name.
            due = getattr(self._within, "due", None)
            if due is not None:
                self._within.syncs += 1
                self._strike(due, "unnamed" if self._within.syncs == 1 else "named")
            original(file)

        return fsync

    def _due(self, operation: str, key: str) -> list[tuple[int, Strike]]:
        """Return the strikes whose step this is."""
        due = []
        with self._lock:
            for number, strike in self._strikes:
                kind = fnmatch.fnmatchcase(operation, strike.operation)
                if kind and fnmatch.fnmatchcase(key, strike.keys):
                    self._seen[number] += 1
                    if self._seen[number] == strike.nth:
                        due.append((number, strike))
        return due

    def _strike(self, due: list[tuple[int, Strike]], moment: Moment) -> None:
        for number, strike in due:
            if strike.moment != moment:
                continue
            try:  # once: a worker that is started again is not struck by the same strike
                (self.diary.folder / f"struck-{number}").touch(exist_ok=False)
            except FileExistsError:
                continue
            # To this thread, which so goes not one step further; a stop sent to the whole process
            # would come to it when some other thread has had it.
            signal.pthread_kill(threading.get_ident(), strike.signal)
