"""An engine that sleeps as long as a real one would work, and the model map's work over it.

Workers write down what they do, line by line, in one file: when they are open, how long each
request was in a slot, when each shard began and ended.

Source of the latencies: 69 tokens an instruction are 2408.04614's mean; 0.03 s a token and 0.3 s to
the first are this project's assumption for 8 B parameters on an H100 with a full batch (its weights
alone take 5 ms to read); a deviation of 0.6 in the logarithm, another one, has a row in a hundred
write four times the median.
"""

import asyncio
import contextvars
import hashlib
import math
import os
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backtrans.dialogue import Generate, Reply, Request
from backtrans.engines.scripted import default
from backtrans.ledger import Commit, Ledger, stage_key
from backtrans.records import SEGMENT, Counts, Row, table
from backtrans.role_stages import RoleStage
from backtrans.roles.backtranslate import Backtranslate
from backtrans.roles.score import Score
from backtrans.stages.ask import AskWorker
from backtrans.store import Store, StoreSettings
from backtrans.upstream import Upstream
from backtrans.work import Address

ROWS, SLOTS = 48, 6
AT_HAND = 2  # rows that wait in the engine itself: a quarter more than its slots, as in a real one
FIRST_TOKEN_SECONDS, TOKEN_SECONDS = 0.3, 0.03
MEAN_TOKENS, DEVIATION = 69.0, 0.6

SELECT = Upstream("select", "select-1")
PAIRS = Upstream("backtranslate", "backtranslate-1")
STAGES = (
    RoleStage(
        "backtranslate", Backtranslate(Generate(max_tokens=256)), PAIRS.key_fingerprint,
        (SELECT,), "sleeping",
    ),
    RoleStage("score", Score(), "score-1", (PAIRS, SELECT), "sleeping"),
)  # fmt: skip

_shard: contextvars.ContextVar[str] = contextvars.ContextVar("shard")


class Log:
    """A file to which all workers write, a whole line at a time."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def write(self, kind: str, *fields: object) -> None:
        line = " ".join(map(str, (kind, os.getpid(), *fields)))
        os.write(self._file, f"{line}\n".encode())


class SleepingEngine:
    """Answers as the scripted engine does, after as long as a real one would take."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._slots = asyncio.Semaphore(SLOTS)

    async def answer(self, requests: Sequence[Request]) -> list[Reply]:
        return list(await asyncio.gather(*map(self._one, requests)))

    async def _one(self, request: Request) -> Reply:
        async with self._slots:
            began = time.time()
            await asyncio.sleep(latency_seconds(request))
            self._log.write("request", _shard.get(), began, time.time())
        return default(request, 0)

    def close(self) -> None: ...


def latency_seconds(request: Request) -> float:
    """Draw how long a request takes: the same each time."""
    seconds = FIRST_TOKEN_SECONDS
    if isinstance(request.want, Generate):
        dice = random.Random(hashlib.sha256(repr(request).encode()).digest())
        mean_log = math.log(MEAN_TOKENS) - DEVIATION**2 / 2
        seconds += TOKEN_SECONDS * dice.lognormvariate(mean_log, DEVIATION)
    return seconds


@dataclass(frozen=True, slots=True)
class Sleeping:
    """The model map's work, on an engine that sleeps."""

    store: StoreSettings
    log: str
    name: str = "backtranslate+score"
    uses_engine: bool = True
    gpus_each: float = 1.0

    def open(self) -> "Sleeper":
        return Sleeper(self)


class Sleeper:
    """The model map's worker, which says when it begins and ends a shard."""

    def __init__(self, work: Sleeping) -> None:
        self._log = Log(Path(work.log))
        ledger = Ledger(Store(work.store))
        self._worker = AskWorker(
            STAGES, "bench", ledger, SleepingEngine(self._log), rows_at_once=SLOTS + AT_HAND
        )
        self._log.write("opened", time.time())

    async def do(self, address: Address) -> tuple[list[Commit], int]:
        _shard.set(address.key)  # in the task of this call alone
        began = time.time()
        done = await self._worker.do(address)
        self._log.write("shard", address.key, began, time.time())
        return done

    def close(self) -> None:
        self._worker.close()


def select(root: StoreSettings, shards: int) -> list[Address]:
    """Commit shards as the selecting stage does."""
    ledger, addresses = Ledger(Store(root)), []
    for n in range(shards):
        shard = f"shard-{n:05d}"
        rows: list[Row] = [
            {"id": f"{n}-{k}", "text": f"Page {k} of volume {n} tells of rivers.", "row": k}
            for k in range(ROWS)
        ]
        part = table(rows, SEGMENT)
        key = stage_key(SELECT.stage, SELECT.key_fingerprint, shard)
        name = ledger.part_key("select", key, "one")
        counts = Counts.of(ROWS, part)
        commit = Commit("select", key, shard, "corpus.jsonl", n * ROWS, name, counts, attempt="one")
        ledger.commit(commit, part)
        addresses.append(Address(shard, shard, "corpus.jsonl", n * ROWS))
    return addresses
