"""An engine without a model: deterministic, instant, and able to fail on demand.

Each reply is a pure function of the request and the engine's seed, so the same seed gives the same
bytes whatever the order or the machine. For tests, dry runs and measuring everything but a model.

Settings say it all, so that it travels to workers: `model` is "scripted:default", or
"scripted:package.module:function" for a script of one's own; options follow as in a URL, such as
"scripted:default?latency_seconds=0.01&die_after_requests=100". A text that holds one of `MARKERS`
brings about what the marker says, as long as the file that `mended_by` names is not there: so a
fault can end between two runs whose settings are the same. A token is a word between white space.

Does not know: roles. Only this much is assumed of their words: who asks for a text between [RES]
and [/RES] gets one, made of the draft that is shown; who asks for "Score: " gets one.
"""

import asyncio
import hashlib
import importlib
import math
import os
import random
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qsl

from backtrans.dialogue import Choose, Generate, Likelihood, Refusal, Reply, Request
from backtrans.engines.engine import EngineSettings
from backtrans.errors import ConfigError, EngineDead

Script = Callable[[Request, int], Reply]
"""What to answer: a pure function of the request and the seed. Token counts are filled in after."""

REFUSE, KILL, EXIT = "<<refuse>>", "<<kill>>", "<<exit>>"
UNFINISHED, SILENT, IMPROBABLE = "<<unfinished>>", "<<silent>>", "<<improbable>>"
UNMARKED, LEAKING, HANG = "<<unmarked>>", "<<leaking>>", "<<hang>>"

MARKERS = {
    REFUSE: "the request is refused",
    KILL: "the engine dies",
    EXIT: "the process is killed, as by a lack of memory",
    UNFINISHED: "what is written ends for want of tokens",
    SILENT: "nothing is written",
    IMPROBABLE: "no choice has a probability",
    UNMARKED: "what is asked for between [RES] and [/RES] stands without them",
    LEAKING: "what is asked for between them speaks of its draft",
    HANG: "the request is not answered",
}

_LOOK_SECONDS = 0.05
"""How often a request that hangs looks whether the fault has ended."""

_OPTIONS = ("latency_seconds", "die_after_requests", "mended_by")


class ScriptedEngine:
    """Answers by a script."""

    def __init__(self, settings: EngineSettings, script: Script | None = None) -> None:
        """Prepare. Raises: ConfigError for a script or option that is not there."""
        name, _, query = settings.model.removeprefix("scripted:").partition("?")
        options = dict(parse_qsl(query))
        if unknown := set(options) - set(_OPTIONS):
            raise ConfigError(f"{settings.model}: unknown option {sorted(unknown)}; {_OPTIONS}")
        try:
            self._latency_seconds = float(options.get("latency_seconds", 0.0))
            self._die_after = float(options.get("die_after_requests", math.inf))
        except ValueError as error:
            raise ConfigError(f"{settings.model}: {error}") from error
        self._mended_by = Path(options["mended_by"]) if "mended_by" in options else None
        self._script = script or _find_script(name)
        self._settings = settings
        self._answered = 0
        self._dead = ""
        self._in_flight: tuple[asyncio.AbstractEventLoop, asyncio.Semaphore] | None = None

    async def answer(self, requests: Sequence[Request]) -> list[Reply]:
        """Answer every request. Rows: N -> N, same order. Raises: EngineDead, ConfigError."""
        loop = asyncio.get_running_loop()
        if self._in_flight is None or self._in_flight[0] is not loop:
            self._in_flight = (loop, asyncio.Semaphore(self._settings.max_in_flight))
        semaphore = self._in_flight[1]
        return list(await asyncio.gather(*(self._one(request, semaphore) for request in requests)))

    async def _one(self, request: Request, semaphore: asyncio.Semaphore) -> Reply:
        async with semaphore:
            await asyncio.sleep(self._latency_seconds)
            while HANG in _spoken(request) and not self._is_mended():
                await asyncio.sleep(_LOOK_SECONDS)
            return self._reply(request)

    def _reply(self, request: Request) -> Reply:
        if request.adapter is not None and request.adapter not in self._settings.adapters:
            raise ConfigError(f"the engine was opened without an adapter {request.adapter!r}")
        if self._answered >= self._die_after:
            self._dead = f"after {self._answered:,} requests"
        text = _spoken(request)
        if self._is_mended():
            request, text = _unmarked(request), _without_markers(text)
        if KILL in text:
            self._dead = f"at {KILL}"
        if self._dead:
            raise EngineDead(f"the scripted engine is dead: {self._dead}")
        if EXIT in text:
            os.kill(os.getpid(), signal.SIGKILL)
        prompt_tokens, most = len(text.split()), self._settings.max_model_tokens
        output_tokens = request.want.max_tokens if isinstance(request.want, Generate) else 1
        if prompt_tokens + output_tokens > most:
            detail = f"{prompt_tokens:,} + {output_tokens:,} tokens > {most:,}"
            return Reply(refusal=Refusal("prompt_too_long", detail), prompt_tokens=prompt_tokens)
        self._answered += 1
        if REFUSE in text:
            return Reply(refusal=Refusal("refused", f"at {REFUSE}"), prompt_tokens=prompt_tokens)
        reply = self._script(request, self._settings.seed)
        return Reply(
            reply.text,
            reply.finish,
            reply.choice_probabilities,
            reply.off_choice_mass,
            reply.token_logprobs,
            prompt_tokens,
            0,
            len(reply.text.split()) if isinstance(request.want, Generate) else 1,
            reply.refusal,
        )

    def _is_mended(self) -> bool:
        return self._mended_by is not None and self._mended_by.exists()

    def close(self) -> None:
        """End; may be called twice."""
        self._dead = self._dead or "closed"


def default(request: Request, seed: int) -> Reply:
    """Answer plausibly: an instruction or a review, a distribution, log-probabilities."""
    text, request = _spoken(request), _unmarked(request)
    dice = random.Random(_digest(request, seed))
    match request.want:
        case Generate(max_tokens=max_tokens):
            if SILENT in text:
                return Reply("", "stop")
            words = _answer(text, dice).split(" ")
            if UNFINISHED in text or len(words) > max_tokens:
                return Reply(" ".join(words[:max_tokens]), "length")
            return Reply(" ".join(words), "stop")
        case Choose(choices=choices):
            if IMPROBABLE in text:
                return Reply(off_choice_mass=1.0)
            weights = [dice.expovariate(1.0) for _ in choices]
            whole = sum(weights)
            mass = dice.random() * 0.05
            return Reply(
                choice_probabilities=tuple(weight / whole for weight in weights),
                off_choice_mass=mass,
            )
        case Likelihood(continuation=continuation):
            known = {word for message in request.messages for word in message.content.split()}
            return Reply(
                token_logprobs=tuple(
                    -dice.expovariate(2.0 if word in known else 0.5)
                    for word in continuation.split()
                )
            )


_BETWEEN_MARKERS = "between [RES] and [/RES]"
_DRAFT, _AFTER_DRAFT = "Draft Response: ", "\n\nQuestion: "
_DROPPED_SHARE = 0.05
"""Of a draft's words. Source: this project's choice: a rewrite differs, and resembles."""


def _rewrite(text: str, dice: random.Random) -> str:
    """Write the draft anew: tidied, some words dropped, an opening before it."""
    draft = text.rpartition(_AFTER_DRAFT)[0].partition(_DRAFT)[2] or text
    words = [word for word in _without_markers(draft).split() if dice.random() >= _DROPPED_SHARE]
    said = "As the draft above says:" if LEAKING in text else "In short:"
    rewritten = " ".join([said, *words])
    return rewritten if UNMARKED in text else f"Here it is. [RES] {rewritten} [/RES]"


_OPENINGS = ("What should I know about", "How would you explain", "Can you tell me more of")


def _answer(text: str, dice: random.Random) -> str:
    """Write a rewrite, or "reasons, then a score", for who asks; else a question about the text."""
    if _BETWEEN_MARKERS in text:
        return _rewrite(text, dice)
    words = sorted({word for word in text.split() if word.isalnum() and len(word) != 1})
    about = " ".join(dice.sample(words, min(4, len(words)))) or "this"
    if "Score: " in text:
        return f"It speaks of {about} and stays with it.\nScore: {dice.randint(1, 5)}"
    return f"{dice.choice(_OPENINGS)} {about}?"


def _spoken(request: Request) -> str:
    said = [message.content for message in request.messages]
    if isinstance(request.want, Likelihood):
        said.append(request.want.continuation)
    return "\n".join(said)


def _without_markers(text: str) -> str:
    for marker in MARKERS:
        text = text.replace(marker, "")
    return text


def _unmarked(request: Request) -> Request:
    """Return a request without markers: what is drawn from it does not change with them."""
    want = request.want
    if isinstance(want, Likelihood):
        want = replace(want, continuation=_without_markers(want.continuation))
    messages = tuple(replace(m, content=_without_markers(m.content)) for m in request.messages)
    return replace(request, messages=messages, want=want)


def _digest(request: Request, seed: int) -> bytes:
    return hashlib.sha256(repr((seed, request)).encode("utf-8", "surrogatepass")).digest()


def _find_script(name: str) -> Script:
    if name in ("", "default"):
        return default
    module, _, function = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"no script {name!r}: default, or package.module:function") from error
    if not callable(found):
        raise ConfigError(f"the script {name!r} is not a function")
    script: Script = found
    return script
