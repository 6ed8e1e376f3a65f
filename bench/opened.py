"""Parts of `bench.throughput` that travel to workers, and so have to be importable there."""

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
