"""Occupancy: how busy 64 actors keep their engines, on a cluster whose GPUs are pretended.

    python -m bench.occupancy [--actors 64] [--shards 1280]

Everything is real but the model: Ray Data's actors as a run starts them, the role stages, their
parts and commits in a store. The engine sleeps, as many requests at a time as it has slots. A
request waits for its first token, and then for each of those that it writes, of which there are as
many as a log-normal law says. So an actor costs the machine next to no time, and 64 have room on
two cores. An engine has one slot for 42 of 256, and a shard one row for 20 of 1,000: rows last as
long as real ones, and so do shards.

*Busy* is the share of slots that hold a request, between an actor's first request and the start of
the run's last shard; and until all was handed out, when only the shard that waits at each actor had
not begun. List
scheduling, the bound, gives each shard to the actor that is free first, with no word between driver
and actor, and no commit; its slots are never empty in that time. It has the same shards, as long,
and actors that are there from the same moments on.

Where the latencies are from: `bench.sleeping`.
"""

import argparse
import math
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from heapq import heapify, heapreplace
from itertools import pairwise
from pathlib import Path

import psutil

from backtrans.runtime.ray_data import RayRuntime
from backtrans.store import StoreSettings
from backtrans.work import QUEUED_PER_WORKER, RuntimeSettings
from bench import book
from bench.book import Figure
from bench.sleeping import ROWS, SLOTS, Sleeping, select

IN_FLIGHT = 3

Span = tuple[float, float]


class Story:
    """What the workers wrote down."""

    def __init__(self, log: Path) -> None:
        self.opened: dict[str, float] = {}
        self.requests: dict[str, list[Span]] = defaultdict(list)  # by worker
        self.shards: dict[str, list[Span]] = defaultdict(list)
        self.slot_seconds: dict[str, float] = defaultdict(float)  # by shard
        for line in log.read_text().splitlines():
            kind, pid, *fields = line.split()
            if kind == "opened":
                self.opened[pid] = float(fields[0])
                continue
            span = float(fields[1]), float(fields[2])
            if kind == "shard":
                self.shards[pid].append(span)
            else:
                self.requests[pid].append(span)
                self.slot_seconds[fields[0]] += span[1] - span[0]

    def warm(self, pid: str) -> float:
        """Return when a worker's engine got its first request."""
        return min(began for began, _ in self.requests[pid])

    @property
    def last_start(self) -> float:
        """When the last shard of all was begun."""
        return max(began for spans in self.shards.values() for began, _ in spans)

    @property
    def handed_out(self) -> float:
        """When nothing was left but what waited at the actors, a shard at each."""
        begins = sorted(began for spans in self.shards.values() for began, _ in spans)
        return begins[-1 - QUEUED_PER_WORKER * len(self.shards)]

    @property
    def end(self) -> float:
        """When the last shard of all was done."""
        return max(ended for spans in self.shards.values() for _, ended in spans)


def held(spans: Iterable[Span], begin: float, end: float) -> dict[int, list[Span]]:
    """Return the times between two moments by how many spans hold in them."""
    steps = [(began, 1) for began, _ in spans] + [(ended, -1) for _, ended in spans]
    number, found = 0, defaultdict(list)
    steps = sorted([*steps, (begin, 0), (end, 0)])
    for (at, change), (then, _) in pairwise(steps):
        number += change
        if begin <= at and then <= end and then > at:
            found[number].append((at, then))
    return found


def seconds(spans: Iterable[Span], begin: float = 0.0, end: float = math.inf) -> float:
    """Return how long spans last, as far as they lie between two moments."""
    return sum(max(0.0, min(b, end) - max(a, begin)) for a, b in spans)


def list_schedule(lengths: Iterable[float], free: Iterable[float]) -> float:
    """Return when the last is done, where each goes to whoever is free first."""
    at = list(free)
    heapify(at)
    for length in lengths:
        heapreplace(at, at[0] + length)
    return max(at)


def busy_until(story: Story, end: float) -> float:
    """Return the share of slots that are filled from each actor's first request on."""
    workers = [pid for pid in story.requests if story.warm(pid) < end]
    filled = sum(seconds(story.requests[pid], story.warm(pid), end) for pid in workers)
    return filled / sum((end - story.warm(pid)) * SLOTS for pid in workers)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--actors", type=int, default=64)
    parser.add_argument("--shards", type=int, default=1280)
    asked = book.asked(parser)
    import ray

    with tempfile.TemporaryDirectory(prefix="backtrans-bench-") as name:
        root, log = StoreSettings(f"{name}/root"), Path(name) / "log"
        addresses = select(root, asked.shards)
        settings = RuntimeSettings(
            "bench",
            root,
            in_flight=IN_FLIGHT,
            min_workers=asked.actors,
            max_workers=asked.actors,
        )
        ray.init(
            address="local",
            num_cpus=asked.actors + 2,
            num_gpus=asked.actors,
            object_store_memory=200_000_000,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            _node_ip_address="127.0.0.1",
            _system_config={"worker_niceness": 0},
        )
        driver, began = psutil.Process(), time.time()
        busy_before = sum(driver.cpu_times()[:2])
        receipts = list(RayRuntime().map(Sleeping(root, str(log)), addresses, settings))
        driver_share = (sum(driver.cpu_times()[:2]) - busy_before) / (time.time() - began)
        ray.shutdown()
        assert {receipt.outcome for receipt in receipts} == {"done"}
        busy, ratio = tell(Story(log), [a.key for a in addresses], asked.actors, began)
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    print(f"the driver took {driver_share:.0%} of a core; load of the machine {load}")
    actors = f"{asked.actors} actors"
    book.record(
        asked,
        Figure(f"slots busy until the last shard begins, {actors}", 100 * busy, "%", at_least=95.0),
        Figure("first request to last commit", ratio, "", "list scheduling"),
        Figure("the driver took", 100 * driver_share, "% of a core"),
    )


def tell(story: Story, keys: list[str], actors: int, began: float) -> tuple[float, float]:
    """Print what came of it; return the share of busy slots, and the time against the bound's."""
    last = story.last_start
    workers = [pid for pid in story.requests if story.warm(pid) < last]
    whole = sum(last - story.warm(pid) for pid in workers)
    slots = whole * SLOTS
    empty, few, many = 0.0, 0.0, 0.0
    for pid in workers:
        begin = story.warm(pid)
        empty += seconds(held(story.requests[pid], begin, last)[0])
        for number, spans in held(story.shards[pid], begin, last).items():
            for a, b in spans:
                idle = (b - a) * SLOTS - seconds(story.requests[pid], a, b)
                if number < IN_FLIGHT:
                    few += idle
                else:
                    many += idle
    lengths = [story.slot_seconds[key] / SLOTS for key in keys]
    opened = sorted(at - began for at in story.opened.values())
    first = min(map(story.warm, workers))
    bound = list_schedule(lengths, map(story.warm, workers)) - first
    took = story.end - first
    wall = [b - a for spans in story.shards.values() for a, b in spans]
    print(
        f"{len(workers)} of {actors} actors, {len(keys):,} shards of {ROWS} rows: an engine's"
        f" {statistics.mean(lengths):.1f} s each ({min(lengths):.1f} to {max(lengths):.1f}), with"
        f" {IN_FLIGHT} in flight {statistics.mean(wall):.1f} s from begin to end"
    )
    print(
        f"actors ready after {opened[0]:.0f} s (first), {statistics.median(opened):.0f} s (median),"
        f" {opened[-1]:.0f} s (last); window of {whole / len(workers):.0f} s on average"
    )
    busy = busy_until(story, last)
    print(
        f"busy: {busy:.1%} of the slots, {1 - empty / whole:.1%} of the engines;"
        f" {busy_until(story, story.handed_out):.1%} of the slots until all was handed out"
    )
    print(
        f"idle slots: {few / slots:.1%} while an actor held fewer than {IN_FLIGHT} shards"
        f" (dispatch, receipts, the run's end), {many / slots:.1%} while it held {IN_FLIGHT}"
        " (a stage's end, parts and commits)"
    )
    print(
        f"first request to last commit {took:.0f} s; list scheduling {bound:.0f} s;"
        f" ratio {took / bound:.3f}"
    )
    return busy, took / bound


if __name__ == "__main__":
    main()
