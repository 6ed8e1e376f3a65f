"""One row's dialogue, carried to its end on an engine, and what the replies to it cost.

Promises: a dialogue ends in the role's fields or in its reject, or is an error: a role or an engine
that breaks the terms of a dialogue has no row made up for it.

Does not know: where rows come from, or what becomes of them.
"""

from backtrans.dialogue import Reply
from backtrans.engines.engine import Engine
from backtrans.errors import DialogueBroken
from backtrans.ledger import Usage
from backtrans.records import Reject, Row
from backtrans.roles.role import Role


class Tally:
    """What replies cost, summed as they come."""

    def __init__(self) -> None:
        self._replies = 0
        self._prompt_tokens = 0
        self._cached_tokens = 0
        self._output_tokens = 0
        self._money = 0.0

    def add(self, replies: list[Reply]) -> None:
        """Count some replies; a refused one names a prompt's tokens, and no model has read them."""
        self._replies += len(replies)
        self._money += sum(reply.money for reply in replies)
        replies = [reply for reply in replies if reply.refusal is None]
        self._prompt_tokens += sum(reply.prompt_tokens for reply in replies)
        self._cached_tokens += sum(reply.cached_tokens for reply in replies)
        self._output_tokens += sum(reply.output_tokens for reply in replies)

    def usage(self, seconds: float) -> Usage:
        """Return the sums, with the engine's time that they took."""
        return Usage(
            requests=self._replies,
            prompt_tokens=self._prompt_tokens,
            cached_tokens=self._cached_tokens,
            output_tokens=self._output_tokens,
            seconds=seconds,
            money=self._money,
        )


async def converse(role: Role, row: Row, engine: Engine, tally: Tally) -> Row | Reject:
    """Carry one row's dialogue to its end: the role's fields, or its reject.

    Raises: EngineDead; DialogueBroken where replies do not match requests, or the role ends with
    neither fields nor a reject; whatever the role raises.
    """
    dialogue = role.converse(row)
    try:
        requests = next(dialogue)
        while True:
            replies = await engine.answer(requests)
            if len(replies) != len(requests):
                raise DialogueBroken(
                    f"{role.version}, row {row['id']!r}: {len(requests)} requests were answered"
                    f" by {len(replies)} replies"
                )
            tally.add(replies)
            requests = dialogue.send(replies)
    except StopIteration as end:
        outcome = end.value
    finally:
        dialogue.close()
    if not isinstance(outcome, dict | Reject):
        raise DialogueBroken(
            f"{role.version}, row {row['id']!r}: the role ended with {type(outcome).__name__}"
        )
    return outcome
