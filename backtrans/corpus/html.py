"""Turn a web page's bytes into Markdown, whatever the bytes are.

The parser's tree is not walked node by node from Python, which would take several times as long as
the parsing. It is written out again as markup that is well formed, and that is read as tokens
(`markdown.py`). What has no bearing on the structure, such as emphasis and links, goes before the
parsing: it is half of a page's nodes.

Promises: no exception, for any bytes and any text; the same bytes give the same text; time and
memory follow the page's length, however deep it nests and however broken it is. Of a tree that
nests deeper than browsers keep it, the text stays and the deeper tags go.

Does not know: what of a page is worth reading, beyond the page's own markup.
"""

import re
from collections import Counter
from functools import lru_cache

from resiliparse.parse.encoding import bytes_to_str, detect_encoding, map_encoding_to_html5
from resiliparse.parse.html import HTMLTree

from backtrans.corpus.markdown import from_markup
from backtrans.records import Reject

# Source: Blink's and WebKit's limit on the depth of a tree, kMaximumHTMLParserDOMTreeDepth.
MAX_DEPTH = 512
# Source: measured. With so many tags, the worst order of them takes a second of the parser's time
# and half a GiB; it grows with the square, so that larger pages are looked at before.
UNCHECKED_TAGS = 2_000
# Source: WHATWG HTML, 13.2.3.2: a declaration must lie within the first 1,024 bytes.
DECLARATION_BYTES = 1_024
# Source: attributes longer than this hold data, not what hides an element.
ATTRIBUTES_CHARS = 1_000

# Source: WHATWG Encoding, 6.1: what a byte order mark means.
_BOMS = {b"\xef\xbb\xbf": "utf-8", b"\xfe\xff": "utf-16-be", b"\xff\xfe": "utf-16-le"}
_DECLARED = re.compile(rb"<meta\s[^>]*charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
_WIDE = ("utf-16", "utf-32")  # no page that declares one in ASCII is in it

# Their attributes are not looked at, unless they hide what they hold. Source: WHATWG HTML, 4.5 and
# 16.3 (elements of text, and those that are obsolete), without code, q and ruby.
_INLINE = (
    "a abbr acronym b bdi bdo big cite data dfn em font i ins kbd mark nobr s samp small span "
    "strike strong sub sup time tt u var wbr"
).split()
_ATTRIBUTES = r"(?:\s[^<>\"']*+(?:\"[^\"<]*+\"[^<>\"']*+|'[^'<]*+'[^<>\"']*+)*+)?/?"
# What few pages have, found in one pass: elements whose text is no markup, and tags in capitals.
_RARE = re.compile(r"<(?:xmp|plaintext|/[PA]>)")
_CAPITALS = re.compile(r"</?[a-z]{0,9}[A-Z]")
_CODE = re.compile(r"<code\s[^>]*>", re.IGNORECASE)
_NAMES = re.compile(r"<(/?[a-zA-Z][a-zA-Z0-9-]*)")
_TAGS = re.compile(r"<(/?[a-zA-Z][a-zA-Z0-9-]*)[^>]*>")
# Elements without an end tag, or with one that may be left out. Source: WHATWG HTML, 13.1.2.
_OPEN_ENDED = frozenset(
    "area base body br col colgroup dd dt embed head hr html img input li link meta option p param "
    "rp rt source tbody td tfoot th thead tr track wbr".split()
)
_FLAT_TAGS = _OPEN_ENDED | {f"/{name}" for name in _OPEN_ENDED}
# Source: measured. So many characters of attributes take the parser a tenth of a second.
LONG_CHARS = 20_000
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\r\f")) + b"\x7f"
_FEED_AS_SPACE = bytes.maketrans(b"\f", b" ")  # it is so to HTML, but for preformatted text
_C1_CONTROLS = re.compile(rb"\xc2[\x80-\x9f]")


def markdown(page: bytes | str, max_html_bytes: int, charset: str | None = None) -> str | Reject:
    """Return the Markdown of a page's content, or a Reject where the page is too large.

    `charset` is what the server said. A page without content is the empty string.
    """
    size = len(page) if isinstance(page, bytes) else len(page.encode("utf-8", "replace"))
    if size > max_html_bytes:
        detail = f"{size:,} bytes, max_html_bytes is {max_html_bytes:,}"
        return Reject("page_too_large", detail)
    text = decoded(page, charset) if isinstance(page, bytes) else page
    if not text.isascii():  # no half of a surrogate pair
        text = text.encode("utf-8", "replace").decode()
    tree = HTMLTree.parse(_lean(text))
    markup = tree.body.html if tree.body else ""  # a frameset has no body
    return from_markup(_without_controls(markup), _without_controls(tree.title or ""))


def decoded(page: bytes, charset: str | None = None) -> str:
    """Return bytes as text; what their encoding has no character for is U+FFFD.

    A byte order mark decides, then what the server or the page declares, then what the bytes look
    like. Where a declaration names no multi-byte encoding, bytes that are UTF-8 are UTF-8: hardly
    any other text is, and pages say windows-1252 that are not.
    """
    for mark, marked in _BOMS.items():
        if page.startswith(mark):
            return str(bytes_to_str(page, marked, "replace", ()))
    encoding: str | None = _label(charset) or _declared(page)
    if encoding is None or encoding.startswith(("utf-8", "cp125", "iso8859", "iso-8859")):
        try:
            return page.decode()
        except UnicodeDecodeError:
            pass
    if encoding is None:
        encoding = detect_encoding(page) or "cp1252"
    return str(bytes_to_str(page, encoding, "replace", ()))


def _label(name: str | None) -> str | None:
    """Return the codec that an encoding's label means, or None where it means none."""
    known = map_encoding_to_html5(name.strip(" \"'"), fallback_utf8=False) if name else None
    return None if known is None else str(known)


def _declared(page: bytes) -> str | None:
    found = _DECLARED.search(page, 0, DECLARATION_BYTES)
    label = _label(found[1].decode("ascii", "replace")) if found else None
    return "utf-8" if label is not None and label.startswith(_WIDE) else label


def _without_controls(text: str) -> str:
    return _C1_CONTROLS.sub(b"", text.encode().translate(_FEED_AS_SPACE, _CONTROLS)).decode()


@lru_cache(maxsize=256)
def _tags_of(names: tuple[str, ...], any_case: bool) -> re.Pattern[str]:
    """Match the tags of elements; names that begin alike stand together, or it takes longer."""
    ends: dict[str, list[str]] = {}
    for name in sorted(names, reverse=True):
        ends.setdefault(name[0], []).append(name[1:])
    either = "|".join(f"{first}(?:{'|'.join(rest)})" for first, rest in ends.items())
    return re.compile(f"</?(?:{either}){_ATTRIBUTES}>", re.IGNORECASE if any_case else 0)


def _hiding(text: str) -> set[str]:
    """Return the names of elements that may be hidden, among those whose tags say nothing else."""
    names = set()
    for word in ("hidden", "display", "visibility"):
        at = text.find(word)
        while at >= 0:
            start = text.rfind("<", max(0, at - ATTRIBUTES_CHARS), at)
            name = _NAMES.match(text, start) if start >= 0 else None
            if name and text.find(">", start, at) < 0:
                names.add(name[1].lower())
            # A tag, a style sheet, a script: what one word of it tells, the others would.
            after = text.find("<", at)
            at = text.find(word, after) if after >= 0 else -1
    return names


def _lean(text: str) -> str:
    """Leave out tags that say nothing of the structure, and those that nest too deep."""
    rare = _RARE.search(text) is not None
    if rare and ("<xmp" in text or "<plaintext" in text):  # where tags are text
        return _shallow(text)
    half = LONG_CHARS // 2
    if any(text.find(">", at, at + half) < 0 for at in range(0, len(text) - half, half)):
        text = ">".join([_without_attributes(piece) for piece in text.split(">")])
    hiding = _hiding(text)
    large = text.count("<") > UNCHECKED_TAGS
    if large:
        # Of other formatting elements the parser makes copies, one for each of those left open in
        # each of the paragraphs that follow: 33 KB of them became 4 million nodes.
        hiding &= {"a", "span"}
        text = _CODE.sub("<code>", text)
    names = tuple(name for name in _INLINE if name not in hiding)
    # Whatever the case: three times as long, and few pages have need of it.
    any_case = _CAPITALS.search(text) is not None if large else rare
    text = _tags_of(names, any_case).sub("", text)
    return _shallow(text) if large else text


def _without_attributes(piece: str) -> str:
    """Leave out the attributes of a tag that is far too long, where a piece ends in one.

    The parser compares each attribute with all before it. A quote that is never closed makes
    attributes of the page's text.
    """
    start = piece.find("<") if len(piece) > LONG_CHARS else -1
    name = _NAMES.match(piece, start) if start >= 0 else None
    return piece[: name.end()] if name else piece


def _shallow(text: str) -> str:
    """Leave out the tags of elements that nest deeper than `MAX_DEPTH`.

    How long the parser takes for a tag can follow the depth at which it stands.
    """
    if _depth(text) > MAX_DEPTH:
        text = _without_scripts(text)  # where a<b looks like a tag that is never closed
        if _depth(text) > MAX_DEPTH:
            return _without_deep_tags(text)
    return text


def _depth(text: str) -> int:
    """Return how deep the tags of a text nest at most."""
    depth = deepest = 0
    opened: dict[str, int] = {}
    for tag in [tag for tag in _NAMES.findall(text) if tag not in _FLAT_TAGS]:
        if tag[0] == "/":
            name = tag[1:].lower()
            if opened.get(name):
                opened[name] -= 1
                depth -= 1
        elif (name := tag.lower()) not in _OPEN_ENDED:
            opened[name] = opened.get(name, 0) + 1
            depth += 1
            if depth > deepest:
                deepest = depth
    return deepest


def _without_scripts(text: str) -> str:
    """Leave out the scripts and style sheets that end."""
    for name in ("script", "style"):
        end = rf"</{name}[^<>]*+>?"
        # Before the last end each one ends: behind it, each would look through all that follows.
        last = max((found.end() for found in re.finditer(end, text, re.IGNORECASE)), default=0)
        whole = rf"<{name}(?=[\s/>])[^<>]*+>[^<]*+(?:<(?!/{name})[^<]*+)*+{end}"
        text = re.sub(whole, "", text[:last], flags=re.IGNORECASE) + text[last:]
    return text


def _without_deep_tags(text: str) -> str:
    opened: Counter[str] = Counter()
    depth = 0
    too_deep: Counter[str] = Counter()

    def kept(found: re.Match[str]) -> str:
        nonlocal depth
        name = found[1].lower()
        if name.removeprefix("/") in _OPEN_ENDED:
            return found[0]
        if not name.startswith("/"):
            if depth >= MAX_DEPTH:
                too_deep[name] += 1
                return " "
            opened[name] += 1
            depth += 1
            return found[0]
        name = name[1:]
        if too_deep[name] or not opened[name]:
            too_deep[name] -= too_deep[name] > 0
            return " "
        opened[name] -= 1
        depth -= 1
        return found[0]

    return _TAGS.sub(kept, text)
