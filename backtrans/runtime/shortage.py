"""Says what a phase waits for on a cluster that has no room for a worker: Ray waits without a word.

A cluster may grow, so nothing is refused here: a node that an autoscaler is bringing takes minutes.
But where none comes, the run would wait for ever, and only Ray's own status would say why.

Promises: while no worker has begun to open, and no node can take one, it is said, with what a
worker needs, what nodes there are, and what an autoscaler does about it: once within a minute, and
again each time the wait has doubled. Nothing is ended.

Does not know: how many workers there should be: one that was begun is enough. Why one that has
room does not open, `stalls` says.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from backtrans.store import Store
from backtrans.work import RuntimeSettings, Work

FIRST_SECONDS = 45.0
"""When a wait is said first. Source: this project's choice: longer than a worker takes to begin on
a node that is there, and within the minute in which a person wonders."""

LOOK_SECONDS = 15.0
"""How often is looked whether a worker has begun. Source: this project's choice."""


@dataclass(frozen=True, slots=True)
class Node:
    """What a node of a cluster has in all, and what of it nobody uses."""

    total: Mapping[str, float]
    free: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Growth:
    """What an autoscaler says: the kinds of nodes that are being started, and failed to start."""

    coming: Sequence[str] = ()
    failed: Sequence[str] = ()


def needs(work: Work) -> dict[str, float]:
    """Return what one worker asks Ray for."""
    return {"CPU": 1.0} | ({"GPU": work.gpus_each} if work.gpus_each else {})


def openings(run: str, name: str) -> str:
    """Return the folder in which workers of a phase say that they open."""
    return f"attempts/{run}/{name}.opening/"


def lacking(wanted: Mapping[str, float], nodes: Sequence[Node], growth: Growth) -> str | None:
    """Say why no node takes a worker, or nothing where one has room."""
    if any(_holds(node.free, wanted) for node in nodes):
        return None
    kinds = Counter(
        _amounts({name: node.total.get(name, 0.0) for name in wanted}) for node in nodes
    )
    there = "; ".join(f"{count} with {kind}" for kind, count in sorted(kinds.items())) or "none"
    fitting = sum(_holds(node.total, wanted) for node in nodes)
    why = f"the {fitting} that could hold one are in use" if fitting else "none can hold one"
    if growth.coming:
        more = f"being started: {', '.join(sorted(growth.coming))}"
    else:
        more = "no other node is being started"
    if growth.failed:
        more += f"; failed to start: {', '.join(sorted(growth.failed))}"
    return (
        f"waits for room: a worker needs {_amounts(wanted)} on one node, and {why}"
        f" (nodes: {there}); {more}; `ray status` on the head says more"
    )


def _holds(has: Mapping[str, float], wanted: Mapping[str, float]) -> bool:
    return all(has.get(name, 0.0) >= amount for name, amount in wanted.items())


def _amounts(amounts: Mapping[str, float]) -> str:
    return ", ".join(f"{amount:g} {name}" for name, amount in sorted(amounts.items()))


@contextmanager
def told(work: Work, settings: RuntimeSettings, note: Callable[[str], None]) -> Iterator[None]:
    """Say, while this lasts and no worker has begun to open, what the phase waits for."""
    over = threading.Event()

    def watch() -> None:
        store, folder = Store(settings.store), openings(settings.run, work.name)
        began, due = time.monotonic(), FIRST_SECONDS
        while not over.wait(min(LOOK_SECONDS, due)):
            try:
                if any(store.list(folder)):
                    return
                if time.monotonic() - began < due:
                    continue
                line = lacking(needs(work), *_cluster())
            except Exception:  # noqa: BLE001, S112 - what is wrong with either, others will say
                continue
            if line and not over.is_set():
                note(f"{work.name}: {line}")
                due = 2 * (time.monotonic() - began)

    threading.Thread(target=watch, name=f"{work.name}-shortage", daemon=True).start()
    try:
        yield
    finally:
        over.set()  # not waited for: a look at a store that does not answer may take minutes


def _cluster() -> tuple[list[Node], Growth]:
    """Ask the cluster that this process has joined for its nodes, and for those that may come."""
    import ray
    from ray.autoscaler.v2.sdk import get_cluster_status

    status = get_cluster_status(ray.get_runtime_context().gcs_address)
    there = [*status.active_nodes, *status.idle_nodes]
    nodes = [Node(node.total_resources(), node.available_resources()) for node in there]
    coming = [f"{each.count} {each.ray_node_type_name}" for each in status.pending_launches]
    coming += [f"1 {each.ray_node_type_name}" for each in status.pending_nodes]
    failed = [
        each.ray_node_type_name + (f" ({each.details})" if each.details else "")
        for each in status.failed_launches
    ]
    return nodes, Growth(coming, failed)
