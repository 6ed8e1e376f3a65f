"""How long what was known of commits holds: until some are taken back or replaced.

The layout under the root:

    epochs/<n>.json                           put_new: what was known before it may not hold
    changing/<name>.json                      there while commits are taken back or replaced

Promises: who keeps what it knows of commits, keeps the epoch beside it, looked up before they were,
and trusts nothing that was found while there was none, believes nothing that has been taken back.
Killed in the middle of a change, the mark stays, so that nothing is believed until `sweep` removes
it.

Does not know: which commits change, or who keeps them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from backtrans.places import names
from backtrans.store import Store

CHANGING = "changing/"
"""Where there is a mark for everyone who takes commits back or replaces them."""


class Epochs:
    """The epochs of one ledger, over its store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Take commits back, or replace them, in this block: what was known of them ends here."""
        mark = f"{CHANGING}{uuid4().hex}.json"
        self._store.put_new(mark, b"{}")
        number = max(self._numbers(), default=0) + 1
        while not self._store.put_new(f"epochs/{number}.json", b"{}"):
            number += 1
        try:
            yield
        finally:
            self._store.delete(mark)

    def last(self) -> int | None:
        """Return the number of the last epoch, 0 before the first; None while commits change."""
        # The epochs first: a change that begins after the second look has an epoch of its own.
        number = max(self._numbers(), default=0)
        return None if any(True for _ in self._store.list(CHANGING)) else number

    def _numbers(self) -> Iterator[int]:
        return map(int, names(self._store, "epochs/"))
