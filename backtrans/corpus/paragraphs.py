"""Tell a plain text's paragraphs apart, and cut those that are too long.

A paragraph ends at a blank line; in a text without any, at a newline. Source: Dolma's web documents
hold one paragraph a line, and no blank lines. A list, a table and fenced code are each a paragraph,
whatever blank lines they hold.

Promises: paragraphs and pieces are disjoint, in order, and start and end at characters that are not
white space; paragraphs together hold all characters that are not.

Does not know: how pieces are put together; HTML; setext headings, and tables without outer bars.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from backtrans.corpus.span import Span

Kind = Literal["prose", "list", "table", "code"]

Places = Callable[[str, Span], Iterator[int]]
"""Where a text may be cut within a span."""

_LINE = re.compile(r"[^\n]+")
_LINE_END = re.compile(r"[^\S\n]*\n")
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")
_SPACE = re.compile(r"\s*")

# Source: CommonMark 0.31, 4.5 (fenced code) and 5.2 (list items); GitHub's tables begin with a bar.
_FENCE = re.compile(r" {0,3}(`{3,99}|~{3,99})(.{0,999})")
_ITEM = re.compile(r"[ \t]{0,8}(?:[-*+•]|[0-9]{1,9}[.)])[ \t]")
_INDENTED = re.compile(r"(?: {2}|\t)")
_ATX_HEADING = re.compile(r"#{1,6}[ \t]")

_SENTENCE_END = re.compile(
    r"""[.!?…]["'”’»)\]]{0,3}(?=\s)"""  # a stop, what closes around it, and white space
    r"""|[。！？]["'”’」』）]{0,3}"""  # in Chinese and Japanese none follows
)
# A stop after these ends no sentence, nor does one after a single letter, as in initials.
_ABBREVIATION = re.compile(
    r"(?:^|[\s(])(?:\w|e\.g|i\.e|cf|vs|Mr|Mrs|Ms|Dr|Prof|St|No|Fig|Vol|approx|ca|pp)\.$",
    re.IGNORECASE,
)
_LONGEST_ABBREVIATION_CHARS = 8  # of those above, with what comes before and after


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A piece of a text that is not cut unless it is too long."""

    start: int
    end: int
    kind: Kind = "prose"


def paragraphs(text: str, max_chars: int) -> list[Paragraph]:
    """Return a text's paragraphs in order; what leads to the next one is joined to it.

    That is a Markdown heading, and what ends in a colon, where both together are not too long.
    """
    found: list[Paragraph] = []
    for paragraph in _listed(text, _blocks(text)):
        if found and _leads(text, found[-1]) and paragraph.end - found[-1].start <= max_chars:
            paragraph = Paragraph(found.pop().start, paragraph.end, paragraph.kind)
        found.append(paragraph)
    return found


def pieces(text: str, found: list[Paragraph], max_chars: int) -> Iterator[Span]:
    """Yield paragraphs; one over `max_chars` is cut as far as its kind allows, and may stay so.

    A list is cut between its items; prose and items after lines that end a sentence, then after
    sentences; a table or code not at all, since a part of it says nothing.
    """
    for paragraph in found:
        spans = [Span(paragraph.start, paragraph.end)]
        if paragraph.kind == "list":
            spans = _split(text, spans, max_chars, _items)
        if paragraph.kind in ("list", "prose"):
            spans = _split(text, spans, max_chars, _sentence_lines)
            spans = _split(text, spans, max_chars, _sentences)
        yield from spans


def _blocks(text: str) -> Iterator[Paragraph]:
    """Yield what blank lines, or newlines where there are none, divide; fenced code whole."""
    lines = [_stripped(text, *line.span()) for line in _LINE.finditer(text)]
    lines_apart = _BLANK_LINE.search(text.strip()) is None
    code = dict(_fenced(text))
    block: list[Span] = []
    inside = -1  # the end of the code that these lines belong to
    for line in lines:
        if line.start < inside:
            continue
        if block and (line.start in code or lines_apart or _blank_between(text, block[-1], line)):
            yield _block(text, block)
            block = []
        if line.start in code:
            inside = code[line.start]
            yield Paragraph(line.start, inside, "code")
        elif line.start < line.end:
            block.append(line)
    if block:
        yield _block(text, block)


def _blank_between(text: str, before: Span, line: Span) -> bool:
    return line.start < line.end and text.count("\n", before.end, line.start) > 1


def _block(text: str, lines: list[Span]) -> Paragraph:
    """Return lines as one paragraph of the kind that they are."""
    kind: Kind = "prose"
    if all(text[line.start] == "|" for line in lines):
        kind = "table"
    elif _ITEM.match(text, lines[0].start):
        kind = "list"
    return Paragraph(lines[0].start, lines[-1].end, kind)


def _fenced(text: str) -> Iterator[tuple[int, int]]:
    """Yield where fenced code starts, its fence's first character, and where it ends.

    A fence that is not closed is none: it would take the rest of the text.
    """
    opened: tuple[int, str] | None = None
    for line in _LINE.finditer(text):
        fence = _FENCE.match(text, line.start(), line.end())
        if fence is None:
            continue
        mark, rest = fence[1], fence[2].strip()
        if opened is None:
            if mark[0] == "~" or "`" not in rest:
                opened = fence.start(1), mark
        elif mark.startswith(opened[1]) and not rest:
            yield opened[0], fence.end(1)
            opened = None


def _listed(text: str, blocks: Iterable[Paragraph]) -> Iterator[Paragraph]:
    """Join a list's items, with what is indented between them, and a table's rows."""
    held: Paragraph | None = None
    for block in blocks:
        if held is not None and _goes_on(text, held, block):
            held = Paragraph(held.start, block.end, held.kind)
            continue
        if held is not None:
            yield held
        held = block
    if held is not None:
        yield held


def _goes_on(text: str, held: Paragraph, block: Paragraph) -> bool:
    if held.kind == "table":  # rows, not another table after a blank line
        return block.kind == "table" and text.count("\n", held.end, block.start) == 1
    line = text.rfind("\n", 0, block.start) + 1
    return held.kind == "list" and (block.kind == "list" or bool(_INDENTED.match(text, line)))


def _leads(text: str, paragraph: Paragraph) -> bool:
    """Say whether a paragraph announces the next one."""
    if paragraph.kind != "prose":
        return False
    last_line = max(paragraph.start, text.rfind("\n", 0, paragraph.end) + 1)
    return text[paragraph.end - 1] == ":" or bool(_ATX_HEADING.match(text, last_line))


def _split(text: str, spans: list[Span], max_chars: int, places: Places) -> list[Span]:
    """Cut those spans that are over `max_chars` at the places that `places` names in them."""
    found: list[Span] = []
    for span in spans:
        if span.end - span.start <= max_chars:
            found.append(span)
            continue
        cuts = [span.start, *places(text, span), span.end]
        parts = (_stripped(text, start, end) for start, end in pairwise(cuts))
        found += [part for part in parts if part.start < part.end]
    return found


def _items(text: str, span: Span) -> Iterator[int]:
    """Name the places before a list's items."""
    for line in _LINE.finditer(text, span.start, span.end):
        if _ITEM.match(text, line.start()):
            yield line.start()


def _sentence_lines(text: str, span: Span) -> Iterator[int]:
    """Name the places after lines that end a sentence."""
    return (place for place in _sentences(text, span) if _LINE_END.match(text, place, span.end))


def _sentences(text: str, span: Span) -> Iterator[int]:
    """Name the places after sentences."""
    for stop in _SENTENCE_END.finditer(text, span.start, span.end):
        first = max(span.start, stop.start() + 1 - _LONGEST_ABBREVIATION_CHARS)
        follows = _SPACE.match(text, stop.end(), span.end)
        goes_on = follows is not None and text[follows.end() : follows.end() + 1].islower()
        if not goes_on and not _ABBREVIATION.search(text[first : stop.start() + 1]):
            yield stop.end()


def _stripped(text: str, start: int, end: int) -> Span:
    """Return a span without the white space around it."""
    piece = text[start:end]
    return Span(start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip()))
