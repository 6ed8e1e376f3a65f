"""Gather the text of a block of a page, and give it as the lines of its paragraphs.

Promises: white space is one space; a line that Markdown would take for a header, a header's
underline or a fence is escaped.

Does not know: tags, what stands before a line.
"""

import re
from collections.abc import Iterator

from backtrans.corpus.markup import one_line
from backtrans.corpus.preformatted import code_span

BREAK = "<"
"""Stands for a line break among the pieces, where every other one is escaped."""

_MARK = re.compile(r"#{1,6}(?:[ \t]|$)|(?:=+|-+)[ \t]*$|```|~~~")
_MARKS = frozenset("#=-`~")


class Gathered:
    """The pieces of the block that is open."""

    __slots__ = ("_code", "pieces")

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self._code = -1  # where among the pieces inline code began

    def says(self) -> bool:
        """Say whether there is more than white space."""
        return any(text.strip("< \n\t") for text in self.pieces)

    def begin_code(self) -> None:
        self._code = len(self.pieces)

    def end_code(self) -> None:
        """Make a code span of what was gathered since the code began."""
        if self._code < 0:
            return
        code = _one_line(self.pieces[self._code :])
        del self.pieces[self._code :]
        self._code = -1
        if code:
            self.pieces.append(code_span(code))

    def taken(self) -> str:
        """Return everything as one line, as it is, and begin anew."""
        line = _one_line(self.pieces)
        self.pieces.clear()
        self._code = -1
        return line

    def paragraphs(self) -> Iterator[list[str]]:
        """Yield the lines of each paragraph, and begin anew; two breaks in a row end one."""
        text = "".join(self.pieces)
        self.pieces.clear()
        self._code = -1
        lines: list[str] = []
        for part in text.split(BREAK):
            line = one_line(part)
            if line:
                lines.append(no_header(line))
            elif lines:
                yield lines
                lines = []
        if lines:
            yield lines


def no_header(line: str) -> str:
    """Return a line, which is not empty, as one that Markdown takes for text."""
    return f"\\{line}" if line[0] in _MARKS and _MARK.match(line) else line


def _one_line(pieces: list[str]) -> str:
    return one_line("".join(pieces).replace(BREAK, " "))
