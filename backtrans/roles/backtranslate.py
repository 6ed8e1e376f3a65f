"""The backward role: which instruction would this text be a great answer to?

Knows the paper's prompt and how its answer is read; does not know which model answers.
"""

from dataclasses import dataclass

from backtrans.dialogue import Generate, Message, Request
from backtrans.records import Reject, Row
from backtrans.roles.role import SEED_TAG, Dialogue, refusal

PROMPT = (
    "Below is a candidate answer to a question or instruction from an user. Write the most likely"
    " question to which the text below would be a great answer.\n\n{response}\n\n" + SEED_TAG
)
"""Source: 2408.04614 A.2 (1), without [INST], which is the model's own chat template."""


def render(response: str) -> tuple[Message, ...]:
    """Return the messages that ask for the instruction behind `response`."""
    before, after = PROMPT.split("{response}")
    return (Message("user", before + response + after),)


def parse(text: str, max_chars: int) -> str | Reject:
    """Read an instruction: the text without surrounding white space."""
    instruction = text.strip()
    if not instruction:
        return Reject("instruction_empty")
    if len(instruction) > max_chars:
        return Reject("instruction_too_long", f"{len(instruction):,} characters > {max_chars:,}")
    return instruction


@dataclass(frozen=True, slots=True)
class Backtranslate:
    """Asks for one instruction a segment.

    Source: temperature 1.0 and top_p 0.9 are 2408.04614 A.2's, 500 characters REInstruct's limit;
    the recipe decides.
    """

    sampling: Generate
    max_instruction_chars: int = 500
    adapter: str | None = None
    version: str = "backtranslate/1"

    def converse(self, row: Row) -> Dialogue:
        """Ask once. Row in: `text`. Fields out: `instruction`."""
        replies = yield (Request(render(row["text"]), self.sampling, self.adapter),)
        if (refused := refusal(replies)) is not None:
            return refused
        reply = replies[0]
        if reply.finish == "length":
            return Reject("instruction_unfinished", f"{reply.output_tokens} tokens, no end")
        instruction = parse(reply.text, self.max_instruction_chars)
        return instruction if isinstance(instruction, Reject) else {"instruction": instruction}
