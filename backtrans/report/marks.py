"""Texts as a page shows them: cut where they are too long, harmless, with differences marked.

Promises: what comes out is markup in which a text is text, whatever it holds; control characters
that would not show, or would turn the reading order, are spelt out; nothing of what is shown is
lost between two marks. Of two texts, words that only the second has stand in <ins>, words that only
the first has in <del>.

Does not know: which texts they are.
"""

import difflib
import re
import unicodedata
from dataclasses import dataclass

from markupsafe import Markup, escape

SHOWN_CHARS = 4000
"""Of a text. Source: this project's choice: the longest segment of the default recipe is 3,000, and
comparing two texts of so many words takes milliseconds."""

CELL_CHARS = 300
"""Of a text in a cell of a table. Source: this project's choice: the longest URLs that matter."""

_PIECES = re.compile(r"\s+|[^\s\w]|\w+")

_TURNING = {0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)}
"""What turns the direction of the text that follows it."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A text as markup, and how many of its characters were left out."""

    text: Markup
    left_out: int


def shown(text: str) -> Shown:
    """Return a text as it is, cut where it is too long."""
    return Shown(escape(_visible(text[:SHOWN_CHARS])), max(0, len(text) - SHOWN_CHARS))


def compared(before: str, after: str) -> Shown:
    """Return the second text with what differs from the first, word by word."""
    old, new = (_PIECES.findall(_visible(text[:SHOWN_CHARS])) for text in (before, after))
    pieces: list[Markup] = []
    for how, i, j, k, m in difflib.SequenceMatcher(None, old, new).get_opcodes():
        gone, come = "".join(old[i:j]), "".join(new[k:m])
        if how == "equal":
            pieces.append(escape(come))
            continue
        if gone:
            pieces.append(Markup("<del>{}</del>").format(gone))
        if come:
            pieces.append(Markup("<ins>{}</ins>").format(come))
    return Shown(Markup("").join(pieces), max(0, max(len(before), len(after)) - SHOWN_CHARS))


def plain(text: str) -> str:
    """Return a text of one line, cut, for a table's cell."""
    one_line = " ".join(_visible(text[:CELL_CHARS]).split())
    return one_line if len(text) <= CELL_CHARS else f"{one_line} ..."


def _visible(text: str) -> str:
    """Spell out what would not show as a character, but for line ends and tabs."""
    if text.isascii() and text.isprintable():
        return text
    text = text.replace("\r\n", "\n")
    return "".join(each if _shows(each) else f"\\u{{{ord(each):x}}}" for each in text)


def _shows(each: str) -> bool:
    if each in "\n\t":
        return True
    return unicodedata.category(each) not in ("Cc", "Cs") and ord(each) not in _TURNING
