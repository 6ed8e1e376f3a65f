"""Parts of `bench.throughput` that travel to workers, and so have to be importable there; notes."""

import time
from dataclasses import dataclass
from pathlib import Path

from backtrans.stages.ask import AskWork, AskWorker


@dataclass(frozen=True, slots=True)
class NotedWork(AskWork):
    """The stage as it is; it writes down when its engine was ready."""

    ready_file: str = ""

    def open(self) -> AskWorker:
        worker = AskWork.open(self)
        Path(self.ready_file).write_text(str(time.time()), encoding="utf-8")
        return worker


def note(path: Path, tokens: int) -> None:
    """Add a batch to a file, whole, from whichever process."""
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{time.time()} {tokens}\n")


def noted(path: Path) -> list[tuple[float, int]]:
    """Read what was noted; rows of one batch, which come within a moment, are one."""
    found: list[tuple[float, int]] = []
    for moment, tokens in sorted(
        (float(moment), int(tokens))
        for moment, tokens in map(str.split, path.read_text(encoding="utf-8").splitlines())
    ):
        if found and moment - found[-1][0] < 0.25:
            found[-1] = (moment, found[-1][1] + tokens)
        else:
            found.append((moment, tokens))
    return found
