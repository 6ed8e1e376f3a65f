"""Tell whether a text says a sentence twice, word by word or nearly.

Source: Humpback (2308.06259) drops segments with repeated sentences, by the Jaccard similarity of
n-grams between pairs of sentences; it names neither n nor a threshold. Here n is 3, so that
sentences of a few words have some, and the threshold 0.8 is that of near-duplicates in Lee et al.
(2107.06499), section 4.2.

Promises: a sentence is compared only with those that share its words, and none with more than a
few hundred; code and tables are no sentences.

Does not know: languages. Where no spaces are, sentences are compared as a whole.
"""

import re

GRAM_WORDS = 3
THRESHOLD = 0.8
# Source: shorter ones are said again in any text ("See below.", "It depends.").
MIN_SENTENCE_WORDS = 6
MIN_SENTENCE_CHARS = 20
# Source: what so many sentences share says nothing of a pair of them.
MAX_SHARING = 50

_CODE = re.compile(r"^ {0,9}(`{3,}|~{3,})[^\n]*\n.*?(?:^ {0,9}\1|\Z)", re.MULTILINE | re.DOTALL)
_END = re.compile(r"(?<=[.!?])\s+|[。！？]|\n")
_MARKS = "#>-*+ \t.,;:!?\"'"


def repeats_a_sentence(text: str) -> bool:
    """Say whether two sentences of a text are the same or nearly the same."""
    words = (_prose(text) if "|" in text or "```" in text else text).lower().split()
    grams = max(0, len(words) - GRAM_WORDS + 1)
    repeated = grams - len(set(zip(words, words[1:], words[2:])))  # noqa: B905  the last are short
    # Near sentences share four n-grams at least, and one without spaces is a long word.
    near = repeated > MIN_SENTENCE_WORDS - GRAM_WORDS
    if not near and (text.isascii() or max(map(len, words), default=0) < MIN_SENTENCE_CHARS):
        return False
    return _repeats(sentences(text))


def _prose(text: str) -> str:
    """Return a text without its code and its tables."""
    if "```" in text or "~~~" in text:
        text = _CODE.sub("\n", text)
    return "\n".join([line for line in text.split("\n") if not line.lstrip().startswith("|")])


def sentences(text: str) -> list[str]:
    """Return a text's sentences, with the marks and the case of their words taken away."""
    found = (" ".join(part.lower().split()).strip(_MARKS) for part in _END.split(_prose(text)))
    return [part for part in found if len(part) >= MIN_SENTENCE_CHARS]


def _repeats(found: list[str]) -> bool:
    holders: dict[tuple[str, ...], list[int]] = {}
    sizes: list[int] = []
    whole: set[str] = set()
    for sentence in found:
        words = sentence.split()
        if len(words) < MIN_SENTENCE_WORDS:
            # A sentence without spaces is one word, and a long one.
            if len(sentence) >= MIN_SENTENCE_CHARS * len(words):
                if sentence in whole:
                    return True
                whole.add(sentence)
            continue
        grams = set(zip(words, words[1:], words[2:]))  # noqa: B905
        shared: dict[int, int] = {}
        for gram in grams:
            others = holders.setdefault(gram, [])
            for other in others:
                shared[other] = shared.get(other, 0) + 1
            if len(others) < MAX_SHARING:
                others.append(len(sizes))
        for other, count in shared.items():
            if count >= THRESHOLD * (len(grams) + sizes[other] - count):
                return True
        sizes.append(len(grams))
    return False
