"""Gopher's rules: a text must look like prose, and not repeat itself.

Source: Gopher (2112.11446), appendix A.1.1: quality filtering; repetition removal and table A1.
Where the paper leaves the counting open, it is as datatrove counts (docs/filters.md).

Made for whole English pages. Both are off by default:
- **quality** asks mostly what a segment of 600 characters meets anyway (it has over 50 words), and
  its stop words are English. It refuses menus and tables of figures, and ends no good response in
  English; corpora in other languages would lose everything;
- **repetition** is the one to turn on first for segments of 600 to 3,000 characters: Humpback
  (2308.06259, appendix) drops segments with repeated sentences too. But its shares are of the text:
  in one of 300 characters two phrases alike are over them. Of the micro-world's pages it refuses
  one in six, the good ones among them; of 69 pieces of real documents none (docs/filters.md).

Promises: the same decisions as counting every n-gram of every length, at a fraction of the cost.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from backtrans.corpus.filters.candidate import Candidate, repeated
from backtrans.corpus.filters.rule import Rule, check_numbers, over, share, under
from backtrans.errors import ConfigError

QUALITY = "Gopher (2112.11446), A.1.1, quality filtering"
REPETITION = "Gopher (2112.11446), table A1"

BULLETS = ("•", "-")
ELLIPSES = ("...", "…")
MAX_SHOWN_CHARS = 100


@dataclass(frozen=True, slots=True)
class GopherQualitySettings:
    """What prose looks like; thresholds as published, each of them still allowed."""

    min_words: int = 50  # words with a letter or digit
    max_words: int = 100_000  # the same
    min_mean_word_chars: float = 3.0  # mean characters of these words
    max_mean_word_chars: float = 10.0  # the same
    max_symbols_per_word: float = 0.1  # of "#", and of ellipses
    max_bullet_lines: float = 0.9  # share of lines that begin with a bullet
    max_ellipsis_lines: float = 0.3  # share of lines that end with an ellipsis
    min_words_with_letter: float = 0.8  # share of words
    min_stop_words: int = 2  # different ones
    # Those that are looked for; another language needs others.
    stop_words: tuple[str, ...] = ("the", "be", "to", "of", "and", "that", "have", "with")

    def __post_init__(self) -> None:
        check_numbers(self)


@dataclass(frozen=True, slots=True)
class GopherRepetitionSettings:
    """How much a text may repeat itself; thresholds as published, each of them still allowed."""

    max_duplicate_paragraphs: float = 0.3  # share of paragraphs that came before
    max_duplicate_paragraph_chars: float = 0.2  # share of characters in them
    max_duplicate_lines: float = 0.3  # share of lines that came before
    max_duplicate_line_chars: float = 0.2  # share of characters in them
    # n, and the share of characters in the n-gram that comes most often
    top_ngrams: tuple[tuple[int, float], ...] = ((2, 0.2), (3, 0.18), (4, 0.16))
    # n, and the share of characters in n-grams that came before
    duplicate_ngrams: tuple[tuple[int, float], ...] = (
        (5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.1),
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_numbers(self)
        for n, most in (*self.top_ngrams, *self.duplicate_ngrams):
            if n < 1 or not most >= 0:
                raise ConfigError(f"{type(self).__name__}: ({n}, {most}) is no n-gram and share")


def quality_rules(settings: GopherQualitySettings) -> tuple[Rule, ...]:
    """Return the rules of quality, cheapest first."""
    of = settings
    stop_words = frozenset(of.stop_words)
    true_words = "words with a letter or digit"
    in_mean = "characters a word on average"

    def symbols(candidate: Candidate, found: int, what: str) -> str | None:
        return over(share(found, len(candidate.words)), of.max_symbols_per_word, what)

    def mean_chars(candidate: Candidate) -> float | None:
        words = len(candidate.words) - len(candidate.symbols)
        chars = candidate.word_chars - sum(map(len, candidate.symbols))
        return chars / words if words else None

    def short_words(candidate: Candidate) -> str | None:
        mean = mean_chars(candidate)
        return None if mean is None else under(mean, of.min_mean_word_chars, in_mean)

    def long_words(candidate: Candidate) -> str | None:
        mean = mean_chars(candidate)
        return None if mean is None else over(mean, of.max_mean_word_chars, in_mean)

    def few_letters(candidate: Candidate) -> str | None:
        words = len(candidate.words)
        found = share(words - len(candidate.letterless), words)
        return under(found, of.min_words_with_letter, "of the words have a letter")

    def bullet_lines(candidate: Candidate) -> str | None:
        lines = candidate.lines
        found = share(sum(line.lstrip().startswith(BULLETS) for line in lines), len(lines))
        return over(found, of.max_bullet_lines, "of the lines begin with a bullet")

    def ellipsis_lines(candidate: Candidate) -> str | None:
        if not any(mark in candidate.text for mark in ELLIPSES):
            return None
        lines = candidate.lines
        found = share(sum(line.rstrip().endswith(ELLIPSES) for line in lines), len(lines))
        return over(found, of.max_ellipsis_lines, "of the lines end with an ellipsis")

    checks: dict[str, Callable[[Candidate], str | None]] = {
        "gopher_hashes": lambda c: symbols(c, c.text.count("#"), '"#" a word'),
        "gopher_ellipses": lambda c: symbols(
            c, sum(map(c.text.count, ELLIPSES)), "ellipses a word"
        ),
        "gopher_few_stop_words": lambda c: under(
            len(stop_words.intersection(c.words)), of.min_stop_words, "different stop words"
        ),
        "gopher_few_words": lambda c: under(
            len(c.words) - len(c.symbols), of.min_words, true_words
        ),
        "gopher_many_words": lambda c: over(
            len(c.words) - len(c.symbols), of.max_words, true_words
        ),
        "gopher_short_words": short_words,
        "gopher_long_words": long_words,
        "gopher_few_letters": few_letters,
        "gopher_bullet_lines": bullet_lines,
        "gopher_ellipsis_lines": ellipsis_lines,
    }
    return tuple(Rule(name, QUALITY, check) for name, check in checks.items())


def repetition_rules(settings: GopherRepetitionSettings) -> tuple[Rule, ...]:
    """Return the rules of repetition, cheapest first."""
    of = settings

    def pieces(candidate: Candidate, found: list[str], most: float, what: str) -> str | None:
        return over(share(repeated(found)[0], len(found)), most, f"of the {what} came before")

    def piece_chars(candidate: Candidate, found: list[str], most: float, what: str) -> str | None:
        chars = share(repeated(found)[1], len(candidate.text))
        return over(chars, most, f"of the characters are in {what} that came before")

    checks: dict[str, Callable[[Candidate], str | None]] = {
        "gopher_duplicate_paragraphs": lambda c: pieces(
            c, c.paragraphs, of.max_duplicate_paragraphs, "paragraphs"
        ),
        "gopher_duplicate_paragraph_chars": lambda c: piece_chars(
            c, c.paragraphs, of.max_duplicate_paragraph_chars, "paragraphs"
        ),
        "gopher_duplicate_lines": lambda c: pieces(
            c, c.runs_of_lines, of.max_duplicate_lines, "lines"
        ),
        "gopher_duplicate_line_chars": lambda c: piece_chars(
            c, c.runs_of_lines, of.max_duplicate_line_chars, "lines"
        ),
        "gopher_duplicate_ngrams": lambda c: duplicate_ngrams(c, of.duplicate_ngrams),
        "gopher_top_ngram": lambda c: top_ngram(c, of.top_ngrams),
    }
    return tuple(Rule(name, REPETITION, check) for name, check in checks.items())


def top_ngram(candidate: Candidate, bounds: tuple[tuple[int, float], ...]) -> str | None:
    """Say which n-gram comes most often and takes up too much of the text, if one does."""
    chars = len(candidate.text)
    longest = candidate.longest_word_chars
    often, length = len(candidate.words), 0  # how often the last n-gram counted comes, at most
    for n, most in bounds:
        # A longer n-gram comes no more often than the shorter ones in it.
        at_most = often if n >= length else len(candidate.words)
        if share(at_most * (n * longest + n - 1), chars) <= most:
            continue
        counts = Counter(candidate.ngrams(n))
        if not counts:
            continue
        top = max(counts, key=counts.__getitem__)  # of equals the first
        often, length = counts[top], n
        taken = share(often * (sum(map(len, top)) + n - 1), chars)
        if seen := over(taken, most, f"of the characters are in the {n}-gram {_shown(top)!r}"):
            return seen
    return None


def duplicate_ngrams(candidate: Candidate, bounds: tuple[tuple[int, float], ...]) -> str | None:
    """Say that too much of the text is in n-grams that came before, if it is."""
    if not bounds:
        return None
    chars = len(candidate.text)
    # Each n words that came before are made of shorter runs that came before. So no length can
    # have more characters in repeats than all repeats of the shortest, overlapping as they may.
    shortest = min(n for n, _ in bounds)
    if share(_chars_in_repeats(candidate, shortest), chars) <= min(most for _, most in bounds):
        return None
    for n, most in bounds:
        taken = share(_chars_repeated(candidate, n), chars)
        if seen := over(taken, most, f"of the characters are in {n}-grams that came before"):
            return seen
    return None


def _chars_in_repeats(candidate: Candidate, n: int) -> int:
    """Count characters of words in any n-gram that came before, or a few more than these."""
    count = len(candidate.words) - n + 1
    if count <= 0:
        return 0
    repeats = count - len(set(candidate.ngrams(n)))
    if not repeats:
        return 0
    words = candidate.words
    came: set[tuple[str, ...]] = set()
    chars = end = 0  # `end`: the words before it are counted, or are in no repeat
    for start, ngram in enumerate(candidate.ngrams(n)):
        if ngram in came:
            chars += sum(map(len, words[max(start, end) : start + n]))
            end = start + n
        else:
            came.add(ngram)
    return chars


def _chars_repeated(candidate: Candidate, n: int) -> int:
    """Count characters in n-grams that came before, read from the left, none of them twice."""
    ngrams = list(candidate.ngrams(n))
    came: set[tuple[str, ...]] = set()
    chars = at = 0
    while at < len(ngrams):
        ngram = ngrams[at]
        if ngram in came:
            chars += sum(map(len, ngram))
            at += n
        else:
            came.add(ngram)
            at += 1
    return chars


def _shown(ngram: tuple[str, ...]) -> str:
    text = " ".join(ngram)
    return text if len(text) <= MAX_SHOWN_CHARS else f"{text[:MAX_SHOWN_CHARS]}…"
