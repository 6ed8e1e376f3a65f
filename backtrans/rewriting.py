"""What a rewrite did to the text that it was made from: what it added, what it lost, how it speaks.

Promises: figures are pure, and there for any two texts; a text beside itself has novelty 0, beside
one that shares no word 1; what the original says itself is never held against its rewrite; what is
listed is bounded, what is counted is not.

Does not know: models, rows, whether a rewrite is true. Names are told by their capitals, so in
scripts that have none there are none, and a word that only ever begins sentences is no name.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from backtrans.corpus.words import words
from backtrans.errors import ConfigError
from backtrans.records import Reject, Row
from backtrans.roles import phrases

VERSION = "rewriting/1"
"""Part of the fingerprint of what is chosen by these figures: a new one when others come out."""

NOVELTY_WORDS = 3
"""Source: novel n-grams as a measure of abstraction are See et al.'s (1704.04368, figure 6); of
their lengths, 1 to 4, three tell a copied phrase from shared vocabulary. One is recorded too."""

MAX_LISTED = 20
MAX_LISTED_CHARS = 64
"""How much of what was dropped is listed. Source: this project's choice: enough to look at."""

_LEAK = re.compile(
    rf"""\b(?:
        (?:the|this|your|my)\ (?:\w+\ )?draft
      | draft\ response
      | (?:the|this|given|provided|above)\ web\ ?(?:text|page)
      | (?:the|this)\ (?:text|passage|document|article|excerpt)\ (?:above|below|provided|given)
      | (?:the|this)\ (?:above|provided|given|original|source)
        \ (?:text|passage|document|article|excerpt|response|question|instruction)
      | (?:based\ on|according\ to|from|in)\ the\ (?:provided\ |given\ |above\ )?
        (?:information|text|passage|document|context|article|excerpt)\ (?:provided|given|above)
      | (?:the\ |a\ |my\ |this\ |here\ is\ )(?:rewritten|revised|improved)
        \ (?:response|version|answer|draft|text)
      | {phrases.WEB_TEXT}
    )\b""",
    re.IGNORECASE | re.VERBOSE,
)
"""Source: REInstruct (2408.10663) drops rewrites that say "web text" or "based on the information
provided"; the rest are this project's, from the words of the rewriting prompt."""

_REFUSAL = re.compile(
    rf"""\b(?:
        sorry
      | i\ apologi[sz]e
      | my\ apologies
      | as\ {phrases.A_MODEL}
      | {phrases.I_AM_A_MODEL}
      | {phrases.I_AM_UNABLE}
      | {phrases.I_CANNOT}
    )\b""",
    re.IGNORECASE | re.VERBOSE,
)
"""Source: REInstruct's code drops rewrites with "sorry" and "i apologize"; the rest are this
project's: the usual forms in which aligned models decline."""

_NUMBER = re.compile(r"(?<!\w)\d+(?:[.,:/]\d+)*")
_THOUSANDS = re.compile(r",(?=\d{3}(?!\d))")
_TOKEN = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_SENTENCE_ENDS = re.compile(r"""[.!?:;…"“”'‘’(\[*#|>•\n]""")


@dataclass(frozen=True, slots=True)
class RefuseSettings:
    """What makes a rewrite one that is not taken; None: recorded, and nothing more.

    A leak or a refusal is no answer for whoever reads it, so both refuse by default, as in
    REInstruct. Rewrites have 0.94 of their originals' length on average (2408.04614 table 6, 468 to
    499 tokens): what is a tenth or three times as long is another text; the bounds themselves are
    this project's choice. How much may be new depends on the source: no bound is safe by default.
    """

    leaks: bool = True
    """It speaks of a draft, or of a text that it was given."""
    refusals: bool = True
    """It declines, or speaks as a model."""
    max_novelty: float | None = None
    """Share of its runs of words that its source has not."""
    min_length_ratio: float | None = 0.1
    """Its characters to its source's."""
    max_length_ratio: float | None = 3.0
    """The same."""

    def __post_init__(self) -> None:
        if self.max_novelty is not None and not 0 <= self.max_novelty <= 1:
            raise ConfigError(f"max_novelty {self.max_novelty} is a share, from 0 to 1")
        low, high = self.min_length_ratio or 0.0, self.max_length_ratio
        if low < 0 or (high is not None and high < low):
            raise ConfigError(f"length ratios from {low} to {high}: there are none")

    def verdict(self, found: Row) -> Reject | None:
        """Say why a rewrite with these figures is not taken; None where it is."""
        novelty, ratio = found["rewrite_novelty"], found["rewrite_length_ratio"]
        if self.refusals and found["rewrite_refusals"]:
            return Reject("rewrite_refuses", ", ".join(found["rewrite_refusals"]))
        if self.leaks and found["rewrite_leaks"]:
            return Reject("rewrite_leaks", ", ".join(found["rewrite_leaks"]))
        if self.max_novelty is not None and novelty > self.max_novelty:
            return Reject("rewrite_novel", f"{novelty:.3f} > {self.max_novelty:g}")
        if self.min_length_ratio is not None and ratio < self.min_length_ratio:
            return Reject("rewrite_too_short", f"{ratio:.3f} < {self.min_length_ratio:g}")
        if self.max_length_ratio is not None and ratio > self.max_length_ratio:
            return Reject("rewrite_too_long", f"{ratio:.3f} > {self.max_length_ratio:g}")
        return None


def figures(source: str, rewrite: str) -> Row:
    """Return all that is recorded of a rewrite; the columns of records.REWRITTEN."""
    before, after = words(source), words(rewrite)
    numbers, names = dropped_numbers(source, rewrite), dropped_names(source, rewrite)
    return {
        "rewrite_novelty": novelty(before, after, NOVELTY_WORDS),
        "rewrite_new_words": novelty(before, after, 1),
        "rewrite_length_ratio": len(rewrite) / max(len(source), 1),
        "dropped_numbers": len(numbers),
        "dropped_numbers_listed": _listed(numbers),
        "dropped_names": len(names),
        "dropped_names_listed": _listed(names),
        "rewrite_leaks": _listed(_said(_LEAK, rewrite, source)),
        "rewrite_refusals": _listed(_said(_REFUSAL, rewrite, source)),
    }


def novelty(source: list[str], rewrite: list[str], n_words: int) -> float:
    """Return the share of a rewrite's runs of words that its source does not have.

    A rewrite with fewer words is one run of all of them; one without words has nothing new.
    """
    if not rewrite:
        return 0.0
    length = min(n_words, len(rewrite))
    known, runs = set(_runs(source, length)), list(_runs(rewrite, length))
    return sum(run not in known for run in runs) / len(runs)


def dropped_numbers(source: str, rewrite: str) -> list[str]:
    """Return the numbers of the source, once each, that the rewrite lacks. 1,000 is 1000."""
    left = set(_numbers(rewrite))
    return [number for number in dict.fromkeys(_numbers(source)) if number not in left]


def dropped_names(source: str, rewrite: str) -> list[str]:
    """Return the words of names of the source, once each, that the rewrite lacks in any case."""
    left = {token.casefold() for token in _TOKEN.findall(rewrite)}
    return [name for name in names(source) if name.casefold() not in left]


def names(text: str) -> list[str]:
    """Return the words that look like parts of names, in order, once each.

    They have a capital within a sentence, and never stand there without one; of lines in which most
    words have capitals nothing is said, since headings write all words so.
    """
    common: set[str] = set()
    found: dict[str, str] = {}
    for line in text.splitlines():
        tokens = list(_TOKEN.finditer(line))
        common.update(t[0].casefold() for t in tokens if t[0] == t[0].lower())
        if 2 * sum(t[0][0].isupper() for t in tokens) > len(tokens):
            continue
        for before, token in pairwise(tokens):
            within = not _SENTENCE_ENDS.search(line, before.end(), token.start())
            if within and token[0][0].isupper() and token[0].split("'")[0].split("’")[0] != "I":
                found.setdefault(token[0].casefold(), token[0])
    return [name for word, name in found.items() if word not in common]


def _said(pattern: re.Pattern[str], rewrite: str, source: str) -> list[str]:
    """Return what a rewrite says of a kind, once each, and its source does not."""
    theirs = {found.casefold() for found in pattern.findall(phrases.plain(source))}
    ours = dict.fromkeys(found.casefold() for found in pattern.findall(phrases.plain(rewrite)))
    return [found for found in ours if found not in theirs]


def _runs(found: list[str], length: int) -> Iterator[tuple[str, ...]]:
    return zip(*(found[start:] for start in range(length)), strict=False)


def _numbers(text: str) -> Iterator[str]:
    return (_THOUSANDS.sub("", number) for number in _NUMBER.findall(text))


def _listed(found: Iterable[str]) -> list[str]:
    return [each[:MAX_LISTED_CHARS] for each in found][:MAX_LISTED]
