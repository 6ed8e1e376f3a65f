"""Write preformatted text as fenced blocks, and code as code spans, whatever ticks they hold.

Source: CommonMark 0.31, 4.5 (fenced code blocks) and 6.1 (code spans).

Does not know: what stands around them.
"""

import re

from backtrans.corpus.markup import Markup

_TICKS = re.compile(r"`+")
_LINES = frozenset(("/div", "/p", "/li", "/tr"))  # what ends a line where none has ended


def fenced(markup: Markup, place: int, end: int) -> list[str]:
    """Return the lines of an element's text between two fences, or none where it has no text."""
    texts, tags = markup.texts, markup.tags
    pieces = [texts[place + 1]]
    for at in range(place + 1, end):
        tag = tags[at]
        if tag == "br" or (tag in _LINES and pieces[-1][-1:] != "\n"):
            pieces.append("\n")
        pieces.append(texts[at + 1])
    code = "".join(pieces).replace("\r\n", "\n").replace("\r", "\n").strip("\n")
    if not code.strip():
        return []
    fence = "`" * max(3, _longest(code) + 1)
    return [fence, *code.split("\n"), fence]


def code_span(code: str) -> str:
    """Return code as a span of a line."""
    ticks = "`" * (_longest(code) + 1)
    pad = " " if code.startswith("`") or code.endswith("`") else ""
    return f"{ticks}{pad}{code}{pad}{ticks}"


def _longest(code: str) -> int:
    return max(map(len, _TICKS.findall(code)), default=0)
