"""How fast a server may be asked, and how long a request that failed waits.

Promises: in no window of a minute do more requests begin, or more tokens count, than allowed; first
come, first served; a server that asks for a pause gets it from all requests. One request that alone
is over the limit of tokens goes when nothing else counts.

Does not know: requests, servers, what a clock is: it is given one, and how to sleep.
"""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

Clock = Callable[[], float]
Sleep = Callable[[float], Awaitable[None]]

WINDOW_SECONDS = 60.0

_LOOK_AGAIN_SECONDS = 1.0
"""Who waits looks again by then: tokens that were reckoned and not used are given back."""

FIRST_WAIT_SECONDS = 0.5
"""The longest first wait; each is up to twice the one before, and at least half of its longest, so
that requests that failed together part. Source: this project's choice."""

MAX_WAIT_SECONDS = 60.0
"""The longest of them. Source: this project's choice: limits are of a minute."""

PATIENCE_SECONDS = 600.0
"""The longest pause that a server may ask for, and when no further attempt begins after others that
were under way for so long. Source: this project's choice: a longer pause is a quota of a day, and
whoever waits should know; and it is the longest answer of the client's defaults."""


@dataclass(slots=True)
class Admission:
    """A request that was let through, and what it counts."""

    at: float
    tokens: int


class Limiter:
    """Lets requests through as fast as limits allow; of one event loop."""

    def __init__(
        self,
        requests_per_minute: int | None,
        tokens_per_minute: int | None,
        clock: Clock,
        sleep: Sleep,
    ) -> None:
        self._requests = requests_per_minute
        self._tokens = tokens_per_minute
        self._clock = clock
        self._sleep = sleep
        self._turn = asyncio.Lock()  # first come, first served
        self._window: deque[Admission] = deque()
        self._held_until = -float("inf")

    async def admit(self, tokens: int) -> Admission:
        """Wait until a request of about so many tokens may begin."""
        async with self._turn:
            while (seconds := self._to_wait(tokens)) > 0.0:
                await self._sleep(min(seconds, _LOOK_AGAIN_SECONDS))
            admission = Admission(self._clock(), tokens)
            if self._requests is not None or self._tokens is not None:
                self._window.append(admission)
            return admission

    def hold(self, seconds: float) -> None:
        """Let nothing through for so long."""
        self._held_until = max(self._held_until, self._clock() + seconds)

    def _to_wait(self, tokens: int) -> float:
        now = self._clock()
        if now < self._held_until:
            return self._held_until - now
        while self._window and self._window[0].at + WINDOW_SECONDS <= now:
            self._window.popleft()
        if not self._window:
            return 0.0
        crowded = self._requests is not None and len(self._window) >= self._requests
        counted = sum(each.tokens for each in self._window) if self._tokens is not None else 0
        if crowded or (self._tokens is not None and counted + tokens > self._tokens):
            # The least that floats can tell, where they cannot tell what is left from nothing.
            return max(self._window[0].at + WINDOW_SECONDS - now, 1e-3)
        return 0.0


def wait_seconds(attempt: int, dice: random.Random) -> float:
    """Return how long to wait after the attempt of this number, the first being 1."""
    longest = min(FIRST_WAIT_SECONDS * 2.0 ** (attempt - 1), MAX_WAIT_SECONDS)
    return dice.uniform(0.5, 1.0) * longest


def asked_to_wait(header: str | None, now: datetime | None = None) -> float | None:
    """Read Retry-After: seconds, or a date of HTTP. None where there is none that can be read."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.replace(".", "", 1).isdigit():
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max((until - (now or datetime.now(UTC))).total_seconds(), 0.0)
