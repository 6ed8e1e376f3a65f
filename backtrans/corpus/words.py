"""A text's words as a copy of it would have them, and hashes of runs of them.

Promises: the words stay the same when a text is re-cased, re-punctuated, spaced or wrapped
otherwise, written in another Unicode form, or marked up in HTML or Markdown; hashes are the same in
every process, on every machine of little or big end, with every version of NumPy.

Does not know: languages: in scripts without spaces each character is a word, and what a combining
mark that has no composed form divides is two words, in every copy alike.
"""

import html
import re
import unicodedata
from collections.abc import Collection
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

VERSION = "words/1"
"""Part of the fingerprint of what is made of words: a new one when others come out."""

Hashes = NDArray[np.uint64]

# Source: HTML Living Standard: elements that texts are marked up with. Of others it is not known
# whether they are tags at all: "x<y and z>w" is none.
_TAG = re.compile(
    r"</?(?:a|abbr|b|big|blockquote|br|center|cite|code|dd|div|dl|dt|em|font|h[1-6]|hr|i|img|ins|kbd|li"
    r"|mark|ol|p|pre|q|s|samp|small|span|strike|strong|sub|sup|table|tbody|td|th|thead|tr|tt|u|ul|var)"
    r"(?:\s[^<>]{0,1000}+)?/?>",
    re.IGNORECASE,
)
_LINK_TARGET = re.compile(r"\]\([^()\s]{0,1000}+(?: \"[^\"]{0,200}+\")?\)")
# Within a word: apostrophes; soft hyphens, joiners and byte order marks, which are not seen.
_WITHIN = re.compile("['’‘ʼ＇\u00ad\u200b-\u200f\u2060\ufeff]")
# Thai and Lao, Burmese, Khmer; kana; Han.
_UNSPACED = (
    "\u0e01-\u0eff\u1000-\u1049\u1050-\u109f\u1780-\u17d3"
    "\u3041-\u3096\u30a1-\u30fa\u30fc-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")
_ASCII_WORD = re.compile(r"[a-z0-9]+")


def words(text: str) -> list[str]:
    """Return a text's words: without markup and punctuation, in one case and Unicode form.

    Source: 2005.14165, appendix C: white space, punctuation and case are ignored. Apostrophes stand
    within words, all other punctuation between them.
    """
    if "&" in text:
        text = html.unescape(text)
    if "<" in text:
        text = _TAG.sub(" ", text)
    if "](" in text:
        text = _LINK_TARGET.sub("]", text)
    if text.isascii():
        return _ASCII_WORD.findall(text.replace("'", "").lower())
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return _WORD.findall(_WITHIN.sub("", text))


# ---------------------------------------------------------------- hashes

# Source: Steele, Lea and Flood, Fast splittable pseudorandom number generators (SplitMix64).
_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_MASK = 2**64 - 1
_LETTER_BASE = 0xD1342543DE82EF95  # odd, so that no letter's factor vanishes; else arbitrary
_WORD_BASE = np.uint64(0xF1357AEA2E62A9C5)
_POWERS = 4096  # a longer word's letters take their factors from the start again


def _mixed(values: Hashes) -> Hashes:
    """Spread each value over all 64 bits."""
    values = (values ^ (values >> np.uint64(30))) * _MIX_1
    values = (values ^ (values >> np.uint64(27))) * _MIX_2
    return values ^ (values >> np.uint64(31))


@lru_cache(maxsize=1)
def _tables() -> tuple[Hashes, Hashes]:
    """Return a value for each byte, and a factor for each place in a word."""
    values = _mixed(np.arange(1, 257, dtype=np.uint64) * _STEP)
    factors = [1]
    while len(factors) < _POWERS:
        factors.append(factors[-1] * _LETTER_BASE & _MASK)
    return values, np.array(factors, dtype=np.uint64)


def word_hashes(found: list[str]) -> Hashes:
    """Hash words, as `words` gives them. Shape: N -> (N,)."""
    if not found:
        return np.empty(0, dtype=np.uint64)
    values, factors = _tables()
    letters = np.frombuffer(
        (" ".join(found) + " ").encode("utf-8", "surrogatepass"), dtype=np.uint8
    )
    ends = np.flatnonzero(letters == 32)  # a word's hash holds the space after it: its length
    starts = np.concatenate(([0], ends[:-1] + 1))
    places = np.arange(len(letters)) - np.repeat(starts, ends - starts + 1)
    terms = values[letters] * factors[places & (_POWERS - 1)]
    return _mixed(np.add.reduceat(terms, starts))


def gram_hashes(hashes: Hashes, lengths: Collection[int]) -> dict[int, Hashes]:
    """Hash every run of words of each of some lengths, given the words' hashes.

    Shape: (N,) -> (N - n + 1,) for each length n, where there are so many words.
    """
    grams: dict[int, Hashes] = {}
    count = len(hashes)
    held = np.zeros(count, dtype=np.uint64)
    for n in range(1, min(max(lengths), count) + 1):
        held = held[: count - n + 1] * _WORD_BASE + hashes[n - 1 :]
        if n in lengths:
            grams[n] = _mixed(held + np.uint64(n * int(_STEP) & _MASK))
    return grams
