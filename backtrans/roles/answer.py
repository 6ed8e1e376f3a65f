"""The answering role: an instruction, as a user would give it, and what the model writes.

Knows the sentence that may follow an instruction; does not know which model answers, or whether its
answer is any good.
"""

from dataclasses import dataclass

from backtrans.dialogue import Generate, Message, Request
from backtrans.records import Row
from backtrans.roles.role import SEED_TAG, Dialogue, refusal


def render(instruction: str, tag: str) -> tuple[Message, ...]:
    """Return the instruction as the user's turn, the tag after it where there is one."""
    return (Message("user", f"{instruction} {tag}" if tag else instruction),)


@dataclass(frozen=True, slots=True)
class Answer:
    """Asks for one answer an instruction. What ran out of tokens is kept as far as it came.

    Source: 2408.04614 A.4: the questions of AlpacaEval with the tag of the training data.
    """

    sampling: Generate
    tag: str = SEED_TAG
    adapter: str | None = None
    version: str = "answer/1"

    def converse(self, row: Row) -> Dialogue:
        """Ask once. Row in: `instruction`. Fields out: `output`, `output_tokens`, `unfinished`."""
        request = Request(render(row["instruction"], self.tag), self.sampling, self.adapter)
        replies = yield (request,)
        if (refused := refusal(replies)) is not None:
            return refused
        (reply,) = replies
        return {
            "output": reply.text,
            "output_tokens": reply.output_tokens,
            "unfinished": reply.finish == "length",
        }
