"""A worker's time, shared out among what it does at once.

An engine answers many rows at once, so the time from a row's beginning to its end is not what it
cost. Each moment of the worker's is shared alike among the rows that were asked about in it; so the
shares add up to the time in which the worker was busy, and times the GPUs of a worker they are
GPU-seconds.

Beside it, how often what is done here has been begun: who counts attempts says so, who commits
writes it down.

Does not know: what is done, engines, shards. For one event loop, or one thread.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

ATTEMPT: ContextVar[int] = ContextVar("attempt", default=0)
"""The number, from 1, of the attempt that the calls around this one belong to; 0 outside of any."""


@dataclass(slots=True)
class Share:
    """What one of them has taken so far."""

    seconds: float = 0.0


class Meter:
    """Shares out a worker's time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._running = 0
        self._since = 0.0
        self._each = 0.0  # what one that ran from the beginning on would have taken

    @contextmanager
    def running(self) -> Iterator[Share]:
        """Take part until the end of the block; the share is whole after it."""
        share = Share()
        before = self._turn(+1)
        try:
            yield share
        finally:
            share.seconds = self._turn(-1) - before

    def _turn(self, change: int) -> float:
        now = self._clock()
        if self._running:
            self._each += (now - self._since) / self._running
        self._since = now
        self._running += change
        return self._each
