"""Tell the tables that hold data from those that hold a page's layout, and write them with pipes.

Does not know: what stands around a table.
"""

import re

from backtrans.corpus.layout import BLOCK_TAGS, Layout
from backtrans.corpus.markup import Markup, one_line

# Source: more columns of a table are no reading.
MAX_SPANNED = 20
_COLUMNS = re.compile(r' colspan="(\d{1,9})"')
# What stands in no cell of a table of data.
_NO_DATA = frozenset("h1 h2 h3 h4 h5 h6 ul ol dl pre blockquote hr form main article nav".split())


class _Table:
    """What has been seen of a table that is still open."""

    __slots__ = ("cells", "data", "paragraphs", "place", "rows", "widest")

    def __init__(self, place: int, data: bool) -> None:
        self.place, self.data = place, data
        self.rows = self.cells = self.widest = self.paragraphs = 0


def tables_of_data(markup: Markup) -> frozenset[int]:
    """Return the places of the tables that hold data, and not the page's layout.

    They have two rows and two columns at least, and no cell of theirs holds a header, a list, code,
    another table or two paragraphs.
    """
    tags, attributes = markup.tags, markup.attributes
    found: list[int] = []
    opened: list[_Table] = []
    place, count = -1, len(tags)
    while (place := place + 1 if opened else _next_table(tags, place + 1)) < count:
        tag = tags[place]
        if tag == "table":
            if opened:
                opened[-1].data = False
            opened.append(_Table(place, 'role="presentation"' not in attributes[place]))
        elif tag == "/table":
            table = opened.pop()
            if table.data and table.rows > 1 and table.widest > 1:
                found.append(table.place)
        elif tag == "tr":
            opened[-1].rows += 1
            opened[-1].cells = 0
        elif tag in ("td", "th"):
            table = opened[-1]
            table.cells, table.paragraphs = table.cells + 1, 0
            table.widest = max(table.widest, table.cells)
        elif tag == "p":
            opened[-1].paragraphs += 1
            opened[-1].data &= opened[-1].paragraphs < 2
        elif tag in _NO_DATA:
            opened[-1].data = False
    return frozenset(found)


def _next_table(tags: list[str], place: int) -> int:
    """Return the place of the next table, or of the end."""
    try:
        return tags.index("table", place)
    except ValueError:
        return len(tags)


def piped(markup: Markup, place: int, layout: Layout) -> tuple[list[str], list[str]]:
    """Return a table's captions and its lines, the first row as the header."""
    texts, tags, attributes = markup.texts, markup.tags, markup.attributes
    captions: list[str] = []
    rows: list[list[str]] = []
    cell: list[str] = []
    span, at, end = 1, place, markup.end_of(place)
    plain = layout.plain
    while at < end:
        tag, about = tags[at], attributes[at]
        if about and about not in plain and layout.hides(about):
            at = markup.end_of(at)
        elif tag == "tr":
            rows.append([])
        elif tag in ("td", "th"):
            cell.clear()
            span = _columns(about) if "colspan" in about else 1
        elif tag in ("/td", "/th") and rows:
            text = one_line("".join(cell))
            rows[-1].append(text.replace("|", "\\|"))
            if span > 1:
                rows[-1] += [""] * (span - 1)
        elif tag == "caption":
            cell.clear()
        elif tag == "/caption":
            captions.append("".join(cell))
        elif tag == "br" or tag in BLOCK_TAGS:
            cell.append(" ")
        cell.append(texts[at + 1])
        at += 1
    rows = [row for row in rows if any(row)]
    if not rows:
        return captions, []
    width = max(map(len, rows))
    rows[0] += [""] * (width - len(rows[0]))
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return captions, [lines[0], f"|{' --- |' * width}", *lines[1:]]


def _columns(attributes: str) -> int:
    """Return how many columns a cell spans."""
    wide = _COLUMNS.search(attributes)
    return min(max(1, int(wide[1])), MAX_SPANNED) if wide else 1
