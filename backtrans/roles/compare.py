"""The comparing role: which of two responses answers this instruction better?

The same pair is asked about in both orders, since judges prefer a place: an answer that follows the
place and not the response is no preference. The letter itself is decoded, so every completed call
is a distribution over the two.

Knows the rubric and how an answer is read; does not know which response is whose, what a tie is, or
which model judges.
"""

import math
from dataclasses import dataclass

from backtrans.dialogue import Choose, Message, Reply, Request
from backtrans.records import Reject, Row
from backtrans.roles.role import Dialogue, refusal

LETTERS = ("A", "B")
BETTER_PREFIX = "Better: "
"""What the assistant has said when the letter is decoded."""

RUBRIC = """\
Two responses to the same instruction follow, A and B. Say which of them is better.
Better is what the person who gave the instruction would rather have: it does what was asked, its
facts are right, it leaves out nothing that is needed and holds nothing that is not.
Which of them stands first means nothing. More words alone make no response better.
Write "Better: " and the letter."""
"""Source: this project's own words. What is asked, a pairwise choice between outputs to the same
instruction by the judge's distribution over two one-token names, is AlpacaEval's
(weighted_alpaca_eval_gpt4_turbo); its template is written for another chat format, and for one
order drawn at random."""


def render(instruction: str, first: str, second: str) -> tuple[Message, ...]:
    """Return the messages that ask which of two responses is better, A standing first.

    The rubric and the instruction come first, so that both orders share them as a prefix.
    """
    question = (
        f"{RUBRIC}\n\nInstruction:\n{instruction}\n\nResponse A:\n{first}\n\nResponse B:\n{second}"
    )
    return (Message("user", question), Message("assistant", BETTER_PREFIX))


def judgement(reply: Reply) -> float | Reject:
    """Return the probability of A, which stands first."""
    probabilities = reply.choice_probabilities
    if len(probabilities) != len(LETTERS) or not math.isclose(
        sum(probabilities), 1.0, abs_tol=1e-6
    ):
        return Reject("choice_improbable", f"probabilities {probabilities}")
    return probabilities[0]


@dataclass(frozen=True, slots=True)
class Compare:
    """Asks for one comparison, in both orders."""

    adapter: str | None = None
    version: str = "compare/1"

    def converse(self, row: Row) -> Dialogue:
        """Ask twice. Row in: `instruction`, `one`, `other`.

        Fields out: P(A) with `one` first and with `other` first, and the larger of the two
        probabilities that lay on neither letter.
        """
        instruction, one, other = row["instruction"], row["one"], row["other"]
        replies = yield (
            Request(render(instruction, one, other), Choose(LETTERS), self.adapter),
            Request(render(instruction, other, one), Choose(LETTERS), self.adapter),
        )
        if (refused := refusal(replies)) is not None:
            return refused
        a_one_first, a_other_first = judgement(replies[0]), judgement(replies[1])
        if isinstance(a_one_first, Reject):
            return a_one_first
        if isinstance(a_other_first, Reject):
            return a_other_first
        return {
            "a_one_first": a_one_first,
            "a_other_first": a_other_first,
            "off_letter_mass": max(reply.off_choice_mass for reply in replies),
        }
