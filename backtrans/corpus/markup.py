"""Read the markup that an HTML parser wrote, every tag closed, as tags and the texts between them.

Promises: what is text to the parser and none to a reader, such as scripts, is gone; one pass,
whatever the markup.

Does not know: what a tag means, Markdown.
"""

import re

_ATTRIBUTES = r'(?: =?+[^\s/>=]*+="[^"]*+")*+'
_TAG = re.compile(rf"<(/?[a-z][^\s/>]*+)({_ATTRIBUTES})>")
# What is text to the parser and none to a reader; it may look like markup.
_NO_TEXT = re.compile(
    r"<!--[^-]*+(?:-(?!->)[^-]*+)*+-->"
    rf"|<(script|style|iframe|noembed|noframes|select|textarea|datalist){_ATTRIBUTES}>"
    r"[^<]*+(?:<(?!/\1>)[^<]*+)*+</\1>"
)
_RAW_TEXT = re.compile(r"<(xmp|plaintext)>([^<]*+(?:<(?!/\1>)[^<]*+)*+)</\1>")
# Source: WHATWG HTML, 13.1.2 and 13.3: they have no end tag, and are written without one.
_VOID = frozenset(
    "area base basefont bgsound br col embed frame hr img input keygen link meta param source "
    "track wbr".split()
)


class Markup:
    """Tags in their order: of each its name, with a slash where it ends, and its attributes.

    `texts` holds one more: what stands before the first tag, and what behind each.
    """

    __slots__ = ("attributes", "tags", "texts")

    def __init__(self, markup: str) -> None:
        markup = _NO_TEXT.sub("", markup)
        if "<xmp>" in markup or "<plaintext>" in markup:
            markup = _RAW_TEXT.sub(lambda raw: f"<pre>{escaped(raw[2])}</pre>", markup)
        pieces = _TAG.split(markup.replace("&nbsp;", " ") if "&" in markup else markup)
        self.texts, self.tags, self.attributes = pieces[0::3], pieces[1::3], pieces[2::3]

    def end_of(self, place: int) -> int:
        """Return the place of an element's end tag, or its own where it can have none.

        Of one that is never closed it is the last.
        """
        tags = self.tags
        tag = tags[place]
        if tag in _VOID:
            return place
        end, depth, at = f"/{tag}", 0, place
        try:
            while True:
                until = tags.index(end, at)
                depth += tags[at:until].count(tag) - 1
                if depth <= 0:
                    return until
                at = until + 1
        except ValueError:
            return len(tags) - 1


def one_line(text: str) -> str:
    """Return text with all white space as single spaces, and none at its ends."""
    # Only the space is both white and printable: most texts need not be taken apart.
    if "  " not in text and text.isprintable():
        return text.strip(" ")
    return " ".join(text.split())


def escaped(text: str) -> str:
    """Write text as markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;")


def unescaped(text: str) -> str:
    """Read markup without tags as text."""
    if "&" not in text:
        return text
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
