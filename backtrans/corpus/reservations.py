"""What a web answer says of its own use: the directives by which publishers reserve it.

Of the answer's headers and of the page's `<meta>` tags. Source: the robots directives in use on the
web (`X-Robots-Tag`, `<meta name="robots">`), and the W3C's TDM Reservation Protocol
(`tdm-reservation`). What follows from them is the filters' business (`filters/lists.py`).

Does not know: robots.txt, which is no part of an answer.
"""

import re
from collections.abc import Iterable

NAMED = {"x-robots-tag": "x_robots_tag", "robots": "robots", "tdm-reservation": "tdm_reservation"}
"""How they are called in an answer, and in a document's metadata."""

HEAD_BYTES = 64 * 1024
"""How much of a page is looked through. Source: this project's choice; tags of this kind stand in
the head, and browsers look for a page's encoding in its first 1,024 bytes."""

MAX_CHARS = 200
"""Of what one of them says."""

_META = re.compile(rb"<meta\s[^<>]{1,1000}>", re.IGNORECASE)
_ATTRIBUTE = re.compile(rb"""([a-z-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE)


def reserved(headers: Iterable[tuple[str, str]], page: bytes) -> dict[str, str]:
    """Return what is said, by its name in the metadata; what is said twice stands side by side."""
    said: dict[str, list[str]] = {}
    for name, value in (*headers, *_metas(page[:HEAD_BYTES])):
        if value.strip() and (known := NAMED.get(name.strip().lower())):
            said.setdefault(known, []).append(value.strip())
    return {name: ", ".join(dict.fromkeys(values))[:MAX_CHARS] for name, values in said.items()}


def _metas(head: bytes) -> Iterable[tuple[str, str]]:
    for tag in _META.findall(head):
        found = {
            key.lower(): (double or single or bare).decode("ascii", "replace")
            for key, double, single, bare in _ATTRIBUTE.findall(tag)
        }
        yield found.get(b"name", ""), found.get(b"content", "")
