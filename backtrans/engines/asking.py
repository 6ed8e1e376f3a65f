"""One request to a server, made again for as long as it may help.

Promises: what may pass (no answer, half of one, one that is none, 408, 409, 429, 5xx) is asked
again after growing, spread waits, or as long as the server says, a bounded number of times; what is
the configuration's fault is an error that stops; what an answer of no use cost is not forgotten.

Does not know: the HTTP client, what is asked, whose fault a refusal is.
"""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from backtrans.engines import chat
from backtrans.engines.chat import Malformed, Spent
from backtrans.engines.endpoint import Endpoint
from backtrans.engines.folders import JsonObject
from backtrans.engines.limits import PATIENCE_SECONDS, Clock, Limiter, Sleep, wait_seconds
from backtrans.errors import BacktransError, ConfigError, ModelError

T = TypeVar("T")

Once = Callable[[str, JsonObject | None], Awaitable[str]]
"""Post a body to a path or URL (or get it, without one), and return the answer's text."""

_PASSING_STATUS = frozenset({408, 409, 425, 429})
"""And all from 500 on. Source: OpenAI's API guide, error codes; RFC 9110 and 8470."""

MALFORMED = "malformed"
"""The code, ours, of an answer that is none."""

_SPENT_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
"""A 429 that no waiting helps. Source: OpenAI's API guide, error codes."""


class Failure(Exception):
    """What came instead of an answer. Holds nothing of the client's, whose requests hold a key."""

    def __init__(
        self,
        words: str,
        status: int | None = None,
        code: str = "",
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(words)
        self.words = words
        self.status = status  # None: no answer, or one that is none
        self.code = code
        self.retry_after_seconds = retry_after_seconds
        self.money = 0.0  # that answers of no use have cost

    @property
    def passes(self) -> bool:
        """Say whether the same request may be answered later."""
        return self.status is None or self.status in _PASSING_STATUS or self.status >= 500

    def __str__(self) -> str:
        return f"HTTP {self.status}: {self.words}" if self.status else self.words


@dataclass(frozen=True, slots=True)
class Answered(Generic[T]):
    """What was read, and what it cost with the answers before it that were of no use."""

    value: T
    spent: Spent
    money: float


class Asker:
    """Asks one server about one model, within its limits."""

    def __init__(
        self,
        once: Once,
        endpoint: Endpoint,
        model: str,
        limiter: Limiter,
        clock: Clock,
        sleep: Sleep,
    ) -> None:
        self._once = once
        self._endpoint = endpoint
        self._model = model
        self._limiter = limiter
        self._clock = clock
        self._sleep = sleep
        self._dice = random.Random()

    async def ask(
        self,
        place: str,
        body: JsonObject | None,
        read: Callable[[JsonObject], T],
        tokens: int,
        attempts: int | None = None,
        *,
        lists: bool = False,
    ) -> Answered[T]:
        """Ask until it can be read. `tokens` is about what it will count; `lists` says that the
        question is which models there are, to which a server need have no answer.

        Raises: ConfigError, ModelError; Failure where it was refused, or failed each time.
        """
        money, attempt, most = 0.0, 0, attempts or self._endpoint.max_attempts
        under_way_seconds = 0.0
        while True:
            attempt += 1
            admission = await self._limiter.admit(tokens)
            began, used = self._clock(), Spent()
            try:
                answer = chat.parsed(await self._once(place, body))
                used = chat.spent(answer)
                admission.tokens = used.prompt_tokens + used.output_tokens or tokens
                value = read(answer)
                return Answered(value, used, money + self._money(used))
            except Malformed as error:  # of no use, and paid for
                money += self._money(used)
                failure = Failure(str(error), code=MALFORMED)
            except Failure as error:
                failure = error
            if (stop := self._stops(failure)) is not None and not (lists and failure.status == 404):
                raise stop
            failure.money = money
            under_way_seconds += self._clock() - began
            if not failure.passes or (lists and failure.code == MALFORMED):
                raise failure
            pause = failure.retry_after_seconds or 0.0
            if attempt >= most or max(pause, under_way_seconds) > PATIENCE_SECONDS:
                asks = f"; it asks to wait {pause:,.0f} s" if pause else ""
                tried = f"{failure.words}; {attempt} attempt(s){asks}"
                failure.words = tried
                raise failure
            if pause:
                self._limiter.hold(pause)
            await self._sleep(max(pause, wait_seconds(attempt, self._dice)))

    def _money(self, used: Spent) -> float:
        return self._endpoint.money(used.prompt_tokens, used.cached_tokens, used.output_tokens)

    def _stops(self, failure: Failure) -> BacktransError | None:
        """Return the error of a failure that every request would meet."""
        where, key = self._endpoint.base_url, self._endpoint.api_key_env
        if failure.status in (401, 403):
            held = f"the key in {key} is not taken" if key else "no key is sent: name api_key_env"
            return ConfigError(f"{where} refuses to serve {self._model}: {held}. {failure}")
        if failure.status == 402 or failure.code in _SPENT_CODES:
            return ConfigError(f"{where}: the account is spent. {failure}")
        if failure.status == 404:
            return ModelError(
                f"{where} has no model {self._model!r} to ask: compare path (or adapter) with what"
                f" {where}/models lists, and base_url with the server's own words. {failure}"
            )
        return None
