"""What rules judge: a text with what is known of its document, and its statistics, counted once.

Promises: nothing is counted before a rule asks for it, and nothing twice.

A word is what white space separates, as in Dolma's Gopher tagger, so punctuation belongs to the
word that it touches. Source of the choice: Gopher (2112.11446) speaks of words, not of tokens, and
asks that 80% of them have a letter, which texts cut into tokens miss by their commas alone.

Does not know: thresholds. Text without spaces between words, such as Chinese or Thai, is a few
giant words; the rules that count words are not for it.
"""

import re
from collections.abc import Callable
from functools import cached_property
from itertools import filterfalse
from typing import Any, TypeVar, cast

import orjson

from backtrans.corpus.document import Document

Counted = TypeVar("Counted")

_LINE_ENDS = re.compile("\n+")
_PARAGRAPH_ENDS = re.compile("\n\n+")
# A full stop, question or exclamation mark with the quotes and brackets that close after it, then
# white space and no lower case letter; or their like in scripts that put no space there.
_SENTENCE_ENDS = re.compile(r"[.!?…][\"'”’»)\]]*\s+(?=[^\sa-z])|[。！？](?=.)")


def sentence_ends(text: str) -> list[int]:
    """Return where sentences end and another follows, in characters; a fast guess, no parser."""
    return [found.end() for found in _SENTENCE_ENDS.finditer(text)]


class Candidate:
    """A text that may be kept, and its document."""

    def __init__(self, text: str, document: Document) -> None:
        self.text = text
        self.document = document
        self._made: dict[object, Any] = {}

    def once(self, make: "Callable[[Candidate], Counted]") -> Counted:
        """Return what `make` makes of this candidate, made when first asked for."""
        if make not in self._made:
            self._made[make] = make(self)
        return cast(Counted, self._made[make])

    @cached_property
    def lower(self) -> str:
        """The text in lower case."""
        return self.text.lower()

    @cached_property
    def words(self) -> list[str]:
        """What white space separates."""
        return self.text.split()

    @cached_property
    def word_chars(self) -> int:
        """Characters of all words together."""
        return sum(map(len, self.words))

    @cached_property
    def longest_word_chars(self) -> int:
        """Characters of the longest word."""
        return max(map(len, self.words), default=0)

    @cached_property
    def letterless(self) -> list[str]:
        """The words without any letter, such as numbers and bullets."""
        odd = filterfalse(str.isalpha, self.words)
        return [w for w in odd if not w[0].isalpha() and not any(map(str.isalpha, w))]

    @cached_property
    def symbols(self) -> list[str]:
        """The words without letter or digit, such as bullets and dashes."""
        return [w for w in self.letterless if not any(map(str.isalnum, w))]

    @cached_property
    def lines(self) -> list[str]:
        """The lines, empty ones too, whatever ends them."""
        return self.text.splitlines()

    @cached_property
    def filled_lines(self) -> list[str]:
        """What newlines separate, without what is blank."""
        return [line for line in self.text.split("\n") if line and not line.isspace()]

    @cached_property
    def runs_of_lines(self) -> list[str]:
        """What one or more newlines separate."""
        return _LINE_ENDS.split(self.text)

    @cached_property
    def paragraphs(self) -> list[str]:
        """What two or more newlines separate."""
        return _PARAGRAPH_ENDS.split(self.text.strip())

    def ngrams(self, n: int) -> "zip[tuple[str, ...]]":
        """Return an iterator over each n words in a row."""
        words = self.words
        return zip(*(words[start:] for start in range(n)), strict=False)

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """The document's metadata by key, "-" written as "_", in lower case; empty without any."""
        text = self.document.metadata
        if text is None:
            return {}
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError:
            return {}
        if not isinstance(value, dict):
            return {}
        return {field_key(key): held for key, held in value.items()}


def field_key(name: str) -> str:
    """Return what spellings of one metadata field share."""
    return name.strip().casefold().replace("-", "_")


def repeated(pieces: list[str]) -> tuple[int, int]:
    """Count the pieces that came before in the list, and their characters."""
    different = set(pieces)
    again = len(pieces) - len(different)
    return again, sum(map(len, pieces)) - sum(map(len, different)) if again else 0
