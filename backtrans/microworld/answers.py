"""How true a text is as an answer: which of its lines a careful page about this would hold.

Promises: every wording that the world itself could have written counts as true, in any of a kind's
paraphrases, and nothing else does; each line of such a page is counted once. A line is compared
without its case and punctuation.

Does not know models, or where the text comes from.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from backtrans.microworld.kinds import BY_NAME
from backtrans.microworld.latent import fill
from backtrans.microworld.truth import Slots, slots_of, words
from backtrans.microworld.vocabulary import SLOTS

_ALTERNATIVES = re.compile(r"\[([^\]]*)\]")


@dataclass(frozen=True, slots=True)
class Answer:
    """A text beside the page that answers an instruction, in lines."""

    written: int
    needed: int  # of a clean page
    true: tuple[bool, ...]  # for each written line: does the page hold it?
    whole: bool  # the page's lines, in their order, and no other


def answer(instruction: str, text: str) -> Answer | None:
    """Compare a text with what answers an instruction; None where that has no known form."""
    slots = slots_of(instruction)
    if slots is None:
        return None
    lines = [line for line in text.split("\n") if line.strip()]
    found = [_compared(lines, page) for page in _pages(slots)]
    return max(found, key=lambda each: (each.whole, sum(each.true)))


def _compared(lines: Sequence[str], page: Sequence[re.Pattern[str]]) -> Answer:
    left = list(page)
    true = []
    for line in lines:
        said = " ".join(words(line))
        at = next((k for k, pattern in enumerate(left) if pattern.fullmatch(said)), None)
        if at is not None:
            del left[at]
        true.append(at is not None)
    in_order = all(
        pattern.fullmatch(" ".join(words(line))) for line, pattern in zip(lines, page, strict=False)
    )
    whole = in_order and len(lines) == len(page)
    return Answer(len(lines), len(page), tuple(true), whole)


@cache
def _pages(slots: Slots) -> tuple[tuple[re.Pattern[str], ...], ...]:
    """Return, for each paraphrase of a page about these slots, what each of its lines may say."""
    kind = BY_NAME[slots[0]]
    values = {slot: _spelt(slot, value) for slot, value in slots[1]}
    pages = []
    for template in kind.pages:
        page: list[re.Pattern[str]] = []
        for line in template:
            times = SLOTS["number"].index(values["number"]) + 3 if line.startswith("* ") else 1
            page += [_pattern(fill(line, values))] * times
        pages.append(tuple(page))
    return tuple(pages)


def _spelt(slot: str, value: str) -> str:
    """Return a slot's value as its list spells it; names have none."""
    return next((v for v in SLOTS.get(slot, ()) if " ".join(words(v)) == value), value)


def _pattern(line: str) -> re.Pattern[str]:
    """Match a line's words in each of its wordings."""
    pieces = _ALTERNATIVES.split(line)  # text, alternatives, text, ...
    said = [" ".join(words(piece)) for piece in pieces[0::2]]
    choices = [[" ".join(words(c)) for c in piece.split("|")] for piece in pieces[1::2]]
    pattern = re.escape(said[0])
    for choice, after in zip(choices, said[1:], strict=True):
        # A word may go on behind an alternative, as in "[day|week]s".
        pattern += " (?:" + "|".join(map(re.escape, choice)) + ") ?" + re.escape(after)
    return re.compile(pattern.strip())
