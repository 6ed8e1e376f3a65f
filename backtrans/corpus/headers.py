"""Cut a Markdown text into the sections under its headers.

Source: Humpback (2308.06259), section 3.1 and appendix: a header, the text under it and its
lower-level headers are a self-contained segment; segments of 600 to 3,000 characters; those with
repeated sentences, and those whose header is empty, in capitals or a page's furniture, are dropped.

Promises: segments are disjoint, in order and within min_chars to max_chars; each starts at the
start of a line and ends at a character that is not white space; the segments of a segment are that
segment; a section in the range is never cut, and none holds a section that is dropped.

Does not know: HTML, plain text without headers (`passages`), what a section says.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from backtrans.corpus.document import Document
from backtrans.corpus.repetition import repeats_a_sentence
from backtrans.corpus.span import SegmentSettings, Span, whole
from backtrans.records import Reject

# Source: CommonMark 0.31, 4.2 (ATX headings), 4.3 (setext headings, here of one line) and 4.5
# (fenced code blocks); behind a mark, any white space counts, since a segment ends without it.
_MARKS = re.compile(
    r"\n {0,3}(?:(?P<fence>`{3,}(?=[^`\n]*$)|~{3,})(?P<info>.*)"
    r"|(?P<level>#{1,6})(?P<title>[^\S\n].*)?$"
    r"|(?P<underline>=+|-+)[^\S\n]*$)",
    re.MULTILINE,
)
_NO_PARAGRAPH = tuple("#>|-*+`~\t")  # what starts a line that is no paragraph, as far as it tells
_CLOSING = re.compile(r"(?:^|[ \t])#+$")

# The first four are the paper's. Source of the others: the headers that web pages give to what is
# about the page and not of its subject, as in WordPress's and Drupal's standard themes and widgets.
NAVIGATION = frozenset(
    name.strip()
    for name in """
    advertisement|forum|quick link|free newsletter
    |ad|sponsor|sponsored|sponsored content|sponsored link|newsletter|newsletter signup
    |navigation|main navigation|main menu|menu|site map|sitemap|breadcrumb|skip to content|page
    |search|search form|search this site|log in|login|sign in|sign up|register|user login
    |subscribe|subscribe to our newsletter|follow us|follow me|connect with us|stay connected|share
    |share this|share this post|share this page|share this article|social media|like this|print
    |category|categories|archive|tag|blogroll|meta|recent post|recent comment|latest post
    |latest news|popular post|most popular|most read|trending|trending now|related post
    |related article|related link|related story|related stories|related content|related product
    |you may also like|you might also like|recommended for you|more from this author|more stories
    |read next|read more|comment|leave a comment|leave a reply|post a comment|post navigation
    |add a comment|reply|contact|contact us|about us|privacy policy|cookie policy|terms of use
    |terms of service|copyright|table of content|content|on this page|external link|see also
    |useful link|link|footer|sidebar
    """.split("|")
)


@dataclass(slots=True)
class Section:
    """A header with all that is below it; the root is the whole text, under no header."""

    start: int
    level: int
    dropped: bool
    end: int = 0  # where the next header of its level or above begins
    hole: int | None = None  # where the first dropped section within it begins
    below: list["Section"] = field(default_factory=list)


@dataclass(slots=True)
class _Tally:
    """Why pieces of a document are no segments."""

    short: int = 0
    long: int = 0
    repeated: int = 0
    dropped: int = 0

    def reject(self, settings: SegmentSettings) -> Reject:
        """Say why a document gave no segment."""
        every = {
            "too short": self.short,
            "too long": self.long,
            "with repeated sentences": self.repeated,
            "under headers that are dropped": self.dropped,
        }
        counts = ", ".join(f"{count} {what}" for what, count in every.items() if count)
        if self.repeated or self.dropped or (self.short and self.long):
            return Reject("no_segment", counts)
        if self.long:
            return Reject("too_long", f"{counts}, max_chars is {settings.max_chars:,}")
        return Reject("too_short", f"{counts}, min_chars is {settings.min_chars:,}")


def sections(document: Document, settings: SegmentSettings) -> list[Span] | Reject:
    """Return a document's sections within the range, in order, or why it has none."""
    text = document.text
    if not text or text.isspace():
        return whole(document, settings)
    root = tree(text)
    tally = _Tally()
    spans = [span for piece in pieces(text, root, settings, tally) for span in piece]
    if not spans and not root.below:
        found = whole(document, settings)  # which says how long the text is
        return found if isinstance(found, Reject) else tally.reject(settings)
    return spans or tally.reject(settings)


def headers(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield each header's start, level and title; what stands in fenced code is none."""
    fence = ""
    # A line break before each line is found several times as fast as its start.
    for mark in _MARKS.finditer(f"\n{text}"):
        if mark["fence"]:
            if not fence:
                fence = mark["fence"]
            elif mark["fence"].startswith(fence) and not mark["info"].strip():
                fence = ""
        elif fence:
            continue
        elif mark["level"]:
            title = (mark["title"] or "").strip()
            yield mark.start(), len(mark["level"]), _CLOSING.sub("", title).strip()
        else:
            start = _underlined(text, mark.start())
            if start is not None:
                title = text[start : mark.start()].strip()
                yield start, 1 if mark["underline"].startswith("=") else 2, title


def _underlined(text: str, underline: int) -> int | None:
    """Return the start of the paragraph of one line that stands above an underline, if one does."""
    start = text.rfind("\n", 0, underline - 1) + 1 if underline else 0
    line = text[start:underline]
    above = text[text.rfind("\n", 0, start - 1) + 1 : start] if start else ""
    if not line.strip() or (above.strip() and not above.lstrip(" ").startswith("#")):
        return None
    indented = len(line) - len(line.lstrip(" ")) > 3
    return None if indented or line.lstrip(" ")[:1] in _NO_PARAGRAPH else start


def is_dropped(title: str) -> bool:
    """Say whether a header's section is dropped: empty, in capitals, or a page's furniture.

    One letter alone, as of a glossary, is not what capitals mean.
    """
    if not title or (title.isupper() and sum(map(str.isalpha, title)) > 1):
        return True
    words = re.sub(r"[^\w\s]", " ", title.casefold()).split()
    name = " ".join(words)
    return not words or name in NAVIGATION or name.removesuffix("s") in NAVIGATION


def tree(text: str) -> Section:
    """Return a text's sections as a tree; levels may be missing."""
    root = Section(0, 0, False, len(text))
    path = [root]
    for start, level, title in headers(text):
        while path[-1].level >= level:
            path.pop().end = start
        section = Section(start, level, is_dropped(title), len(text))
        path[-1].below.append(section)
        if section.dropped:
            for above in reversed(path):
                if above.hole is not None:
                    break
                above.hole = start
        path.append(section)
    return root


def pieces(
    text: str, root: Section, settings: SegmentSettings, tally: _Tally
) -> Iterator[list[Span]]:
    """Yield what becomes of each piece of a text: a span, or nothing and a count of why."""
    waiting = [root]
    while waiting:
        section = waiting.pop()
        if section.dropped:
            tally.dropped += 1
            continue
        if section.hole is None and section.end - section.start < settings.min_chars:
            tally.short += 1
            continue
        end = section.end if section.hole is None else section.hole
        run = Span(section.start, end)
        if section.level and _fits(text, run, settings):
            yield _unrepeated(text, run, tally)
            waiting += reversed(_after(section, end))
            continue
        lead_end = section.below[0].start if section.below else section.end
        lead = Span(section.start, lead_end)
        if _fits(text, lead, settings):
            yield _unrepeated(text, lead, tally)
        elif text[lead.start : lead.end].strip():
            long = _trimmed(text, lead).end - lead.start > settings.max_chars
            tally.long += long
            tally.short += not long
        waiting += reversed(section.below)


def _after(section: Section, place: int) -> list[Section]:
    """Return the sections below one that begin at a place or behind it, each with all of its own.

    There are six levels at most to go down.
    """
    found: list[Section] = []
    within: Section | None = section
    while within is not None:
        found = [below for below in within.below if below.start >= place] + found
        around = (b for b in within.below if b.start < place < b.end)
        within = next(around, None)
    return found


def _trimmed(text: str, span: Span) -> Span:
    """Leave out the blank lines before a span, and the white space behind it."""
    held = text[span.start : span.end]
    blank = len(held) - len(held.lstrip())
    start = held.rfind("\n", 0, blank) + 1
    return Span(span.start + start, span.start + max(start, len(held.rstrip())))


def _fits(text: str, span: Span, settings: SegmentSettings) -> bool:
    # Not trimmed where it could not be in the range even so: sections lie within sections.
    if span.end - span.start < settings.min_chars:
        return False
    trimmed = _trimmed(text, span)
    chars = trimmed.end - trimmed.start
    return chars > 0 and settings.min_chars <= chars <= settings.max_chars


def _unrepeated(text: str, span: Span, tally: _Tally) -> list[Span]:
    trimmed = _trimmed(text, span)
    if repeats_a_sentence(text[trimmed.start : trimmed.end]):
        tally.repeated += 1
        return []
    return [trimmed]
