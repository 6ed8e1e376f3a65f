"""ClueWeb22's clean text: which keys its JSON lines have for our fields.

Source: arXiv 2211.15848, section 4, and github.com/lemurproject/ClueWeb22: `txt/` holds one JSON
object a line with URL, URL-hash, Language, ClueWeb22-ID and Clean-Text; `html/` holds WARC, which
needs nothing of its own.

Does not know: how lines are read. They are those of any JSON Lines (`dolma.py`).
"""

KEYS = {"text": "Clean-Text", "id": "ClueWeb22-ID", "url": "URL", "metadata": "Language"}
"""Our field -> ClueWeb22's key. Language is all that it says besides: it stands as metadata."""


def is_clueweb(start: bytes) -> bool:
    """Tell ClueWeb22's lines by the keys of the first, however much of it is there."""
    line = start.split(b"\n", 1)[0]
    return line.startswith(b"{") and all(f'"{KEYS[field]}"'.encode() in line for field in KEYS)
