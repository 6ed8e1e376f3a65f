r"""C4's rules: enough sentences in lines that end like one, no code, no filler.

Source: C4 (1910.10683), section 2.2, with the two rules that only its code has (over-long words,
policies), as datatrove has them. Its list of bad words is not here: a list of words decides.

C4 removes *lines*, and drops a page by what is left. A segment is a span of its document, so no
line is removed here: a segment is kept, whole, exactly where C4 would keep something of it. What
C4 would have removed then stays in it, which `max_removed_chars` bounds: a segment of which C4
removes more than that share is refused. No paper has such a bound: by default
it refuses nothing.

Off by default: a list, a recipe, code with braces may be what an instruction asks for.

Does not know: words. A line's words are what white space separates, in C4 too.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from backtrans.corpus.filters.candidate import Candidate, sentence_ends
from backtrans.corpus.filters.rule import Rule, check_numbers, over, share, under

SOURCE = "C4 (1910.10683), section 2.2"

CITATION = re.compile(r"\[(?:\d*|edit|citation needed)\]")
LINE_ENDS = (".", "?", "!", '"', "'")
ELLIPSIS = "..."
LOREM_IPSUM = "lorem ipsum"
BRACE = "{"
SCRIPT = "javascript"
POLICIES = (
    "terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies",
    "use cookies",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class C4Settings:
    """What lines and pages must be; thresholds as published, each of them still allowed."""

    min_sentences: int = 5  # in lines that C4 keeps
    min_line_words: int = 3  # C4 removes lines with fewer
    max_word_chars: int = 1_000  # and lines with a longer word
    max_removed_chars: float = 1.0  # share of characters in lines that C4 removes

    def __post_init__(self) -> None:
        check_numbers(self)


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What C4 makes of a text: what ends it, or what is left."""

    found: str | None  # LOREM_IPSUM or BRACE, in a line that would have been kept
    sentences: int  # in the lines kept; once there are enough, maybe not all
    kept_chars: int


def rules(settings: C4Settings) -> tuple[Rule, ...]:
    """Return the rules, which share one reading of the lines."""

    def cleaned(candidate: Candidate) -> Cleaned:
        return clean(candidate, settings)

    def lorem_ipsum(candidate: Candidate) -> str | None:
        if LOREM_IPSUM not in candidate.lower and "[" not in candidate.text:
            return None
        return LOREM_IPSUM if candidate.once(cleaned).found == LOREM_IPSUM else None

    def brace(candidate: Candidate) -> str | None:
        if BRACE not in candidate.text:
            return None
        return BRACE if candidate.once(cleaned).found == BRACE else None

    def few_sentences(candidate: Candidate) -> str | None:
        sentences = candidate.once(cleaned).sentences
        return under(sentences, settings.min_sentences, "sentences in lines that C4 keeps")

    def removed(candidate: Candidate) -> str | None:
        if settings.max_removed_chars >= 1:
            return None
        chars = sum(map(len, candidate.lines))
        gone = 1 - share(candidate.once(cleaned).kept_chars, chars) if chars else 0.0
        return over(gone, settings.max_removed_chars, "of the characters are in lines C4 removes")

    checks: dict[str, Callable[[Candidate], str | None]] = {
        "c4_lorem_ipsum": lorem_ipsum,
        "c4_brace": brace,
        "c4_few_sentences": few_sentences,
        "c4_removed_lines": removed,
    }
    return tuple(Rule(name, SOURCE, check) for name, check in checks.items())


def clean(candidate: Candidate, settings: C4Settings) -> Cleaned:
    """Read a text's lines as C4 does, as far as decisions need it."""
    lower = candidate.lower
    cited = "[" in lower
    # Text within a line that is nowhere in the whole need not be looked for line by line. Where
    # citations are taken out, what stood around them may make such a text.
    lorem, script = (cited or text in lower for text in (LOREM_IPSUM, SCRIPT))
    brace = BRACE in lower
    policies = POLICIES if cited else tuple(text for text in POLICIES if text in lower)
    long_words = candidate.longest_word_chars > settings.max_word_chars
    enough = None if lorem or brace or settings.max_removed_chars < 1 else settings.min_sentences
    sentences = kept_chars = 0
    for whole in candidate.lines:
        line = whole.strip()
        words = line.split(None, settings.min_line_words) if not long_words else line.split()
        if long_words and any(len(word) > settings.max_word_chars for word in words):
            continue
        if cited:
            line = CITATION.sub("", line)
        if not line.endswith(LINE_ENDS) or line.endswith(ELLIPSIS):
            continue
        if len(words) < settings.min_line_words:
            continue
        if lorem or script or policies:
            line_lower = line.lower()
            if lorem and LOREM_IPSUM in line_lower:
                return Cleaned(LOREM_IPSUM, sentences, kept_chars)
            if script and SCRIPT in line_lower:
                continue
        if brace and BRACE in line:
            return Cleaned(BRACE, sentences, kept_chars)
        if policies and any(text in line_lower for text in policies):
            continue
        sentences += 1 + len(sentence_ends(line))
        kept_chars += len(whole)
        if enough is not None and sentences >= enough:
            break
    return Cleaned(None, sentences, kept_chars)
