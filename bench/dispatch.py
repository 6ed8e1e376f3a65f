"""Dispatch: what 100,000 shards cost the driver when the work itself is nothing.

    python -m bench.dispatch [--shards 100000] [--workers 4]

One input object, whose index names the shards, is planned and carried through a phase by the walk
of a run, on Ray Data's actors. Each worker gives back two commits of a shard, as the model map
does, and puts none; attempts are counted in the store, here a folder in memory if there is one.
The driver's memory is what no other process shares (USS): pages of Ray's object store, which are
mapped and not held, are not counted. It grows from the first quarter of the receipts to the last:
before that Ray's own threads and buffers come to be.

Beside it, the same through the local runtime, in a process of its own: what the walk itself keeps,
which is the packed record and the identity of each commit, and what the attempts cost.
"""

import argparse
import gc
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import psutil
import yaml

from backtrans.config import load
from backtrans.entries import Index, encoded, index_key
from backtrans.pipeline import Pipeline
from backtrans.placement import Workers
from backtrans.runtime.opening import open_runtime
from backtrans.spending import Spending
from backtrans.stages.select import shard_identity
from backtrans.walk import Walk
from backtrans.work import Receipt
from bench import book
from bench.book import Figure
from bench.nothing import STAGES, Nothing

MIB = 2**20


class Watch:
    """An observer that weighs this process as receipts come."""

    def __init__(self, shards: int) -> None:
        self.weights: list[tuple[int, float, float]] = []  # receipts, seconds, MiB
        self._due = [shards * quarter // 4 for quarter in range(1, 5)]
        self._receipts = 0
        self._began = time.monotonic()
        self.weigh()

    def note(self, line: str) -> None:
        print(f"  {line}")

    def phase(self, name: str, addresses: int) -> None: ...

    def receipt(self, receipt: Receipt) -> None:
        self._receipts += 1
        if self._receipts in (1, *self._due):
            self.weigh()

    def weigh(self) -> None:
        gc.collect()
        mib = psutil.Process().memory_full_info().uss / MIB
        self.weights.append((self._receipts, time.monotonic() - self._began, mib))


def job(folder: Path, shards: int, runtime: str) -> Pipeline:
    """Write a corpus of one object, and the index that a run would have left of it."""
    scripted = {"path": "scripted:default", "engine": "scripted"}
    raw = {
        "recipe": {
            "corpus": {"paths": ["corpus.jsonl"]},
            "models": {"backward": scripted, "forward": scripted},
            "deduplicate": {"enabled": False},
        },
        "placement": {"root": "root", "runtime": runtime},
    }
    (folder / "corpus.jsonl").write_text('{"id": "d", "text": "one"}\n')
    (folder / "run.yaml").write_text(yaml.safe_dump(raw))
    pipeline = Pipeline(load(folder / "run.yaml"))
    [found] = pipeline.standing().objects
    each = pipeline.config.recipe.corpus.shard_rows
    names = tuple(shard_identity(found.fingerprint, each, n) for n in range(shards))
    key = index_key(pipeline.resolved.fingerprints["select"], found.fingerprint)
    index = Index(key, found.info.key, found.fingerprint, shards * each, names)
    pipeline.ledger.store.put(f"indexes/{key}.json", encoded(index))
    return pipeline


def measure(folder: Path, shards: int, runtime: str, workers: int) -> Watch:
    """Plan and carry a phase; return what this process weighed meanwhile."""
    pipeline = job(folder, shards, runtime)
    watch = Watch(shards)
    began = time.monotonic()
    standing = pipeline.standing()
    addresses = standing.pending(STAGES, standing.shards()[0])
    assert len(addresses) == shards
    print(f"{runtime}: planned {shards:,} shards in {time.monotonic() - began:.1f} s")
    watch.weigh()
    settings = pipeline.works.runtime_settings("bench", Workers(min=workers, max=workers))
    spending = Spending(pipeline.config.placement)
    with open_runtime(pipeline.config.placement.runtime) as opened:
        walk = Walk(opened, watch, standing, [], spending, pipeline.journal)
        walk.carry(Nothing("bench"), addresses, settings)
    assert walk.made == dict.fromkeys(STAGES, shards)
    return watch


def tell(runtime: str, watch: Watch) -> tuple[float, float, float]:
    """Print a table; return the growth over the last three quarters, in KiB a shard and as a ratio,
    and the shards a second from the first receipt on.
    """
    names = ("start", "planned", "first receipt", "quarter", "half", "three quarters", "end")
    for name, (receipts, seconds, mib) in zip(names, watch.weights, strict=True):
        print(f"{runtime:6} {name:15} {receipts:9,} receipts {seconds:7.1f} s {mib:8.1f} MiB")
    first, quarter, last = (watch.weights[at] for at in (2, 3, -1))
    kib = (last[2] - quarter[2]) * 1024 / (last[0] - quarter[0])
    ratio, speed = last[2] / quarter[2], last[0] / (last[1] - first[1])
    print(f"{runtime:6} {kib:+.2f} KiB a shard, {ratio:.2f} times, {speed:,.0f} shards/s")
    return kib, ratio, speed


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=4)
    asked = book.asked(parser)
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108
    found = {}
    for runtime in ("ray", "local"):
        with (
            tempfile.TemporaryDirectory(prefix="backtrans-bench-", dir=memory) as name,
            ProcessPoolExecutor(1, get_context("spawn")) as alone,
        ):
            given = (Path(name), asked.shards, runtime, asked.workers)
            found[runtime] = alone.submit(measure, *given).result()
    kib, ratio, speed = tell("ray", found["ray"])
    local_kib, _, local_speed = tell("local", found["local"])
    print(f"ray / local: {speed / local_speed:.2f} in speed; load {os.getloadavg()[0]:.1f}")
    shards = f"{asked.shards:,} shards"
    book.record(
        asked,
        Figure(f"Ray: the driver grows over {shards}", kib, "KiB a shard"),
        Figure("Ray: the driver at the end", ratio, "", "a quarter of the way", at_most=1.2),
        Figure("local: the driver grows", local_kib, "KiB a shard"),
        Figure("Ray: shards dispatched", speed, "shards/s"),
        Figure("Ray: shards dispatched", speed / local_speed, "", "the local runtime"),
    )


if __name__ == "__main__":
    main()
