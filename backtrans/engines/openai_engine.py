"""An engine that asks a server of OpenAI's protocol: vLLM's own, OpenAI, a gateway.

Promises: replies come in order; no more requests are in flight than allowed, nor faster than the
endpoint's limits; what the server can is found out once and said in the log; what may pass is asked
again here, and nowhere else. What does not pass is laid at the right door by asking the same of a
harmless text: where that is answered too, the row is refused; where not, the settings are wrong
(ConfigError) or the server is gone (EngineDead). Refused access, a model that is not there and an
account that is spent stop at once. The key is in no message, setting or exception.

The client lives on an event loop of its own, in a thread: `answer` may be awaited on any loop.

Does not know: roles, shards, Ray; what the server does with a text that spells a control token, or
whether its weights are what the recipe's `revision` says.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from backtrans.dialogue import Likelihood, Message, Refusal, Reply, Request
from backtrans.engines import chat
from backtrans.engines.api_key import NO_KEY, api_key
from backtrans.engines.asking import Asker, Failure
from backtrans.engines.engine import EngineSettings
from backtrans.engines.folders import JsonObject
from backtrans.engines.limits import Clock, Limiter, Sleep, asked_to_wait
from backtrans.engines.questions import HARMLESS, PROBES, Questions, writes
from backtrans.engines.refusals import filtered, too_long
from backtrans.errors import ConfigError, EngineDead
from backtrans.own_loop import OwnLoop, together

_WORDS_CHARS = 300
"""How much of a server's own words an error repeats."""


class OpenaiEngine:
    """A model behind an endpoint."""

    def __init__(
        self, settings: EngineSettings, clock: Clock = time.monotonic, sleep: Sleep = asyncio.sleep
    ) -> None:
        """Look what the server can. Raises: ConfigError, ModelError, EngineDead."""
        try:
            import openai
        except ImportError as error:
            raise ConfigError(f'engine: openai needs the extra "openai": {error}') from error
        if settings.endpoint is None:
            raise ConfigError(f"engine.endpoints names no endpoint of {settings.model!r}")
        self._openai = openai
        self._settings = settings
        self._endpoint = settings.endpoint
        self._key = api_key(self._endpoint.api_key_env)
        self._fitting: set[tuple[type, bool]] = set()  # kinds that a harmless text passed
        self._own = OwnLoop("openai", "the engine is closed")
        try:
            self._own.wait(self._open(clock, sleep))
        except BaseException:
            self.close()
            raise

    async def _open(self, clock: Clock, sleep: Sleep) -> None:
        endpoint = self._endpoint
        self._client = self._openai.AsyncOpenAI(
            api_key=self._key,
            base_url=endpoint.base_url,
            timeout=endpoint.timeout_seconds,
            max_retries=0,
        )
        limiter = Limiter(endpoint.requests_per_minute, endpoint.tokens_per_minute, clock, sleep)
        asker = Asker(self._once, endpoint, self._settings.model, limiter, clock, sleep)
        self._in_flight = asyncio.Semaphore(self._settings.max_in_flight)
        self._doubting = asyncio.Lock()
        self._questions = Questions(asker, endpoint, self._settings)
        await self._questions.open()

    # ------------------------------------------------------------------ answering

    async def answer(self, requests: Sequence[Request]) -> list[Reply]:
        """Answer every request. Rows: N -> N, same order.

        Raises: EngineDead; ConfigError (an adapter that was not given, access refused, what the
        server cannot), ModelError (a model that the server does not have).
        """
        return await self._own.awaited(self._every(requests))

    async def _every(self, requests: Sequence[Request]) -> list[Reply]:
        return await together([self._one(request) for request in requests])

    async def _one(self, request: Request) -> Reply:
        adapters = self._settings.adapters
        if request.adapter is not None and request.adapter not in adapters:
            raise ConfigError(f"the engine was opened without an adapter {request.adapter!r}")
        if request.control_tokens_in_contents_act:
            raise ConfigError("defences.token_ids: false: a server tokenises as it likes; ask vLLM")
        async with self._in_flight:
            if self._own.over:
                raise EngineDead(self._own.over)
            try:
                return self._within(request, await self._questions.ask(request))
            except UnicodeEncodeError as error:  # half of a surrogate pair: no JSON can hold it
                return Reply(refusal=Refusal("refused", f"the text is no Unicode: {error.reason}"))
            except Failure as failure:
                refused = failure
            return await self._laid_at_a_door(request, refused)

    def _within(self, request: Request, reply: Reply) -> Reply:
        """Refuse what a model of the recipe's context would have refused, if served with more."""
        most, output = self._settings.max_model_tokens, writes(request)
        if reply.refusal or reply.prompt_tokens + output <= most:
            return reply
        detail = f"{reply.prompt_tokens:,} + {output:,} tokens > {most:,}"
        return Reply(
            refusal=Refusal("prompt_too_long", detail),
            prompt_tokens=reply.prompt_tokens,
            money=reply.money,
        )

    # ------------------------------------------------------------------ failing

    async def _laid_at_a_door(self, request: Request, failure: Failure) -> Reply:
        """Refuse a row, or raise: ConfigError, EngineDead."""
        if too_long(failure):
            return await self._questions.too_long(request, failure)
        is_the_texts = filtered(failure)
        if not is_the_texts and failure.status != 429:
            is_the_texts = await self._answers_otherwise(request, failure)
        if is_the_texts:
            return Reply(refusal=Refusal("refused", str(failure)), money=failure.money)
        where = self._endpoint.base_url
        if failure.passes:
            raise self._dead(f"{where} does not answer any more: {failure}")
        raise ConfigError(f"{where}: {self._settings.model} cannot be asked so: {failure}")

    async def _answers_otherwise(self, request: Request, failure: Failure) -> bool:
        """Say whether the same question about a harmless text is answered."""
        opened = chat.is_open(request.messages)
        kind = (type(request.want), opened)
        messages = (HARMLESS, Message("assistant", "Score: ")) if opened else (HARMLESS,)
        want = request.want
        if isinstance(want, Likelihood):
            want = Likelihood("Hello.")
        async with self._doubting:
            if self._own.over:
                raise EngineDead(self._own.over)
            if not failure.passes and kind in self._fitting:
                return True
            try:
                await self._questions.ask(replace(request, messages=messages, want=want), PROBES)
            except Failure:
                return False
            self._fitting.add(kind)
            return True

    def _dead(self, why: str) -> EngineDead:
        self._own.end(why)
        return EngineDead(self._own.over)

    # ------------------------------------------------------------------ the client

    async def _once(self, place: str, body: JsonObject | None) -> str:
        """Make one HTTP request; return the text of its answer. Raises: Failure."""
        openai, text = self._openai, ""
        try:
            async with asyncio.timeout(self._endpoint.timeout_seconds):
                if body is None:
                    text = await self._client.get(place, cast_to=str)
                else:
                    text = await self._client.post(place, cast_to=str, body=body)
                return text
        except TimeoutError:
            failure = Failure(f"no answer in {self._endpoint.timeout_seconds:,.1f} s")
        except openai.APITimeoutError:
            failure = Failure(f"no answer in {self._endpoint.timeout_seconds:,.1f} s")
        except openai.APIStatusError as error:
            failure = self._failure(error)
        except openai.APIError as error:
            cause = error.__cause__ or error
            failure = Failure(self._said(f"{type(cause).__name__}: {cause}"))
        # Out here, so that the client's error, which knows the request and its key, is let go.
        raise failure

    def _failure(self, error: Any) -> Failure:
        said = error.body if isinstance(error.body, dict) else {}
        words = str(said.get("message") or error.response.text or error.message)
        code = str(said.get("code") or said.get("type") or "")
        waits = asked_to_wait(error.response.headers.get("retry-after"))
        return Failure(self._said(words), error.status_code, code, waits)

    def _said(self, words: str) -> str:
        """Return the server's words, short and without the key, should it repeat that."""
        clean = words if self._key == NO_KEY else words.replace(self._key, "***")
        return " ".join(clean.split())[:_WORDS_CHARS]

    def close(self) -> None:
        """Let go of the connections; may be called twice."""
        self._own.close(self._end)

    async def _end(self) -> None:
        if client := getattr(self, "_client", None):
            await client.close()
