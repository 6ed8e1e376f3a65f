"""What roles and engines say to each other: messages, requests and replies.

A role builds requests and reads replies; an engine answers requests. Neither knows the other, and
both know these types. Nothing here holds a token id or a tensor.
"""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. A final assistant message is a prefix that the model continues."""

    speaker: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Generate:
    """Write freely until the model ends its turn, or `max_tokens` are written."""

    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0


@dataclass(frozen=True, slots=True)
class Choose:
    """Give the distribution over `choices` as the very next token; nothing else is written.

    Each choice must be told apart by its first token.
    """

    choices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Likelihood:
    """Give the log-probability of every token of `continuation`, as the assistant's turn."""

    continuation: str


@dataclass(frozen=True, slots=True)
class Request:
    """One question to an engine. `adapter` names a LoRA adapter that the engine was opened with.

    `control_tokens_in_contents_act` gives up what keeps contents from speaking as a turn. It is
    there to be measured, by an audit; nothing that scores a corpus sets it.
    """

    messages: tuple[Message, ...]
    want: Generate | Choose | Likelihood
    adapter: str | None = None
    # Not of its repr, from which a scripted engine draws its answers.
    control_tokens_in_contents_act: bool = field(default=False, repr=False)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an engine did not answer: `reason` is a key of `reasons.REASONS`."""

    reason: Literal["prompt_too_long", "refused"]
    detail: str


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one request; the fields that its `want` did not ask for are empty.

    Units: tokens; natural logarithms. `finish` is "stop" or "length" for `Generate`.
    `choice_probabilities` follow the request's choices and sum to 1; `off_choice_mass` is the
    probability that the unconstrained model gave to anything else. `money` is what a paid server
    took for it, refused or not, in the currency of its prices.
    """

    text: str = ""
    finish: Literal["stop", "length", ""] = ""
    choice_probabilities: tuple[float, ...] = ()
    off_choice_mass: float = 0.0
    token_logprobs: tuple[float, ...] = ()
    prompt_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    refusal: Refusal | None = None
    money: float = 0.0
