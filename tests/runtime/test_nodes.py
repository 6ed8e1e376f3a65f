"""A cluster of three nodes that loses one of them in the middle of a run, three times."""

import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from backtrans.ledger import Ledger
from backtrans.store import Store, StoreSettings
from tests.chaos import model
from tests.chaos.diary import Line
from tests.chaos.drivers import DEADLINE_SECONDS, Driver
from tests.chaos.storm import Scene
from tests.chaos.tally import Tally
from tests.chaos.verdict import Truth, verdict

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(600)]

KILLS = (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL)
"""As machines go: without a word, or with the word that a spot notice gives."""

IN_FLIGHT = 2
HOST = "127.0.0.2"
"""This machine, and no other. Ray takes 127.0.0.1 for "where others reach me", and finds no one."""

POLL_SECONDS = 0.05
PHASE, LAST_COMMIT = "backtranslate+score", "commits/score/"


@dataclass
class Nodes:
    """A head that computes nothing, and two nodes with a GPU each, of which none is real."""

    cluster: Any
    workers: list[Any] = field(default_factory=list)

    def add(self) -> None:
        """Add a node."""
        self.workers.append(
            self.cluster.add_node(
                num_cpus=2,
                num_gpus=1,
                object_store_memory=80_000_000,
                node_ip_address=HOST,
            )
        )

    def family(self, node: Any) -> list[psutil.Process]:
        """Return the node's raylet and all that it started, its workers among them."""
        [raylet] = node.all_processes["raylet"]
        found = psutil.Process(raylet.process.pid)
        return [found, *found.children(recursive=True)]

    def lose(self, node: Any, how: int) -> set[int]:
        """End a node, with everything on it; return the ids of its processes."""
        raylet, *others = self.family(node)
        raylet.send_signal(how)
        if how == signal.SIGKILL:  # a machine that is gone takes all at once
            for each in others:
                with suppress(psutil.NoSuchProcess):
                    each.kill()
        self.cluster.remove_node(node, allow_graceful=how != signal.SIGKILL)
        self.workers.remove(node)
        _, left = psutil.wait_procs(others, timeout=DEADLINE_SECONDS)
        assert not left, "a node's processes outlive it"
        return {each.pid for each in others}


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    from ray.cluster_utils import Cluster

    head = {
        "num_cpus": 0,
        "num_gpus": 0,
        "object_store_memory": 80_000_000,
        "node_ip_address": HOST,
        "include_dashboard": False,
        # Ray gives a node that is silent 15 s; a killed one is silent at once.
        "_system_config": {"health_check_period_ms": 500, "worker_niceness": 0},
    }
    cluster = Cluster(initialize_head=True, head_node_args=head)
    found = Nodes(cluster)
    try:
        found.add()
        found.add()
        yield found
    finally:
        cluster.shutdown()


def begun(line: Line) -> str | None:
    """Return the shard of which a worker begins an attempt here."""
    if line.did == "put_new" and line.won and f"/{PHASE}/" in line.key:
        return line.key.rpartition("/")[2].rpartition(".")[0]
    return None


def ended(line: Line) -> str | None:
    """Return the key of the commit with which a worker ends a shard here."""
    if line.did == "put_new" and LAST_COMMIT in line.key:
        return line.key.removeprefix(LAST_COMMIT).removesuffix(".json")
    return None


def lose_one(nodes: Nodes, driver: Driver, how: int, commits: int) -> set[int]:
    """Once so many shards are done, lose the newest node that is at work, and add another."""
    at_work: list[Any] = []

    def is_time() -> bool:
        time.sleep(POLL_SECONDS)  # the cores are for the run
        lines = driver.lines()
        held = Counter(line.pid for line in lines if begun(line))
        held.subtract(line.pid for line in lines if ended(line))
        at_work[:] = [
            node
            for node in reversed(nodes.workers)
            if any(held[each.pid] > 0 for each in nodes.family(node))
        ]
        return bool(at_work) and sum(ended(line) is not None for line in lines) >= commits

    assert driver.until(is_time, f"{commits} shards"), f"the run ended first\n{driver.said()}"
    pids = nodes.lose(at_work[0], how)
    nodes.add()
    return pids


def test_three_nodes_are_lost_in_turn_and_at_most_what_was_in_flight_on_them_is_done_again(
    nodes: Nodes, tmp_path: Path
) -> None:
    slow = {"path": f"{model.NAME}?latency_seconds=1", "engine": "scripted"}
    changes = {
        "recipe__deduplicate": {"enabled": False},
        "recipe__models": {"backward": slow, "forward": slow},
        "placement__max_attempts": 3,
    }
    store = StoreSettings(str(tmp_path))
    scene = Scene(tmp_path, store, "local", Tally(), files=3, rows_each=80, changes=changes)
    try:
        calm = scene.fresh_root("calm")
        scene.driver(calm, placement__engines={"in_flight": 32}).completes()
        truth = Truth.of(calm)

        scene.ray_address = nodes.cluster.address
        root = scene.fresh_root("lossy")
        driver = scene.driver(
            root,
            runtime="ray",
            placement__engine={"device": "gpu"},
            placement__engines={"min": 2, "max": 2, "in_flight": IN_FLIGHT},
        )
        lost = [lose_one(nodes, driver, how, 3 * n) for n, how in enumerate(KILLS, start=1)]
        driver.completes()
    finally:
        scene.close()

    lines = driver.lines()
    assert verdict(root, truth, {}, lines).clean
    shards = {commit.key: commit.shard for commit in Ledger(Store(root)).commits("score")}
    cut_off = []
    for pids in lost:
        of_node = [line for line in lines if line.pid in pids]
        done = {shards[key] for key in map(ended, of_node) if key}
        cut_off.append({shard for shard in map(begun, of_node) if shard} - done)
        assert len(cut_off[-1]) <= IN_FLIGHT, "more was lost than was in flight"
    assert any(cut_off), "nothing was in flight where it was struck"
    tries = asking_attempts(lines, shards)
    assert set(tries) == set(shards.values())
    assert {shard for shard, times in tries.items() if times > 1} <= set().union(*cut_off)
    assert tries.total() - len(tries) <= sum(map(len, cut_off))
    alone = [info.key for info in Store(root).list("attempts/") if ".alone/" in info.key]
    assert alone == [], "what went with its node was taken to be at fault"


def asking_attempts(lines: list[Line], shards: dict[str, str]) -> Counter[str]:
    """Count the attempts at each shard; one that finds it committed asks nothing, and is none."""
    tries: Counter[str] = Counter()
    done: set[str] = set()
    for line in lines:
        if (shard := begun(line)) and shard not in done:
            tries[shard] += 1
        elif key := ended(line):
            done.add(shards[key])
    return tries
