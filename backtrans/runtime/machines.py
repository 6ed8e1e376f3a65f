"""Which machine holds a worker, and whether it is gone: spot machines go, and no row is at fault.

A runtime hands an address out again when its worker died. Where the machine died with it, that says
nothing of the address. By then the machine is known to be gone: Ray places a worker anew only once
it has taken the one before for dead, and that of a machine which vanished with the machine.

Does not know: addresses, or what is made of the answer.
"""

from collections.abc import Collection
from typing import Protocol

MAX_LOST = 5
"""How many machines may go under one address before their going counts as its own. Source: this
project's choice: a row that takes its whole machine with it must not take all of them."""


class Machines(Protocol):
    """The machines of a runtime, as seen from one of them."""

    here: str

    def gone(self, names: Collection[str]) -> set[str]:
        """Return those of these machines that are there no more."""
        ...


class OneMachine:
    """This machine alone, which is there as long as anybody asks."""

    here = ""

    def gone(self, names: Collection[str]) -> set[str]:
        """Return none."""
        return set()


class RayNodes:
    """The nodes of the Ray cluster around this worker."""

    def __init__(self) -> None:
        import ray

        self.here: str = ray.get_runtime_context().get_node_id()

    def gone(self, names: Collection[str]) -> set[str]:
        """Return the nodes that Ray takes for dead, or has forgotten."""
        import ray

        return set(names) - {node["NodeID"] for node in ray.nodes() if node["Alive"]}
