"""Write Markdown from the markup that an HTML parser wrote: every tag closed, every `<` escaped.

Headers, paragraphs, nested and numbered lists, tables of data, code, quotes and line breaks stay;
emphasis and links are plain. What the page says of itself goes: navigation, forms, banners,
footers, what is hidden, and asides outside of the page's main part. A table that holds the page's
layout is read as what is in it.

Promises: a line that looks like a header, an underline or a fence, and is none, is escaped, so that
who looks for headers finds the page's own; one pass over the tokens, whatever they are.

Does not know: bytes, encodings, the parser.
"""

import re
from collections.abc import Callable

from backtrans.corpus.layout import HIDDEN, furnishes, tables_of_data

_ATTRIBUTES = r'(?: =?[^\s/>=]*="[^"]*")*'
TAG = re.compile(rf"<(/?[a-z][^\s/>]*)({_ATTRIBUTES})>")
# What is text to the parser and none to a reader; it may look like markup.
_NO_TEXT = re.compile(
    r"<!--[^-]*+(?:-(?!->)[^-]*+)*+-->"
    rf"|<(script|style|iframe|noembed|noframes|select|textarea|datalist){_ATTRIBUTES}>"
    r"[^<]*+(?:<(?!/\1>)[^<]*+)*+</\1>"
)
_RAW_TEXT = re.compile(r"<(xmp|plaintext)>([^<]*+(?:<(?!/\1>)[^<]*+)*+)</\1>")

# Source: a reader sees no deeper; each level is repeated before every line below it.
MAX_INDENTED = 10
# Source: a reader takes a longer line for a paragraph. Unclosed headers hold whole pages.
MAX_HEADER_CHARS = 300
# Source: more columns of a table are no reading.
MAX_SPANNED = 20
# Source: pages have a few elements of such names; each look may pass over the whole page.
MAX_LOOKS = 200
# Source: the lower end of a segment (2308.06259): so much text is no form's, but a page's that is
# wrapped in a form, as ASP.NET's pages are.
MIN_FORM_CHARS = 600

_CONTENT, _FURNITURE, _UNSEEN = 1, 2, 3  # what an element is by its attributes
_HEADERS = {f"h{level}": level for level in range(1, 7)}
_BLOCKS = frozenset(
    "address article aside blockquote body caption center dd details dialog dir div dl dt fieldset "
    "figcaption figure footer form h1 h2 h3 h4 h5 h6 header hgroup hr legend li listing main menu "
    "nav ol option p pre search section summary table tbody td tfoot th thead tr ul xmp".split()
)
_BLOCK_TAGS = _BLOCKS | {f"/{name}" for name in _BLOCKS}
_WITHIN_HEADERS = frozenset("div section hgroup center address article".split())
_DROPPED = frozenset(
    "nav dialog label footer search noscript template object svg canvas audio video annotation "
    "map".split()
)
_MAIN = frozenset(("main", "article", "section"))
# A text line that Markdown would take for a header, a header's underline, or a fence.
_MARK = re.compile(r"(?=(?:#{1,6}(?:[ \t]|$)|(?:=+|-+)[ \t]*$|```|~~~))")
_TICKS = re.compile(r"`+")
_START = re.compile(r' start="(\d{1,9})"')
_COLUMNS = re.compile(r' colspan="(\d{1,9})"')


def from_markup(markup: str, title: str = "") -> str:
    """Return a body's content as Markdown.

    A page that has no header is headed by its title, unless that is all capitals.
    """
    markup = _NO_TEXT.sub("", markup)
    if "<xmp>" in markup or "<plaintext>" in markup:
        markup = _RAW_TEXT.sub(lambda raw: f"<pre>{_as_text(raw[2])}</pre>", markup)
    writer = _Writer(TAG.split(markup.replace("&nbsp;", " ")))
    writer.walk()
    title = " ".join(title.split())
    if title and not writer.headed and writer.written and not title.isupper():
        writer.written.insert(0, f"# {_as_text(title)}\n\n")
    text = "".join(writer.written)
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _as_text(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


def _escaped(line: str) -> str:
    return f"\\{line}" if _MARK.match(line) else line


def _shared(one: str, other: str) -> str:
    """Return what two prefixes have in common from their start."""
    return next(
        (one[:at] for at in range(len(one)) if not other.startswith(one[: at + 1])),
        one,
    )


class _Container:
    """A list item or a quote: what stands before its first line, and before its others."""

    __slots__ = ("first", "name", "rest")

    def __init__(self, name: str, first: str, rest: str) -> None:
        self.name, self.rest = name, rest
        self.first: str | None = first  # None once it is written


class _Writer:
    """Walks tokens once; `<` in the gathered text stands for a line break."""

    def __init__(self, tokens: list[str]) -> None:
        self.texts, self.tags, self.attributes = tokens[0::3], tokens[1::3], tokens[2::3]
        self.written: list[str] = []
        self.headed = False
        self._gathered: list[str] = []
        self._header = 0  # the level of the header that is open
        self._code = -1  # where in the gathered text inline code began
        self._containers: list[_Container] = []
        self._lists: list[int] = []  # the number of the last item, negative where there are none
        self._rest = ""  # what stood before the lines of what was written last
        self._quoted = self._listed = False  # whether what was written last is in one still open
        self._seen: dict[str, int] = {}
        self._looks = 0
        self._one_h1 = self.tags.count("h1") == 1
        self._main = self._form = 0  # how deep within such elements
        self._title_at = self._resume = -1  # the only header of a banner, and the banner's end
        self._of_data = tables_of_data(self.tags, self.attributes)

    def walk(self) -> None:
        """Write all tokens."""
        tags, texts, attributes = self.tags, self.texts, self.attributes
        gathered, actions = self._gathered, _ACTIONS
        seen = self._seen
        if texts[0]:
            gathered.append(texts[0])
        place, count = 0, len(tags)
        while place < count:
            tag, about = tags[place], attributes[place]
            if about and (kind := seen.get(about) or self._kind(about)) != _CONTENT:
                hidden = kind == _UNSEEN and tag != "body"
                if hidden or (kind == _FURNITURE and self._is_furniture(place)):
                    place = self._end_of(place)
                    tag = ""
            action = actions.get(tag)
            if action is not None:
                place = action(self, place) or place
            elif tag in _BLOCK_TAGS:
                self._between(tag.removeprefix("/"))
            if place == self._title_at:
                place = self._resume
            text = texts[place + 1]
            if text and (gathered or not text.isspace()):
                gathered.append(text)
            place += 1
        self._flush()

    # ------------------------------------------------------------------ what is left out

    def _kind(self, attributes: str) -> int:
        """Say what an element is by its attributes, which repeat within a page."""
        furnished = _FURNITURE if furnishes(attributes) else _CONTENT
        kind = _UNSEEN if HIDDEN.search(attributes) else furnished
        self._seen[attributes] = kind
        return kind

    def _end_of(self, place: int) -> int:
        """Return the place of an element's end tag; of one without, its own or the last."""
        tag = self.tags[place]
        if tag in ("input", "img", "br", "hr", "wbr", "source", "link", "meta", "embed", "area"):
            return place
        end, depth = f"/{tag}", 0
        for at in range(place, len(self.tags)):
            if self.tags[at] == tag:
                depth += 1
            elif self.tags[at] == end:
                depth -= 1
                if not depth:
                    if tag in _BLOCKS:
                        self._between(tag)
                    return at
        return len(self.tags) - 1

    def _is_furniture(self, place: int) -> bool:
        """Say whether an element is what its role, class or id says, and not the page's content."""
        tag = self.tags[place]
        if tag in ("body", "main", "article", "html") or tag in _HEADERS or tag.startswith("/"):
            return False
        self._looks += 1
        if self._looks > MAX_LOOKS:
            return False
        held = self.tags[place : self._end_of(place)]
        return not any(name in held for name in ("h1", "main", "article"))

    def _button(self, place: int) -> int | None:
        """Leave a button out, unless it is what a header holds: questions that open answers."""
        return None if self._header else self._end_of(place)

    def _banner(self, place: int) -> int | None:
        """Leave a header or an aside out, unless it belongs to the main part of the page.

        Of a banner that holds the page's only h1, that one is kept.
        """
        if self._main:
            self._between("header")
            return None
        end = self._end_of(place)
        if self.tags[place] == "header" and self._one_h1:
            held = self.tags[place:end]
            if "h1" in held and "/h1" in held:
                start = place + held.index("h1")
                self._title_at, self._resume = place + held.index("/h1"), end
                self._begin_header(start)
                return start
        return end

    def _begin_form(self, place: int) -> int | None:
        if not self._form:
            end = self._end_of(place)
            if sum(len(text.strip()) for text in self.texts[place + 1 : end + 1]) < MIN_FORM_CHARS:
                return end
        self._form += 1
        self._between("form")
        return None

    def _end_form(self, place: int) -> None:
        self._form = max(0, self._form - 1)
        self._between("form")

    def _begin_main(self, place: int) -> None:
        self._main += 1
        self._between(self.tags[place])

    def _end_main(self, place: int) -> None:
        self._main = max(0, self._main - 1)
        self._between("main")

    # ------------------------------------------------------------------ what is gathered

    def _between(self, name: str) -> None:
        """End the block that was being gathered, where one of another element begins or ends."""
        if not self._header:
            self._flush()
        elif name in _WITHIN_HEADERS:
            self._gathered.append(" ")
        elif any(text.strip("< \n\t") for text in self._gathered):
            self._write_header()

    def _flush(self) -> None:
        if not self._gathered:
            return
        text = "".join(self._gathered)
        self._gathered.clear()
        self._code = -1
        if "<" not in text:
            line = " ".join(text.split())
            if line:
                self._put([_escaped(line)])
            return
        lines: list[str] = []
        for part in text.split("<"):
            line = " ".join(part.split())
            if line:
                lines.append(_escaped(line))
            elif lines:  # two breaks in a row end a paragraph
                self._put(lines)
                lines = []
        if lines:
            self._put(lines)

    def _break(self, place: int) -> None:
        self._gathered.append("<")

    def _quotation(self, place: int) -> None:
        self._gathered.append('"')

    def _begin_code(self, place: int) -> None:
        self._code = len(self._gathered)

    def _end_code(self, place: int) -> None:
        if self._code < 0:
            return
        code = " ".join("".join(self._gathered[self._code :]).replace("<", " ").split())
        del self._gathered[self._code :]
        self._code = -1
        if code:
            longest = max(map(len, _TICKS.findall(code)), default=0)
            ticks = "`" * (longest + 1)
            pad = " " if code.startswith("`") or code.endswith("`") else ""
            self._gathered.append(f"{ticks}{pad}{code}{pad}{ticks}")

    # ------------------------------------------------------------------ blocks

    def _begin_header(self, place: int) -> None:
        self._between("h1")
        self._flush()
        self._header = _HEADERS[self.tags[place]]

    def _end_header(self, place: int) -> None:
        if self._header:
            self._write_header()

    def _write_header(self) -> None:
        """Write a header: at the start of its line, out of any list; within a quote, as quoted.

        An empty h1 is a logo, and no header.
        """
        text = " ".join("".join(self._gathered).replace("<", " ").split())
        self._gathered.clear()
        self._code, level, self._header = -1, self._header, 0
        if len(text) > MAX_HEADER_CHARS:
            self._put([_escaped(text)])
        elif text or level > 1:
            shown = self._containers[:MAX_INDENTED]
            if not any(container.name == "blockquote" for container in shown):
                self.headed = True
                for container in shown:
                    container.first, container.rest = None, ""
            self._put([f"{'#' * level} {text}".rstrip()])

    def _begin_list(self, place: int) -> None:
        self._between("ul")
        start = _START.search(self.attributes[place])
        ordered = self.tags[place] == "ol"
        self._lists.append(int(start[1]) - 1 if start and ordered else 0 if ordered else -1)

    def _end_list(self, place: int) -> None:
        self._between("ul")
        if self._lists:
            self._lists.pop()
        self._listed = self._listed and bool(self._lists)

    def _begin_item(self, place: int) -> None:
        self._between("li")
        mark = "- "
        if self.tags[place] == "li" and self._lists and self._lists[-1] >= 0:
            self._lists[-1] += 1
            mark = f"{self._lists[-1]}. "
        self._containers.append(_Container("li", mark, " " * len(mark)))

    def _begin_quote(self, place: int) -> None:
        self._between("blockquote")
        self._containers.append(_Container("blockquote", "> ", "> "))

    def _end_container(self, place: int) -> None:
        self._between("li")
        if self._containers and self._containers.pop().name == "blockquote":
            shown = self._containers[:MAX_INDENTED]
            self._quoted = any(container.name == "blockquote" for container in shown)

    def _put(self, lines: list[str]) -> None:
        """Write a block's lines behind what its containers put before them."""
        shown = self._containers[:MAX_INDENTED]
        if not shown:
            if self.written:
                self.written.append("\n\n")
            self._quoted = self._listed = False
            self.written.append("\n".join(lines))
            return
        rest = "".join([container.rest for container in shown])
        marked = shown[-1].name == "li" and shown[-1].first is not None
        first = "".join([c.rest if c.first is None else c.first for c in shown])
        if self.written:
            blank = f"{_shared(rest, self._rest).rstrip()}\n" if self._quoted else "\n"
            self.written.append("\n" if marked and self._listed else f"\n{blank}")
        self._rest = rest
        self._quoted = self._listed = False
        for container in shown:
            container.first = None
            self._quoted |= container.name == "blockquote"
            self._listed |= container.name == "li"
        self.written.append(first + lines[0] if lines[0] else first.rstrip())
        for line in lines[1:]:
            self.written.append(f"\n{rest}{line}" if line else f"\n{rest.rstrip()}")

    def _pre(self, place: int) -> int:
        """Write preformatted text as a fenced block; its fence is longer than any within."""
        self._between("pre")
        end = self._end_of(place)
        pieces = [self.texts[place + 1]]
        for at in range(place + 1, end):
            tag = self.tags[at]
            if tag == "br" or (tag in ("/div", "/p", "/li", "/tr") and pieces[-1][-1:] != "\n"):
                pieces.append("\n")
            pieces.append(self.texts[at + 1])
        code = "".join(pieces).replace("\r\n", "\n").replace("\r", "\n").strip("\n")
        if code.strip():
            longest = max(map(len, _TICKS.findall(code)), default=0)
            fence = "`" * max(3, longest + 1)
            self._put([fence, *code.split("\n"), fence])
        return end

    def _table(self, place: int) -> int | None:
        """Write a table of data with pipes, its first row as the header; any other is its cells."""
        self._between("table")
        if place not in self._of_data:
            return None
        end = self._end_of(place)
        rows: list[list[str]] = []
        cell: list[str] = []
        span, at = 1, place
        while at < end:
            tag, about = self.tags[at], self.attributes[at]
            if about and (self._seen.get(about) or self._kind(about)) == _UNSEEN:
                at = self._end_of(at)
            elif tag == "tr":
                rows.append([])
            elif tag in ("td", "th"):
                cell.clear()
                wide = _COLUMNS.search(about)
                span = min(max(1, int(wide[1])), MAX_SPANNED) if wide else 1
            elif tag in ("/td", "/th") and rows:
                text = " ".join("".join(cell).split())
                rows[-1] += [text.replace("|", "\\|"), *[""] * (span - 1)]
            elif tag == "caption":
                cell.clear()
            elif tag == "/caption":
                self._gathered.append("".join(cell))
                self._flush()
            elif tag == "br" or tag in _BLOCK_TAGS:
                cell.append(" ")
            cell.append(self.texts[at + 1])
            at += 1
        rows = [row for row in rows if any(row)]
        if rows:
            width = max(map(len, rows))
            rows[0] += [""] * (width - len(rows[0]))
            lines = [f"| {' | '.join(row)} |" for row in rows]
            self._put([lines[0], f"|{' --- |' * width}", *lines[1:]])
        return end


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
for _name in _MAIN:
    _ACTIONS |= {_name: _Writer._begin_main, f"/{_name}": _Writer._end_main}
for _name in _DROPPED:
    _ACTIONS[_name] = _Writer._end_of
