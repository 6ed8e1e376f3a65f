"""What a vLLM server can beyond OpenAI's protocol: it tells tokens, and of any of them how likely.

Promises: choices and likelihoods are those that an engine of our own gives for the same prompt; a
prompt's end and a choice are tokenised as one text would be.

Does not know: HTTP; how requests are repeated. It is given a way to ask.
"""

import math
from collections.abc import Awaitable, Callable, Sequence

from backtrans.dialogue import Message, Reply
from backtrans.engines import chat
from backtrans.engines.chat import Malformed
from backtrans.engines.folders import JsonObject
from backtrans.engines.prompt import parted
from backtrans.errors import ModelError

_WINDOW_CHARS = 64
"""How much of the assistant's words is tokenised to find a choice's token; Source: `prompt`."""

_REMEMBERED_CHOICES = 4096

Tokenize = Callable[[JsonObject], Awaitable[tuple[list[int], int]]]
"""Post a body to /tokenize; return the ids, and how many the model takes."""


def tokenized(answer: JsonObject) -> tuple[list[int], int]:
    """Read an answer of /tokenize. Raises: Malformed."""
    ids, most = answer.get("tokens"), answer.get("max_model_len")
    if not isinstance(ids, list) or not isinstance(most, int):
        raise Malformed("the answer has no tokens")
    return ids, most


class VllmServer:
    """The tokens of prompts, as one server makes them."""

    def __init__(self, tokenize: Tokenize) -> None:
        self._tokenize = tokenize
        self._choices: dict[tuple[str, bool, tuple[str, ...]], tuple[bool, list[int]]] = {}

    async def tokens(self, model: str, messages: Sequence[Message]) -> tuple[list[int], int]:
        """Return a prompt's ids, and how many tokens the model takes."""
        return await self._tokenize({"model": model, **chat.vllm_turns(messages)})

    async def choice(
        self, model: str, messages: tuple[Message, ...], choices: tuple[str, ...]
    ) -> tuple[tuple[Message, ...], list[int]]:
        """Return the messages to ask with, and the token by which each choice goes on.

        Where the tokenizer joins the prompt's last space to the choice, the prompt ends before it.
        Raises: ModelError when two choices begin with the same token.
        """
        opened = chat.is_open(messages)
        prefix = messages[-1].content if opened else ""
        key = (prefix[-_WINDOW_CHARS:], opened, choices)
        if key not in self._choices:
            if len(self._choices) >= _REMEMBERED_CHOICES:
                self._choices.clear()
            self._choices[key] = await self._found(model, *key)
        strips, tokens = self._choices[key]
        if strips:
            messages = (*messages[:-1], Message("assistant", prefix.rstrip(" ")))
        return messages, tokens

    async def _found(
        self, model: str, tail: str, opened: bool, choices: tuple[str, ...]
    ) -> tuple[bool, list[int]]:
        """Return whether the prompt's last spaces go, and each choice's first token."""
        asked = (Message("user", "?"),)
        before = (*asked, Message("assistant", tail)) if opened else asked
        alone, _ = await self.tokens(model, before)
        each = [(await self.tokens(model, chat.continued(before, c)))[0] for c in choices]
        shared, firsts = parted(alone, each, choices, tail)
        if shared == len(alone):
            return False, firsts
        stripped, _ = await self.tokens(model, (*asked, Message("assistant", tail.rstrip(" "))))
        if stripped != alone[:shared]:
            raise ModelError(f"the server's tokenizer does not read {tail[-20:]!r} alike twice")
        return True, firsts


def told_apart(prompt: Sequence[int], whole: Sequence[int]) -> int:
    """Return where a continuation's tokens begin: at the first that is not the prompt's."""
    for place, (one, other) in enumerate(zip(prompt, whole, strict=False)):
        if one != other:
            return place
    return min(len(prompt), len(whole))


def likelihood(prompt: Sequence[int], answer: JsonObject) -> Reply:
    """Return the log-probabilities of what follows the prompt. Raises: Malformed."""
    ids, logprobs = chat.prompt_logprobs(answer)
    found = tuple(logprobs[told_apart(prompt, ids) :])
    return Reply(token_logprobs=found if all(map(math.isfinite, found)) else ())
