"""Cut a plain text between paragraphs into passages of a length that a response may have.

Promises: passages are disjoint, in order, within min_chars to max_chars, and start and end at
characters that are not white space; together they hold as many of the text's characters, white
space between them aside, as any choice of runs of its paragraphs does; a text within the range is
one passage, so the passages of a passage are that passage; the time is linear in the text's length.

Does not know: headers and sections, HTML, what a passage says.
"""

from collections import deque

from backtrans.corpus.document import Document
from backtrans.corpus.paragraphs import paragraphs, pieces
from backtrans.corpus.span import SegmentSettings, Span, whole
from backtrans.records import Reject


def passages(document: Document, settings: SegmentSettings) -> list[Span] | Reject:
    """Return a document's passages in order, or why it has none."""
    found = whole(document, settings)
    if not isinstance(found, Reject) or found.reason != "too_long":
        return found
    text = document.text
    spans: list[Span] = []
    run: list[Span] = []  # pieces with nothing between them that is left out
    longest = 0
    for piece in pieces(text, paragraphs(text, settings.max_chars), settings.max_chars):
        if piece.end - piece.start <= settings.max_chars:
            run.append(piece)
            continue
        longest = max(longest, piece.end - piece.start)
        spans += packed(run, settings)
        run = []
    spans += packed(run, settings)
    if spans:
        return spans
    why = f"no run of its paragraphs has {settings.min_chars:,} to {settings.max_chars:,}"
    if longest:
        why += f"; one of {longest:,} cannot be cut"
    return Reject("too_long", f"{found.detail}; {why}")


def packed(pieces: list[Span], settings: SegmentSettings) -> list[Span]:
    """Join neighbours to spans within the range, so that as many characters as can be are in one.

    Of ways that hold the same number, the one with the longest first spans; then the last two share
    their pieces evenly. From the end on, what is best from each piece on is known from those after
    it: the ends that it may have move back with it, so that the best of them is at hand.
    """
    count = len(pieces)
    held = [0] * (count + 1)  # characters in spans, from this piece on
    ends: list[int | None] = [None] * count  # the last piece of the span that starts here
    within: deque[tuple[int, int]] = (
        deque()
    )  # (place of the span's end + held after it, last piece)
    last = count - 1  # the next that becomes long enough
    for first in range(count - 1, -1, -1):
        start = pieces[first].start
        while last >= first and pieces[last].end - start >= settings.min_chars:
            value = pieces[last].end + held[last + 1]
            while within and within[-1][0] < value:
                within.pop()
            within.append((value, last))
            last -= 1
        while within and pieces[within[0][1]].end - start > settings.max_chars:
            within.popleft()
        held[first] = held[first + 1]
        if within and within[0][0] - start >= held[first]:
            held[first], ends[first] = within[0][0] - start, within[0][1]
    chosen: list[tuple[int, int]] = []
    at = 0
    while at < count:
        end = ends[at]
        if end is not None:
            chosen.append((at, end))
            at = end
        at += 1
    if len(chosen) > 1 and chosen[-2][1] + 1 == chosen[-1][0]:
        chosen[-2:] = _balanced(pieces, chosen[-2][0], chosen[-1][1], chosen[-2][1], settings)
    return [Span(pieces[first].start, pieces[end].end) for first, end in chosen]


def _balanced(
    pieces: list[Span], first: int, last: int, cut: int, settings: SegmentSettings
) -> list[tuple[int, int]]:
    """Return two runs of pieces, cut after the piece that makes them most alike in length."""

    def lengths(after: int) -> tuple[int, int]:
        left = pieces[after].end - pieces[first].start
        return left, pieces[last].end - pieces[after + 1].start

    best = cut
    for after in range(first, last):
        left, right = lengths(after)
        fits = min(left, right) >= settings.min_chars and max(left, right) <= settings.max_chars
        if fits and abs(left - right) < abs(lengths(best)[0] - lengths(best)[1]):
            best = after
    return [(first, best), (best + 1, last)]
