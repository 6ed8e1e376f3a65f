"""The protocol of a role, and the loop that carries one row's dialogue to its end.

A role is pure: `converse` is a generator that yields batches of requests, receives their replies,
and returns the fields of its row or a `Reject`. So a role is tested without any engine, by sending
it replies; and one row may take several calls (a score, then a second ask) without the stage or
the engine knowing.
"""

from collections.abc import Generator
from typing import Protocol

from backtrans.dialogue import Reply, Request
from backtrans.records import Reject, Row

SEED_TAG = "Answer in the style of an AI Assistant."
AUGMENTED_TAG = "Answer with knowledge from web search."
"""Source: 2308.06259 section 3.1 and 2408.04614 A.2-A.3: the sentences that tell the seed
distribution from the augmented one."""

Dialogue = Generator[tuple[Request, ...], list[Reply], Row | Reject]
"""Yields requests, is sent as many replies in the same order, returns the row's fields."""


class Role(Protocol):
    """What we ask a model about one row.

    `version` changes whenever a word of the prompt or a rule of the parser does: it is part of the
    stage's fingerprint (law 7).
    """

    @property
    def version(self) -> str:
        """The role's name and number, such as "score/2"."""
        ...

    def converse(self, row: Row) -> Dialogue:
        """Carry one row's dialogue."""
        ...


def refusal(replies: list[Reply]) -> Reject | None:
    """Return the first reply's refusal as a reject, if any of them was refused."""
    for reply in replies:
        if reply.refusal is not None:
            return Reject(reply.refusal.reason, reply.refusal.detail)
    return None
