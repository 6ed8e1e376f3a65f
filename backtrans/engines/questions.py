"""How each kind of request is put to one server, which may be able to do more or less.

Promises: what the server can is found out once and said in the log: whether it is vLLM, how it
shows a choice. What it cannot is an error that names it and what was wanted.

Does not know: the HTTP client, how requests are repeated, whose fault a refusal is.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from backtrans.dialogue import Choose, Generate, Likelihood, Message, Refusal, Reply, Request
from backtrans.engines import chat, vllm_server
from backtrans.engines.asking import MALFORMED, Answered, Asker, Failure
from backtrans.engines.endpoint import Choosing, Endpoint
from backtrans.engines.engine import EngineSettings
from backtrans.engines.folders import JsonObject
from backtrans.engines.vllm_server import VllmServer
from backtrans.errors import ConfigError, EngineDead, ModelError

_LOG = logging.getLogger(__name__)

_CHARS_A_TOKEN = 3
"""For what a request will count before the server has said it. Source: this project's choice:
English has four, and who counts too much is given back what was not used."""

Way = Literal["ids"] | Choosing
"""How a choice is asked for: as `choose` has it, or of a vLLM by the ids of the choices."""

_SAID = {
    "ids": (logging.INFO, "its distribution over the next token, by ids"),
    "logprobs": (logging.INFO, "its distribution over the next token"),
    "structured": (logging.WARNING, "structured output: all mass lies on one"),
    "text": (logging.WARNING, "what it writes: all mass lies on one"),
}

HARMLESS = Message("user", "Say hello.")
"""A text that no server has a reason to refuse."""

_PROBED = ("1", "2")
_PROBE = Request(
    (Message("user", "Which comes first? Answer with 1 or 2, and nothing else."),), Choose(_PROBED)
)
"""A choice of no matter, by which it is found out how a server shows one."""

PROBES = 2
"""How often one is asked about. Source: this project's choice: the request in doubt has been waited
for long enough."""


class Questions:
    """Puts requests to one server; of one event loop."""

    def __init__(self, asker: Asker, endpoint: Endpoint, settings: EngineSettings) -> None:
        self._asker = asker
        self._endpoint = endpoint
        self._settings = settings
        self._vllm: VllmServer | None = None
        self._choosing: tuple[Way, int] | None = None
        self._finding = asyncio.Lock()
        self._limit_name = "max_tokens"
        self._spared: set[str] = set()  # settings that the model does not take of a choice

    async def open(self) -> None:
        """Look what the server is. Raises: ConfigError, ModelError, EngineDead."""
        endpoint, model = self._endpoint, self._settings.model
        listed = await self._listed()
        is_vllm = listed.get(model) == "vllm"
        if endpoint.server == "vllm" or (endpoint.server == "auto" and is_vllm):
            await self._open_vllm(listed)
        kind = "vLLM" if self._vllm else "a server that is no vLLM, or does not show it"
        _LOG.info("%s: %s is served by %s", endpoint.base_url, model, kind)

    async def _listed(self) -> dict[str, str]:
        """Return the models that the server lists, and whose they are; none where it lists none."""
        try:
            answer = await self._asker.ask("/models", None, dict, 0, lists=True)
        except Failure as failure:
            if failure.passes and failure.code != MALFORMED:
                raise EngineDead(f"{self._endpoint.base_url} does not answer: {failure}") from None
            return {}
        found = answer.value.get("data")
        entries = (
            [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
        )
        return {str(each.get("id")): str(each.get("owned_by")) for each in entries}

    async def _open_vllm(self, listed: dict[str, str]) -> None:
        asked = [self._settings.model, *self._settings.adapters.values()]
        if listed and (missing := sorted(set(asked) - set(listed))):
            raise ModelError(
                f"{self._endpoint.base_url} serves no {', '.join(missing)}; it serves"
                f" {', '.join(sorted(listed))}"
            )
        server = VllmServer(self._tokenize)
        try:
            await server.tokens(self._settings.model, (HARMLESS,))
        except (Failure, ModelError) as error:
            if self._endpoint.server == "vllm":
                raise ConfigError(
                    f"{self._endpoint.base_url}: is no vLLM whose /tokenize can be asked, as server"
                    f" says: {error}"
                ) from None
            return
        self._vllm = server

    async def _tokenize(self, body: JsonObject) -> tuple[list[int], int]:
        place = self._endpoint.base_url.rstrip("/").removesuffix("/v1") + "/tokenize"
        return (await self._asker.ask(place, body, vllm_server.tokenized, 0)).value

    async def ask(self, request: Request, attempts: int | None = None) -> Reply:
        """Ask. Raises: ConfigError, ModelError; Failure: it was refused, or failed each time."""
        match request.want:
            case Generate() as want:
                return await self._chat(request, chat.writing(want), chat.written, attempts)
            case Choose(choices=choices):
                return await self._choose(request, choices, attempts)
            case Likelihood(continuation=continuation):
                return await self._likelihood(request, continuation, attempts)

    async def _choose(
        self, request: Request, choices: tuple[str, ...], attempts: int | None
    ) -> Reply:
        how, top = await self._way_to_choose()
        return await self._chosen(request, choices, how, top, attempts)

    async def _chosen(
        self,
        request: Request,
        choices: tuple[str, ...],
        how: Way,
        top: int,
        attempts: int | None,
    ) -> Reply:
        if how == "ids":
            return await self._chosen_by_ids(request, choices, attempts)
        if how == "logprobs":
            return await self._chat(
                request,
                chat.showing(top),
                lambda answer: chat.chosen_by_words(choices, chat.shown(answer)),
                attempts,
            )
        structured = how == "structured"
        part = chat.structuring(choices) if structured else chat.texting()
        return await self._chat(
            request,
            part,
            lambda answer: chat.chosen_by_text(choices, answer, structured=structured),
            attempts,
        )

    async def _chosen_by_ids(
        self, request: Request, choices: tuple[str, ...], attempts: int | None
    ) -> Reply:
        assert self._vllm is not None
        model = self._model_of(request)
        messages, tokens = await self._vllm.choice(model, request.messages, choices)
        part = chat.showing(0) | {"logprob_token_ids": tokens, "return_tokens_as_token_ids": True}
        return await self._chat(
            replace(request, messages=messages),
            part,
            lambda answer: chat.chosen_by_ids(tokens, chat.shown(answer)),
            attempts,
        )

    async def _way_to_choose(self) -> tuple[Way, int]:
        """Find out, once, how this server shows a choice. Raises: ConfigError."""
        async with self._finding:
            if self._choosing is None:
                self._choosing = await self._found_way()
                level, words = _SAID[self._choosing[0]]
                said = "%s: a choice of %s is " + words
                _LOG.log(level, said, self._endpoint.base_url, self._settings.model)
            return self._choosing

    async def _found_way(self) -> tuple[Way, int]:
        said, failure = self._endpoint.choose, Failure("the answer was none of the choices")
        ways: list[tuple[Way, int]] = [("ids", 0)] if self._vllm else []
        ways += [("logprobs", top) for top in chat.MAX_TOP_LOGPROBS]
        ways += [("structured", 0), ("text", 0)]
        for how, top in ways:
            if said not in ("auto", "logprobs" if how == "ids" else how):
                continue
            if how == "text":
                return how, top
            try:
                reply = await self._chosen(_PROBE, _PROBED, how, top, PROBES)
            except Failure as error:
                if error.passes and error.code != MALFORMED:
                    raise
                failure = error
                if how == "ids":
                    words = "%s: this vLLM does not take logprob_token_ids (%s): a newer one does"
                    _LOG.warning(words, self._endpoint.base_url, error)
                continue
            if how in ("ids", "logprobs") or reply.choice_probabilities:
                return how, top
        raise ConfigError(
            f"{self._endpoint.base_url}: {self._settings.model} gives no choice by {said}, as"
            f" choose says: {failure}"
        )

    async def _likelihood(self, request: Request, continuation: str, attempts: int | None) -> Reply:
        if self._vllm is None:
            raise ConfigError(
                f"{self._endpoint.base_url} does not say how probable a given text is to"
                f" {self._settings.model} (prompt_logprobs; vLLM does): take likelihood and pmi out"
                " of score.signals, or ask a model that is served by vLLM"
            )
        if not continuation:
            return Reply()
        prompt, _ = await self._vllm.tokens(self._model_of(request), request.messages)
        whole = replace(request, messages=chat.continued(request.messages, continuation))
        part = {"max_tokens": 1, "prompt_logprobs": 0, "return_token_ids": True}
        return await self._chat(
            whole, part, lambda answer: vllm_server.likelihood(prompt, answer), attempts
        )

    async def _chat(
        self,
        request: Request,
        part: JsonObject,
        read: Callable[[JsonObject], Reply],
        attempts: int | None,
    ) -> Reply:
        choices = request.want.choices if isinstance(request.want, Choose) else ()
        says = (
            chat.vllm_turns(request.messages) | chat.VLLM_SAMPLING
            if self._vllm
            else chat.plain_turns(request.messages, choices)
        )
        chars = sum(len(message.content) for message in request.messages)
        tokens = chars // _CHARS_A_TOKEN + part["max_tokens"]
        while True:
            body = {"model": self._model_of(request), **says, **self._fitted(part)}
            try:
                asked = await self._asker.ask("/chat/completions", body, read, tokens, attempts)
            except Failure as failure:
                if not self._learns(failure, body, request):
                    raise
                continue
            return _reply(asked)

    def _model_of(self, request: Request) -> str:
        adapter = request.adapter
        return self._settings.model if adapter is None else self._settings.adapters[adapter]

    def _fitted(self, part: JsonObject) -> JsonObject:
        names = {"max_tokens": self._limit_name}
        return {names.get(name, name): v for name, v in part.items() if name not in self._spared}

    def _learns(self, failure: Failure, body: JsonObject, request: Request) -> bool:
        """Say whether a refusal tells another way to ask, which is then taken from now on."""
        if failure.status != 400:
            return False
        if "max_tokens" in body and "max_completion_tokens" in failure.words:
            self._limit_name = "max_completion_tokens"
            return True
        # Models that reason unseen have one temperature; of a choice it is asked to be exact.
        if (
            isinstance(request.want, Choose)
            and "temperature" in body
            and "temperature" in failure.words
        ):
            self._spared.add("temperature")
            return True
        return False

    async def too_long(self, request: Request, failure: Failure) -> Reply:
        """Return a prompt's refusal, with its length where the server can tell."""
        messages, output = request.messages, writes(request)
        if isinstance(request.want, Likelihood):
            messages = chat.continued(messages, request.want.continuation)
        if self._vllm:
            try:
                ids, most = await self._vllm.tokens(self._model_of(request), messages)
            except Failure:  # then what it has said must do
                pass
            else:
                detail = f"{len(ids):,} + {output:,} tokens > {most:,}"
                return Reply(refusal=Refusal("prompt_too_long", detail), prompt_tokens=len(ids))
        return Reply(refusal=Refusal("prompt_too_long", str(failure)), money=failure.money)


def writes(request: Request) -> int:
    """Return how many tokens an answer may take."""
    return request.want.max_tokens if isinstance(request.want, Generate) else 1


def _reply(asked: Answered[Reply]) -> Reply:
    used = asked.spent
    return replace(
        asked.value,
        prompt_tokens=used.prompt_tokens,
        cached_tokens=used.cached_tokens,
        output_tokens=used.output_tokens,
        money=asked.money,
    )
