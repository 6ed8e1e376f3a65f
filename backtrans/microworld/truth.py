"""The truth about a backtranslated pair: does the instruction ask for what the page answers?

Promises: two instructions match when their words are the same, or when they ask for the same slots
in whatever paraphrase; a pair is a true 5 only if the page is clean and the instruction matches.

Does not know how pages are made; what is not written in one of the world's paraphrases matches
nothing but itself.
"""

import re
from collections import Counter
from functools import cache

from backtrans.microworld.kinds import KINDS
from backtrans.microworld.vocabulary import SLOTS

_WORD = re.compile(r"\w+")
_FIELD = re.compile(r"slotopen(\w+?)slotclose")

Slots = tuple[str, frozenset[tuple[str, str]]]


def words(text: str) -> list[str]:
    """Return the words of a text, in lower case and without punctuation."""
    return _WORD.findall(text.lower())


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    patterns = []
    for kind in KINDS:
        for template in kind.instructions:
            marked = re.sub(r"\{(\w+)\}", r"slotopen\1slotclose", template)
            patterns.append((kind.name, re.compile(_pattern(" ".join(words(marked))))))
    return tuple(patterns)


def _pattern(template: str) -> str:
    seen: set[str] = set()

    def group(field: re.Match[str]) -> str:
        slot = field[1]
        if slot in seen:  # the same slot again holds the same value
            return f"(?P={slot})"
        seen.add(slot)
        values = "|".join(map(re.escape, SLOTS[slot])) if slot in SLOTS else r"\w+"
        return f"(?P<{slot}>{values})"

    return _FIELD.sub(group, template)


@cache
def slots_of(instruction: str) -> Slots | None:
    """Read an instruction back into its kind and slots; None where it has no known form."""
    text = " ".join(words(instruction))
    for kind, pattern in _patterns():
        if found := pattern.fullmatch(text):
            return kind, frozenset(found.groupdict().items())
    return None


def matches(asked: str, latent: str) -> bool:
    """Say whether `asked` is the instruction `latent`; nothing matches an empty one (a void)."""
    if not words(latent):
        return False
    slots = slots_of(latent)
    return words(asked) == words(latent) or (slots is not None and slots == slots_of(asked))


def token_f1(a: str, b: str) -> float:
    """Return the F1 of the two texts' bags of words. Law: symmetric, 1 when they are the same."""
    left, right = Counter(words(a)), Counter(words(b))
    if not left or not right:
        return float(left == right)
    return 2 * (left & right).total() / (left.total() + right.total())


def rating(quality: int, instruction: str, latent: str) -> int:
    """Return the true rating of a page of `quality` as an answer to `instruction`.

    A page that answers something near (one slot differs) is a 2 at best, any other a 1.
    """
    if matches(instruction, latent):
        return quality
    return min(quality, 2) if is_near(instruction, latent) else 1


def is_near(asked: str, latent: str) -> bool:
    """Say whether both are of one kind and differ in exactly one slot."""
    left, right = slots_of(asked), slots_of(latent)
    if left is None or right is None or left[0] != right[0]:
        return False
    return len(left[1] - right[1]) == 1
