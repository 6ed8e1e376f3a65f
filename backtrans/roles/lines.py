"""The rewriting role that writes nothing: it keeps the lines that its model would have written.

For models that cannot rewrite without inventing, and for who wants no word that is not the
document's. Line by line, the model says how likely each is as what comes next in an answer to the
instruction, after the lines that were kept; those below a floor go: menus, bylines, advertisements,
the lines of another page.

Knows what is asked; does not know which model answers, nor whether the rest is any good.
"""

from dataclasses import dataclass

from backtrans.dialogue import Likelihood, Message, Request
from backtrans.records import Reject, Row
from backtrans.roles.role import SEED_TAG, Dialogue, refusal


@dataclass(frozen=True, slots=True)
class KeepLines:
    """Asks once a line. `min_line_logprob` is a mean over a line's tokens, in nats.

    Source of the measure: the score role's likelihood, whose floor tells spoilt pages.
    """

    min_line_logprob: float
    tag: str = SEED_TAG
    adapter: str | None = None
    version: str = "lines/1"

    def converse(self, row: Row) -> Dialogue:
        """Ask for each line. Row in: `instruction`, `response`. Fields out: `text`.

        Blank lines stay where a line before and one after them does.
        """
        asked = Message("user", f"{row['instruction']} {self.tag}")
        kept: list[str] = []
        for line in row["response"].split("\n"):
            if not line.strip():
                kept.append(line)
                continue
            said = "".join(f"{each}\n" for each in kept)
            before = (asked, Message("assistant", said)) if said else (asked,)
            replies = yield (Request(before, Likelihood(line), self.adapter),)
            if (refused := refusal(replies)) is not None:
                return refused
            logprobs = replies[0].token_logprobs
            if logprobs and sum(logprobs) / len(logprobs) >= self.min_line_logprob:
                kept.append(line)
        text = "\n".join(kept).strip()
        return {"text": text} if text else Reject("rewrite_empty")
