"""Write Markdown from the markup that an HTML parser wrote: every tag closed, every `<` escaped.

Headers, paragraphs, nested and numbered lists (`nesting.py`), tables of data (`tables.py`), code
(`preformatted.py`), quotes and line breaks stay; emphasis and links are plain. What the page says
for its own sake goes (`layout.py`). A table that holds the page's layout is read as what is in it.

Promises: a line that looks like a header, an underline or a fence, and is none, is escaped, so that
who looks for headers finds the page's own; one pass over the tags, whatever they are.

Does not know: bytes, encodings, the parser.
"""

import re
from collections.abc import Callable

from backtrans.corpus.gathered import BREAK, Gathered, no_header
from backtrans.corpus.layout import BLOCK_TAGS, DROPPED, Layout
from backtrans.corpus.markup import Markup, escaped, one_line, unescaped
from backtrans.corpus.nesting import Nesting
from backtrans.corpus.preformatted import fenced
from backtrans.corpus.tables import piped, tables_of_data

# Source: a reader takes a longer line for a paragraph. Unclosed headers hold whole pages.
MAX_HEADER_CHARS = 300

_HEADERS = {f"h{level}": level for level in range(1, 7)}
_WITHIN_HEADERS = frozenset("div section hgroup center address article".split())
_START = re.compile(r' start="(\d{1,9})"')


def from_markup(markup: str, title: str = "") -> str:
    """Return a body's content as Markdown.

    A page that has no header is headed by its title, unless that is all capitals.
    """
    writer = _Writer(Markup(markup))
    writer.walk()
    written = writer.nesting.written
    title = one_line(title)
    if title and not writer.headed and written and not title.isupper():
        written.insert(0, f"# {escaped(title)}\n\n")
    return unescaped("".join(written))


class _Writer:
    """Walks a page's tags once."""

    def __init__(self, markup: Markup) -> None:
        self._markup, self._layout = markup, Layout(markup)
        self.nesting = Nesting()
        self.headed = False
        self._gathered = Gathered()
        self._header = 0  # the level of the header that is open
        self._main = self._form = 0  # how deep within such elements
        self._title_at = self._resume = -1  # the only header of a banner, and the banner's end
        self._of_data = tables_of_data(markup)

    def walk(self) -> None:
        """Write the whole page."""
        markup, layout = self._markup, self._layout
        tags, texts, attributes = markup.tags, markup.texts, markup.attributes
        gathered, actions, plain = self._gathered.pieces, _ACTIONS, layout.plain
        gathered.append(texts[0])
        place, count = 0, len(tags)
        while place < count:
            tag, about = tags[place], attributes[place]
            if about and about not in plain and layout.leaves_out(place):
                place = self._passed_over(place)
            elif tag in actions:
                place = actions[tag](self, place) or place
            elif (gathered or self._header) and tag in BLOCK_TAGS:
                self._between(BLOCK_TAGS[tag])
            if place == self._title_at:
                place = self._resume
            place += 1
            text = texts[place]
            if text and (gathered or not text.isspace()):
                gathered.append(text)
        self._flush()

    # ------------------------------------------------------------------ what is left out

    def _passed_over(self, place: int) -> int:
        """Leave an element out; return the place of its end tag."""
        tag, end = self._markup.tags[place], self._markup.end_of(place)
        if tag in BLOCK_TAGS and self._markup.tags[end] == f"/{tag}":
            self._between(tag)
        return end

    def _button(self, place: int) -> int | None:
        """Leave a button out, unless it is what a header holds: questions that open answers."""
        return None if self._header else self._passed_over(place)

    def _banner(self, place: int) -> int | None:
        """Leave a header or an aside out, unless it belongs to the main part of the page.

        Of a banner that holds the page's only h1, that one is kept.
        """
        if self._main:
            self._between("header")
            return None
        end = self._passed_over(place)
        title = self._layout.only_h1(place, end)
        if title is None:
            return end
        start, self._title_at = title
        self._resume = end
        self._begin_header(start)
        return start

    def _begin_form(self, place: int) -> int | None:
        """Leave a form out, unless it wraps the page."""
        if not self._form and self._layout.is_small(place, self._markup.end_of(place)):
            return self._passed_over(place)
        self._form += 1
        self._between("form")
        return None

    def _end_form(self, place: int) -> None:
        self._form = max(0, self._form - 1)
        self._between("form")

    def _begin_main(self, place: int) -> None:
        self._main += 1
        self._between(self._markup.tags[place])

    def _end_main(self, place: int) -> None:
        self._main = max(0, self._main - 1)
        self._between("main")

    def _between(self, name: str) -> None:
        """End the block that was being gathered, where one of another element begins or ends."""
        if not self._header:
            self._flush()
        elif name in _WITHIN_HEADERS:
            self._gathered.pieces.append(" ")
        elif self._gathered.says():
            self._end_header()

    def _flush(self) -> None:
        if self._gathered.pieces:
            for lines in self._gathered.paragraphs():
                self.nesting.put(lines)

    def _break(self, place: int) -> None:
        self._gathered.pieces.append(BREAK)

    def _quotation(self, place: int) -> None:
        self._gathered.pieces.append('"')

    def _begin_code(self, place: int) -> None:
        self._gathered.begin_code()

    def _end_code(self, place: int) -> None:
        self._gathered.end_code()

    # ------------------------------------------------------------------ blocks

    def _begin_header(self, place: int) -> None:
        self._between("h1")
        self._flush()
        self._header = _HEADERS[self._markup.tags[place]]

    def _end_header(self, place: int = 0) -> None:
        """Write a header: at the start of its line, out of any list; within a quote, as quoted.

        An empty h1 is a logo, and no header.
        """
        if not self._header:
            return
        text, level = self._gathered.taken(), self._header
        self._header = 0
        if len(text) > MAX_HEADER_CHARS:
            self.nesting.put([no_header(text)])
        elif text or level > 1:
            self.headed |= self.nesting.leave_lists()
            self.nesting.put([f"{'#' * level} {text}".rstrip()])

    def _begin_list(self, place: int) -> None:
        self._between("ul")
        first = None
        if self._markup.tags[place] == "ol":
            start = _START.search(self._markup.attributes[place])
            first = int(start[1]) if start else 1
        self.nesting.begin_list(first)

    def _end_list(self, place: int) -> None:
        self._between("ul")
        self.nesting.end_list()

    def _begin_item(self, place: int) -> None:
        self._between("li")
        self.nesting.begin_item(numbered=self._markup.tags[place] == "li")

    def _begin_quote(self, place: int) -> None:
        self._between("blockquote")
        self.nesting.begin_quote()

    def _end_container(self, place: int) -> None:
        self._between("li")
        self.nesting.end_container()

    def _pre(self, place: int) -> int:
        self._between("pre")
        end = self._markup.end_of(place)
        if lines := fenced(self._markup, place, end):
            self.nesting.put(lines)
        return end

    def _table(self, place: int) -> int | None:
        """Write a table of data; any other is its cells."""
        self._between("table")
        if place not in self._of_data:
            return None
        captions, lines = piped(self._markup, place, self._layout)
        for caption in captions:
            self._gathered.pieces.append(caption)
            self._flush()
        if lines:
            self.nesting.put(lines)
        return self._markup.end_of(place)


_ACTIONS: dict[str, Callable[[_Writer, int], int | None]] = {
    "br": _Writer._break,
    "pre": _Writer._pre,
    "listing": _Writer._pre,
    "code": _Writer._begin_code,
    "/code": _Writer._end_code,
    "q": _Writer._quotation,
    "/q": _Writer._quotation,
    "blockquote": _Writer._begin_quote,
    "/blockquote": _Writer._end_container,
    "table": _Writer._table,
    "button": _Writer._button,
    "form": _Writer._begin_form,
    "/form": _Writer._end_form,
    "header": _Writer._banner,
    "aside": _Writer._banner,
}
for _name in ("li", "dd"):
    _ACTIONS |= {_name: _Writer._begin_item, f"/{_name}": _Writer._end_container}
for _name in ("ul", "ol", "menu", "dir"):
    _ACTIONS |= {_name: _Writer._begin_list, f"/{_name}": _Writer._end_list}
for _name in _HEADERS:
    _ACTIONS |= {_name: _Writer._begin_header, f"/{_name}": _Writer._end_header}
for _name in ("main", "article", "section"):
    _ACTIONS |= {_name: _Writer._begin_main, f"/{_name}": _Writer._end_main}
for _name in DROPPED:
    _ACTIONS[_name] = _Writer._passed_over
