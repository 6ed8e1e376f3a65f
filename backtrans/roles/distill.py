"""The distilled role: what does a model itself answer, without any document?

The baseline to which rewriting is compared: the same instructions, the model's own knowledge.

Knows how an instruction is put and an answer read; does not know which model answers.
"""

from dataclasses import dataclass

from backtrans.dialogue import Generate, Message, Request
from backtrans.records import Reject, Row
from backtrans.roles.role import Dialogue, refusal


def render(instruction: str) -> tuple[Message, ...]:
    """Return the messages that ask for an answer: the instruction and nothing else.

    Source: 2408.04614 section 5.1: the model is fed the instructions and answers directly.
    """
    return (Message("user", instruction),)


@dataclass(frozen=True, slots=True)
class Distill:
    """Asks for one answer an instruction.

    Source: temperature 1.0 and top_p 0.9 are 2408.04614 A.2's; the recipe decides.
    """

    sampling: Generate
    adapter: str | None = None
    version: str = "distill/1"

    def converse(self, row: Row) -> Dialogue:
        """Ask once. Row in: `instruction`. Fields out: `answer`."""
        replies = yield (Request(render(row["instruction"]), self.sampling, self.adapter),)
        if (refused := refusal(replies)) is not None:
            return refused
        reply = replies[0]
        if reply.finish == "length":
            return Reject("answer_unfinished", f"{reply.output_tokens} tokens, no end")
        answer = reply.text.strip()
        return {"answer": answer} if answer else Reject("answer_empty")
