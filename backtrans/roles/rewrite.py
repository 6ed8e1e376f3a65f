"""The rewriting role: a better response to an instruction, made from the one that there is.

Knows the paper's prompt and how its answer is read; does not know which model answers, nor whether
what it wrote is any good (`rewriting`).
"""

import re
from dataclasses import dataclass

from backtrans.dialogue import Generate, Message, Request
from backtrans.records import Reject, Row
from backtrans.roles.role import Dialogue, refusal

PROMPT = (
    "Given the draft response to the provided question below, rewrite the draft to improve it, so"
    " it is a high quality response to the given question.\n\n"
    "Draft Response: {response}\n\n"
    "Question: {instruction}\n\n"
    "Given the above question, rewrite the draft response to be an improvement over the draft"
    " response. It should be as similar as possible, copying text where possible, while making the"
    " flow more clear, useful, relevant and providing a direct answer to the question. It should be"
    " written to be impeccably tailored to the user’s question as if written by an AI Assistant,"
    " without extraneous information, reflecting expert knowledge, and demonstrating a"
    " high-quality, engaging, and insightful answer. Try not to add new facts that are not already"
    " in the draft response. Return the rewritten response between [RES] and [/RES]."
)
"""Source: 2408.04614 A.2 (3), without [INST], which is the model's own chat template."""

OPEN, CLOSE = "[RES]", "[/RES]"

_MARKER = re.compile(r"\[/?RES\]")


def render(instruction: str, response: str) -> tuple[Message, ...]:
    """Return the messages that ask for a better `response`."""
    before, rest = PROMPT.split("{response}")
    between, after = rest.split("{instruction}")
    return (Message("user", before + response + between + instruction + after),)


def parse(text: str) -> str | Reject:
    """Read what stands between one [RES] and its [/RES], without margins; what is beside is left.

    Two of either are refused, whatever lies between: which one is meant cannot be known.
    """
    markers = list(_MARKER.finditer(text))
    order = "".join("(" if marker[0] == OPEN else ")" for marker in markers)
    if "(" not in order:
        return Reject("rewrite_missing", f"no {OPEN}")
    if "((" in order:
        return Reject("rewrite_nested", f"{order.count('(')} {OPEN}")
    if order == "(":
        return Reject("rewrite_unfinished", f"no {CLOSE}")
    if order != "()":
        return Reject("rewrite_repeated", f"{len(markers)} markers")
    rewritten = text[markers[0].end() : markers[1].start()].strip()
    return rewritten or Reject("rewrite_empty")


@dataclass(frozen=True, slots=True)
class Rewrite:
    """Asks for one rewrite a pair.

    Source: temperature 1.0 and top_p 0.9 are 2408.04614 A.2's; the recipe decides.
    """

    sampling: Generate
    adapter: str | None = None
    version: str = "rewrite/1"

    def converse(self, row: Row) -> Dialogue:
        """Ask once. Row in: `instruction`, `response`. Fields out: `text`."""
        messages = render(row["instruction"], row["response"])
        replies = yield (Request(messages, self.sampling, self.adapter),)
        if (refused := refusal(replies)) is not None:
            return refused
        reply = replies[0]
        if reply.finish == "length":
            return Reject("rewrite_unfinished", f"{reply.output_tokens} tokens, no end")
        rewritten = parse(reply.text)
        return rewritten if isinstance(rewritten, Reject) else {"text": rewritten}
