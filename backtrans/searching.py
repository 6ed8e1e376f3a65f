"""Which row of a shard an engine dies of: asked about in halves, over the deaths of its processes.

A shard with which engines died, the last time alone, may hold a row that no engine survives. Rather
than give up a thousand rows for it, they are asked about in groups. A group is written down before
it is asked about, so that whoever comes after a death knows in which group the row is, and halves
it. A row that dies alone is refused; the others are asked.

Promises: a row is called lethal only where an engine died while that row alone was asked about; one
lethal row of n costs log2(n) + 2 deaths at most; where none is found, because what died did so of
something else, every row is asked.

Does not know: what a row says, who asks, where it is written down, who counts the deaths.
"""

from collections.abc import Iterator, Sequence

from backtrans.entries import Searched

MAX_SEARCHES = 24
"""How often a shard is searched before it is given up after all. Source: this project's choice: two
lethal rows of a shard of 1,024 cost no more, and an engine that dies of no row at all must not be
started for ever."""


class Search:
    """The search through one stage of one shard, taken up where it was broken off."""

    def __init__(self, found: Searched) -> None:
        self._found = found

    @property
    def lethal(self) -> tuple[str, ...]:
        """The rows of which an engine dies, as far as they are known."""
        return self._found.lethal

    def groups(self, ids: Sequence[str]) -> Iterator[list[str]]:
        """Yield groups to be asked about, in turn: together all rows but the lethal ones.

        To ask for the next one says that this one came through.
        """
        left = [each for each in ids if each not in self.lethal]
        died = [each for each in left if each in self._found.asked]
        if len(died) == 1:
            self._found = Searched((*self.lethal, *died))
            left, died = [each for each in left if each not in died], []
        elif not died:  # nothing is known but that it is one of all
            left, died = [], left
        else:
            left = [each for each in left if each not in died]
        while died:
            half = died[: (len(died) + 1) // 2] if len(died) > 1 else died
            yield half
            died = died[len(half) :]
        if left:
            yield left

    def asking(self, group: Sequence[str]) -> Searched:
        """Return what is to be written down before a group is asked about."""
        self._found = Searched(self.lethal, tuple(group))
        return self._found
