"""OpenAI's chat protocol in words: what is sent for a request, and what an answer says.

Promises: pure; an answer that is not what the protocol says is `Malformed`, never a guess.

A final assistant message is a prefix that the model goes on with. vLLM does that. Where a server
cannot, it stays as the assistant's turn, and a user turn after it asks to go on.

Does not know: HTTP, servers' limits, prices.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from backtrans.dialogue import Generate, Message, Refusal, Reply
from backtrans.engines.folders import JsonObject
from backtrans.engines.template import PINNED_DATE

GO_ON = "Go on exactly where you stopped, and repeat nothing."
GO_ON_CHOOSING = "Go on exactly where you stopped, with one of these and nothing else: "

MAX_TOP_LOGPROBS = (20, 5)
"""How many alternatives of a token are asked for; the second where the first is refused. Source:
OpenAI's API reference, top_logprobs, "0 to 20"; others have 5."""

STRUCTURED_TOKENS = 512
"""Source: this project's choice. The object takes ten and ends by itself; a model that reasons
unseen spends its tokens first."""

TEXT_TOKENS = 16
"""Source: this project's choice: a choice is a word, and what is longer is none."""

_WORDS_CHARS = 300
"""How much of a model's own refusal is kept."""

VLLM_SAMPLING: JsonObject = {"top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0}
"""What a served model's generation_config.json may set, set as our own engine has it."""


class Malformed(Exception):
    """An answer that is not what the protocol says."""


@dataclass(frozen=True, slots=True)
class Spent:
    """The tokens of one answer, as the server counts them; 0 where it does not say."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0


def is_open(messages: Sequence[Message]) -> bool:
    """Say whether the assistant's turn is begun."""
    return bool(messages) and messages[-1].speaker == "assistant"


def turns(messages: Sequence[Message]) -> list[JsonObject]:
    """Return messages as the protocol has them."""
    return [{"role": each.speaker, "content": each.content} for each in messages]


def continued(messages: Sequence[Message], text: str) -> tuple[Message, ...]:
    """Return messages with this text as what the assistant has said so far."""
    if is_open(messages):
        last = replace(messages[-1], content=messages[-1].content + text)
        return (*messages[:-1], last)
    return (*messages, Message("assistant", text))


def vllm_turns(messages: Sequence[Message]) -> JsonObject:
    """Return the part of a body that says the turns, where the last may be open."""
    opened = is_open(messages)
    return {
        "messages": turns(messages),
        "continue_final_message": opened,
        "add_generation_prompt": not opened,
        "chat_template_kwargs": {"date_string": PINNED_DATE},
    }


def plain_turns(messages: Sequence[Message], choices: tuple[str, ...] = ()) -> JsonObject:
    """Return that part for a server that begins a new turn after the last."""
    said = turns(messages)
    if is_open(messages):
        ask = GO_ON_CHOOSING + ", ".join(choices) + "." if choices else GO_ON
        said.append({"role": "user", "content": ask})
    return {"messages": said}


def writing(want: Generate) -> JsonObject:
    """Return the part of a body that says how to write."""
    return {"max_tokens": want.max_tokens, "temperature": want.temperature, "top_p": want.top_p}


def showing(top: int) -> JsonObject:
    """Return the part that asks for the next token's alternatives.

    At temperature 1: where a server applies it before it reads them, they stay as they are.
    """
    return {"max_tokens": 1, "temperature": 1.0, "logprobs": True, "top_logprobs": top}


def structuring(choices: tuple[str, ...]) -> JsonObject:
    """Return the part that allows for an object with one of the choices, and nothing else."""
    schema = {
        "type": "object",
        "properties": {"choice": {"type": "string", "enum": list(choices)}},
        "required": ["choice"],
        "additionalProperties": False,
    }
    described = {"name": "choice", "strict": True, "schema": schema}
    return {
        "max_tokens": STRUCTURED_TOKENS,
        "temperature": 0.0,
        "response_format": {"type": "json_schema", "json_schema": described},
    }


def texting() -> JsonObject:
    """Return the part that asks for a few words."""
    return {"max_tokens": TEXT_TOKENS, "temperature": 0.0}


# ---------------------------------------------------------------------- reading


def parsed(text: str) -> JsonObject:
    """Read an answer's JSON. Raises: Malformed."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"the answer is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise Malformed("the answer is no JSON object")
    return value


def spent(answer: JsonObject) -> Spent:
    """Return what an answer says that it cost."""
    usage = _mapping(answer.get("usage"))
    cached = _mapping(usage.get("prompt_tokens_details")).get("cached_tokens")
    return Spent(
        _count(usage.get("prompt_tokens")), _count(cached), _count(usage.get("completion_tokens"))
    )


def written(answer: JsonObject) -> Reply:
    """Read what was written: a text and why it ended, or a refusal. Raises: Malformed."""
    choice = _choice(answer)
    if refused := _refused(choice):
        return refused
    message, finish = _mapping(choice.get("message")), choice.get("finish_reason")
    content = message.get("content")
    # Models that reason unseen may end for want of tokens before they have said anything.
    text = "" if content is None and finish in ("length", "stop") else content
    if not isinstance(text, str):
        raise Malformed("the answer has no text")
    if finish not in ("stop", "length"):
        raise Malformed(f"the answer ended with {finish!r}")
    # JSON can spell half of a surrogate pair, which no file can hold.
    whole = text.encode("utf-8", "replace").decode()
    return Reply(text=whole, finish=finish)


def shown(answer: JsonObject) -> list[tuple[str, float]]:
    """Return the alternatives of the first token written. Raises: Malformed."""
    found = _mapping(_choice(answer).get("logprobs")).get("content")
    if not isinstance(found, list) or not found:
        raise Malformed("the answer has no logprobs")
    listed = _mapping(found[0]).get("top_logprobs")
    alternatives = [
        (str(each.get("token")), each["logprob"])
        for each in map(_mapping, listed if isinstance(listed, list) else [])
        if isinstance(each.get("logprob"), int | float)
    ]
    if not alternatives:
        raise Malformed("the answer has no top_logprobs")
    return alternatives


def chosen_by_words(choices: tuple[str, ...], alternatives: list[tuple[str, float]]) -> Reply:
    """Return the distribution over choices of which the alternatives are the beginnings."""
    masses = [0.0] * len(choices)
    for token, logprob in alternatives:
        word = token.strip()
        begun = [n for n, choice in enumerate(choices) if word and choice.startswith(word)]
        if len(begun) == 1:
            masses[begun[0]] += math.exp(logprob)
    return distribution(masses)


def chosen_by_ids(tokens: Sequence[int], alternatives: list[tuple[str, float]]) -> Reply:
    """Return the distribution over tokens, which are named as "token_id:n". Raises: Malformed."""
    found = dict(alternatives)
    try:
        return distribution([math.exp(found[f"token_id:{token}"]) for token in tokens])
    except KeyError as missing:
        raise Malformed(f"the answer does not show {missing}") from None


def distribution(masses: Sequence[float]) -> Reply:
    """Return masses as the distribution that they are when nothing else counts."""
    whole = math.fsum(masses)
    if not (math.isfinite(whole) and whole > 0.0):
        return Reply(off_choice_mass=1.0)
    return Reply(
        choice_probabilities=tuple(mass / whole for mass in masses),
        off_choice_mass=min(max(1.0 - whole, 0.0), 1.0),
    )


def chosen_by_text(choices: tuple[str, ...], answer: JsonObject, *, structured: bool) -> Reply:
    """Return all mass on what was written, if it is exactly a choice. Raises: Malformed."""
    reply = written(answer)
    if reply.refusal:
        return reply
    said: Any = reply.text.strip()
    if structured:
        try:
            said = _mapping(json.loads(said)).get("choice")
        except (ValueError, RecursionError):
            said = None
    return distribution([float(choice == said) for choice in choices])


def prompt_logprobs(answer: JsonObject) -> tuple[list[int], list[float]]:
    """Return a prompt's tokens and their log-probabilities; the first has none. Raises: Malformed.

    Those that the server could not give as a number are infinite.
    """
    ids, found = answer.get("prompt_token_ids"), answer.get("prompt_logprobs")
    if not isinstance(ids, list) or not isinstance(found, list) or len(ids) != len(found):
        raise Malformed("the answer has no prompt_logprobs")
    logprobs = [-math.inf]
    for token, entry in zip(ids[1:], found[1:], strict=True):
        value = _mapping(_mapping(entry).get(str(token))).get("logprob")
        if not isinstance(value, int | float):
            raise Malformed(f"the answer has no logprob of token {token}")
        # vLLM writes -9999 for what JSON cannot hold.
        logprobs.append(float(value) if value > -9999.0 else -math.inf)
    return ids, logprobs


def _choice(answer: JsonObject) -> Mapping[str, Any]:
    choices = answer.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise Malformed("the answer has no choices")
    return choices[0]


def _refused(choice: Mapping[str, Any]) -> Reply | None:
    said = _mapping(choice.get("message")).get("refusal")
    if said:
        return Reply(refusal=Refusal("refused", str(said)[:_WORDS_CHARS]))
    if choice.get("finish_reason") == "content_filter":
        return Reply(refusal=Refusal("refused", "the server's content filter"))
    return None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
