"""Notices what has been in flight for much longer than its like: a stalled worker, by its shards.

A worker counts each attempt in the store before it begins, and a receipt comes back when it is
over. What has begun and has not come back is under way, wherever that is and whoever maps it. So a
worker that hangs, that is cut off, or whose loop stands still is noticed without being asked.

Promises: an address that is under way for longer than the limit is said through the observer, by
name, once, and again each time its age has doubled; so is a phase of which nothing at all has begun
for so long. Looking costs no more than what can be in flight and at hand, however many addresses
there are. Nothing is ended: a slow shard looks like a stalled one.

Does not know: which worker holds an address, or why it takes so long. It has seen an address begin
a look late at most, so what it says of an age is never too much.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice

from backtrans.accounts import Observer
from backtrans.errors import BacktransError
from backtrans.journal import Journal
from backtrans.work import Address, Receipt

LEAST_SECONDS = 600.0
"""What is under way for less is never stalled. Source: this project's choice: longer than the
start of an engine, and shorter than the wait of whoever looks at a log."""

TIMES_THE_LONGEST = 10.0
"""How many times as long as any that is done. Source: this project's choice: shards of one stage
hold as many rows as each other, and differ in length by less."""

LOOKS_A_LIMIT = 10
"""How often is looked within the limit. Source: this project's choice: a tenth is soon enough."""

NAMED = 3
"""How many are named in one line; of the others the number is said."""


class Stalls:
    """The addresses of one phase, in portions, in the order in which they are handed out."""

    def __init__(
        self,
        journal: Journal,
        observer: Observer,
        run: str,
        phase: str,
        portions: Sequence[Sequence[Address]],
        at_once: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Begin to watch. No more than `at_once` portions are out beyond those that came back."""
        self._journal = journal
        self._observer = observer
        self._run = run
        self._phase = phase
        self._at_once = at_once
        self._clock = clock
        self._portions = portions
        self._left = {address.key: address for portion in portions for address in portion}
        self._done = 0
        self._longest = 0.0
        self._since: dict[str, float] = {}  # when an address was first seen to have begun
        self._said: dict[str, float] = {}  # how old it was when that was said last
        self._moved = clock()  # when anything was seen to happen at all
        self._lock = threading.Lock()
        self._over = threading.Event()

    @property
    def limit_seconds(self) -> float:
        """How long an address may be under way without a word."""
        return max(LEAST_SECONDS, TIMES_THE_LONGEST * self._longest)

    def heard(self, receipt: Receipt) -> None:
        """Hear that one is over."""
        with self._lock:
            for known in (self._left, self._since, self._said):
                known.pop(receipt.address.key, None)
            self._said.pop("", None)
            self._done += 1
            self._longest = max(self._longest, receipt.seconds)
            self._moved = self._clock()

    def look(self) -> None:
        """Look once, and say what has stalled. Raises: StoreError."""
        with self._lock:
            front, seen = self._front(), set(self._since)
        begun = [key for portion in front for key in self._begun(portion, seen)]
        with self._lock:
            now = self._clock()
            self._since |= {key: now for key in begun if key in self._left}
            if begun:
                self._moved = now
            stalled = [key for key, since in self._since.items() if self._is_news(key, now - since)]
            lines = [self._stalled(stalled, now)] if stalled else []
            if self._left and not self._since and self._is_news("", now - self._moved):
                lines.append(
                    f"{self._phase}: none of the {len(self._left):,} left has begun since"
                    f" {_moment(self._moved)}: no worker is there, or it is still being opened"
                )
        for line in lines:
            if not self._over.is_set():
                self._observer.note(line)

    def _front(self) -> list[list[str]]:
        """Return the keys of what may be under way: portions go out in order."""
        self._portions = [each for each in self._portions if any(a.key in self._left for a in each)]
        return [
            [address.key for address in portion if address.key in self._left]
            for portion in islice(self._portions, self._at_once)
        ]

    def _begun(self, portion: list[str], seen: set[str]) -> Iterator[str]:
        """Yield what has begun since it was looked for; a portion's addresses begin in order."""
        for key in portion:
            if key in seen:
                continue
            if not self._journal.attempted(self._run, self._phase, key):
                return
            yield key

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look every now and then while this lasts."""
        threading.Thread(target=self._watch, name=f"{self._phase}-stalls", daemon=True).start()
        try:
            yield
        finally:
            # Not waited for: a look at a store that does not answer may take minutes.
            self._over.set()

    def _watch(self) -> None:
        while not self._over.wait(self.limit_seconds / LOOKS_A_LIMIT):
            try:
                self.look()
            except BacktransError:  # what is wrong with the store, workers will say
                continue

    def _is_news(self, key: str, age_seconds: float) -> bool:
        """Say whether an age is worth a line, and note that it has had one."""
        if age_seconds < max(self.limit_seconds, 2 * self._said.get(key, 0.0)):
            return False
        self._said[key] = age_seconds
        return True

    def _stalled(self, keys: list[str], now: float) -> str:
        named = [f"{self._left[key].name} since {_moment(self._since[key])}" for key in keys]
        more = f", and {len(named) - NAMED:,} more" if len(named) > NAMED else ""
        others = f"; the longest of {self._done:,} done took {_span(self._longest)}"
        least = min(now - self._since[key] for key in keys)
        return (
            f"{self._phase}: {len(keys):,} in flight for {_span(least)} or more"
            f"{others if self._done else ''}: {', '.join(named[:NAMED])}{more}"
        )


def _moment(clock: float) -> str:
    return f"{datetime.fromtimestamp(clock, UTC):%H:%M:%S} UTC"


def _span(seconds: float) -> str:
    return f"{seconds / 60:,.0f} min" if seconds >= 120 else f"{seconds:,.0f} s"
