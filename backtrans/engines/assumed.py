"""An engine that only counts: each prompt by a tokenizer, each answer by a length that is assumed.

Promises: a role that is asked through it sends the very messages that it would send a model, so
that what it reads is counted and not guessed; what is written is as long as its settings say; a
prompt that does not fit the context with its answer is refused, as engines refuse it.

Does not know: models, which lengths are right.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle, islice

from backtrans.dialogue import Choose, Generate, Likelihood, Refusal, Reply, Request

Measure = Callable[[Sequence[str]], list[int]]
"""Lengths of texts, in tokens."""

_FILLER = "what should a reader who is new to this know about the way in which it works and why"


def filler(words: int) -> str:
    """Return plain English of so many words."""
    return " ".join(islice(cycle(_FILLER.split()), words))


@dataclass(frozen=True, slots=True)
class AssumedEngine:
    """Tokens: `template` a prompt beside its texts, `written` an answer."""

    measure: Measure
    template: int
    written: int
    words_a_token: float
    max_model_tokens: int

    async def answer(self, requests: Sequence[Request]) -> list[Reply]:
        """Answer every request. Rows: N -> N, same order."""
        return [self._reply(request) for request in requests]

    def close(self) -> None:
        """Hold nothing."""

    def _reply(self, request: Request) -> Reply:
        texts = [message.content for message in request.messages]
        if isinstance(request.want, Likelihood):
            texts.append(request.want.continuation)
        prompt = sum(self.measure(texts)) + self.template
        most = request.want.max_tokens if isinstance(request.want, Generate) else 1
        if prompt + most > self.max_model_tokens:
            return Reply(refusal=Refusal("prompt_too_long", ""), prompt_tokens=prompt)
        match request.want:
            case Generate():
                written = min(self.written, most)
                text = f"[RES] {filler(max(1, round(written * self.words_a_token)))} [/RES]"
                return Reply(text, "stop", prompt_tokens=prompt, output_tokens=written)
            case Choose(choices=choices):
                even = (1 / len(choices),) * len(choices)
                return Reply(choice_probabilities=even, prompt_tokens=prompt, output_tokens=1)
            case Likelihood(continuation=continuation):
                logprobs = (0.0,) * max(1, len(continuation.split()))
                return Reply(token_logprobs=logprobs, prompt_tokens=prompt, output_tokens=1)
