"""A draw of so many rows of each group that depends on a seed and on nothing else.

Promises: the rows with the smallest hashes of seed and id are drawn, so the same rows come out in
whatever order they come in, and a row that is drawn stays so when others are added that are not.
Memory is bounded by what is drawn.

Does not know: what rows are.
"""

import hashlib
import heapq
from typing import Generic, TypeVar

Item = TypeVar("Item")


def rank(seed: int, name: str) -> int:
    """Return the place of a name among all of them: a hash."""
    digest = hashlib.sha256(f"{seed}:{name}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big")


class Draw(Generic[Item]):
    """The rows drawn of each group so far."""

    def __init__(self, size: int, seed: int) -> None:
        self._size, self._seed = size, seed
        # Heaps whose first entry is the one to go next: the largest hash, negated.
        self._held: dict[str, list[tuple[int, str, Item]]] = {}

    def wants(self, group: str, name: str) -> bool:
        """Say whether a row would be drawn if no other came."""
        held = self._held.get(group, [])
        return len(held) < self._size or (
            self._size > 0 and (-rank(self._seed, name), name) > held[0][:2]
        )

    def add(self, group: str, name: str, item: Item) -> None:
        """Take a row, or leave it. A name comes once in a group."""
        if self.wants(group, name):
            held = self._held.setdefault(group, [])
            heapq.heappush(held, (-rank(self._seed, name), name, item))
            if len(held) > self._size:
                heapq.heappop(held)

    def drawn(self, group: str) -> list[Item]:
        """Return what was drawn of a group, in the order of its hashes."""
        return [item for *_, item in sorted(self._held.get(group, ()), key=_place)]

    def groups(self) -> list[str]:
        """Return the groups of which anything was drawn."""
        return list(self._held)


def _place(entry: tuple[int, str, Item]) -> tuple[int, str]:
    return -entry[0], entry[1]
