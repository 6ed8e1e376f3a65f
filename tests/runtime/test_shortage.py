"""A cluster without room for a worker: the run waits, and says for what."""

import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backtrans.runtime import shortage
from backtrans.runtime.ray_data import RayRuntime
from backtrans.runtime.shortage import Growth, Node, lacking
from backtrans.work import Receipt
from tests.runtime.test_ray_cluster import settings_in
from tests.runtime.works import Play, play

WORKER = {"CPU": 1.0, "GPU": 4.0}


def node(gpus: float, *, used: float = 0.0, cpus: float = 8.0) -> Node:
    return Node({"CPU": cpus, "GPU": gpus}, {"CPU": cpus, "GPU": gpus - used})


def test_nothing_lacks_where_one_node_has_room() -> None:
    assert lacking(WORKER, [node(0), node(8, used=4)], Growth()) is None


def test_room_on_several_nodes_is_none_on_any() -> None:
    said = lacking(WORKER, [node(2), node(2), Node({}, {})], Growth())
    assert said is not None
    assert "needs 1 CPU, 4 GPU on one node, and none can hold one" in said
    assert "(nodes: 1 with 0 CPU, 0 GPU; 2 with 8 CPU, 2 GPU)" in said
    assert "no other node is being started" in said


def test_what_others_use_is_told_from_what_is_not_there() -> None:
    said = lacking(WORKER, [node(4, used=1), node(4, used=4), node(0)], Growth())
    assert said is not None
    assert "the 2 that could hold one are in use" in said


def test_what_an_autoscaler_does_about_it_is_said() -> None:
    growth = Growth(["2 engines-spot"], ["engines-on-demand (InsufficientInstanceCapacity)"])
    said = lacking(WORKER, [], growth)
    assert said is not None
    assert "(nodes: none); being started: 2 engines-spot" in said
    assert "failed to start: engines-on-demand (InsufficientInstanceCapacity)" in said


@pytest.fixture
def head() -> Iterator[Any]:
    """A head that computes nothing. Ray takes 127.0.0.1 for where others reach it."""
    from ray.cluster_utils import Cluster

    arguments = {
        "num_cpus": 0,
        "object_store_memory": 80_000_000,
        "node_ip_address": "127.0.0.2",
        "include_dashboard": False,
    }
    cluster = Cluster(initialize_head=True, head_node_args=arguments)
    yield cluster
    cluster.shutdown()


@pytest.mark.ray
@pytest.mark.slow
def test_a_run_on_a_cluster_without_room_says_so_and_goes_on_when_a_node_comes(
    tmp_path: Path, head: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shortage, "FIRST_SECONDS", 0.5)
    monkeypatch.setattr(shortage, "LOOK_SECONDS", 0.5)
    said: list[str] = []
    heard = threading.Event()

    def note(line: str) -> None:
        said.append(line)
        heard.set()

    settings = settings_in(tmp_path, ray_address=head.address)
    came: queue.SimpleQueue[list[Receipt]] = queue.SimpleQueue()

    def carry() -> None:
        came.put(list(runtime.map(Play(tmp_path), play("well"), settings)))

    with RayRuntime(note) as runtime:
        # Ray starts a node from a main thread only: it sets what signals do.
        threading.Thread(target=carry, daemon=True).start()
        assert heard.wait(60)
        head.add_node(num_cpus=1, object_store_memory=80_000_000, node_ip_address="127.0.0.2")
        receipts = came.get(timeout=120)
        lines = len(said)
        again = list(runtime.map(Play(tmp_path), play("well"), settings))
    assert [r.outcome for r in receipts + again] == ["done", "done"]
    assert "needs 1 CPU on one node, and none can hold one (nodes: 1 with 0 CPU)" in said[0]
    assert said[0].startswith("play+encore: waits for room")
    assert len(said) == lines, "said though there was room"
