"""The judging role with its rubric after the pair: what a judge makes of the order alone.

Promises: the same words, none but in another place; everything else is the judging role's.

Does not know: what the role asks or how it reads an answer.
"""

from dataclasses import dataclass, replace

from backtrans.dialogue import Message, Request
from backtrans.records import Row
from backtrans.roles.role import Dialogue
from backtrans.roles.score import ASK_DIGIT, ASK_REASON, RUBRIC, Score

_HEADS = tuple(f"{RUBRIC}\n{ask}" for ask in (ASK_DIGIT, ASK_REASON))


@dataclass(frozen=True, slots=True)
class RubricLast:
    """Asks as another judging role does, the pair first."""

    role: Score

    @property
    def version(self) -> str:
        """The role's version, and that its rubric stands last."""
        return f"{self.role.version}+rubric_last"

    def converse(self, row: Row) -> Dialogue:
        """Carry the role's dialogue, its requests turned round."""
        dialogue = self.role.converse(row)
        try:
            requests = next(dialogue)
            while True:
                replies = yield tuple(_turned(request) for request in requests)
                requests = dialogue.send(replies)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        finally:
            dialogue.close()


def _turned(request: Request) -> Request:
    first, *rest = request.messages
    for head in _HEADS:
        if first.content.startswith(head):
            pair = first.content.removeprefix(head).removesuffix(head).strip("\n")
            return replace(request, messages=(Message("user", f"{pair}\n\n{head}"), *rest))
    return request
