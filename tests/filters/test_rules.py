"""Each rule of text allows its threshold, and refuses what is just beyond it."""

import re
from pathlib import Path

import pytest

from backtrans.corpus.document import Document
from backtrans.corpus.filters.c4 import C4Settings
from backtrans.corpus.filters.candidate import Candidate
from backtrans.corpus.filters.fineweb import FineWebSettings
from backtrans.corpus.filters.gopher import GopherQualitySettings, GopherRepetitionSettings
from backtrans.corpus.filters.lists import ListSettings
from backtrans.corpus.filters.ordered import FAMILIES, FilterSettings, rules_of
from backtrans.corpus.filters.reinstruct import REInstructSettings
from backtrans.errors import ConfigError
from backtrans.reasons import REASONS

DOCS = Path(__file__).parents[2] / "docs/filters.md"
LISTED = FilterSettings(
    lists=ListSettings(
        blocked_domains=("x.org",), blocked_urls=("x.org/a",), opted_out_domains=("x.org",),
        allowed_licences=("cc0",),
    )
)  # fmt: skip


def seen(rule: str, text: str, settings: FilterSettings | None = None) -> str | None:
    """What a rule saw in a text, if it refuses it."""
    for family in FAMILIES:
        for each in rules_of(family, settings or FilterSettings()):
            if each.name == rule:
                return each.check(Candidate(text, Document(text=text)))
    raise AssertionError(f"no rule {rule}")


def different(count: int, chars: int = 5) -> list[str]:
    """Words that are all different, of so many letters."""
    digits = "abcdefghij"
    return ["".join(digits[int(d)] for d in f"{number:0{chars}d}") for number in range(count)]


def lines_with(marked: int, of: int, mark: str) -> str:
    """So many lines of which some begin with a mark."""
    return "\n".join(f"{mark if n < marked else ''}line {w}" for n, w in enumerate(different(of)))


def lines_of(counts: dict[int, int]) -> str:
    """So many lines of so many characters."""
    return "".join(f"{'w' * chars}\n" * count for chars, count in counts.items())


def sentences(count: int) -> str:
    return " ".join(f"This is {word}." for word in different(count))


STOP = "the be to"
LONG = "w" * 1_001

# rule, a text at the threshold, one beyond it, what is said of the latter
AT_THE_THRESHOLD = [
    ("gopher_few_words", "one " * 50, "one " * 49, "49 words with a letter or digit, at least 50"),
    ("gopher_few_words", "one " * 49 + "2", "one " * 49 + "•", "49 words"),
    ("gopher_many_words", "w " * 100_000, "w " * 100_001, "100,001 words"),
    ("gopher_short_words", "abc abc", "abc ab", "2.5 characters a word on average, at least 3"),
    ("gopher_short_words", "abc - - abc", "ab - - ab", "2 characters"),
    ("gopher_long_words", "a" * 10, "a" * 11, "11 characters a word on average, at most 10"),
    ("gopher_hashes", "w " * 9 + "#", "w " * 8 + "#", '0.1111 "#" a word, at most 0.1'),
    ("gopher_ellipses", "w " * 9 + "w…", "w " * 8 + "w...", "0.1111 ellipses a word"),
    ("gopher_bullet_lines", lines_with(9, 10, "- "), lines_with(10, 10, "- "), "1 of the lines"),
    ("gopher_bullet_lines", lines_with(9, 10, " •"), lines_with(10, 10, " •"), "bullet"),
    ("gopher_ellipsis_lines", "a...\nb… \nc...\n" + "d\n" * 7, "a...\nb", "0.5 of the lines"),
    ("gopher_few_letters", "a b c d 5", "a b c 4 5", "0.6 of the words have a letter"),
    ("gopher_few_stop_words", "the and", "the the The", "1 different stop words, at least 2"),
    ("gopher_duplicate_paragraphs", "\n\n".join("abcdefgaaa"), "\n\n".join("abcdefaaaa"),
     "0.4 of the paragraphs came before, at most 0.3"),
    ("gopher_duplicate_lines", "\n".join("abcdefgaaa"), "\n".join("abcdefaaaa"),
     "0.4 of the lines came before, at most 0.3"),
    ("gopher_duplicate_line_chars", "aaaa\naaaa\n" + "b" * 10, "aaaa\naaaa\n" + "b" * 9, "0.2105"),
    ("gopher_duplicate_paragraph_chars", "aaaa\n\naaaa\n\n" + "b" * 8,
     "aaaa\n\naaaa\n\n" + "b" * 7, "0.2105 of the characters are in paragraphs"),
    ("fineweb_short_lines", lines_of({30: 67, 31: 33}), lines_of({30: 68, 31: 32}),
     "0.68 of the lines have 30 characters"),
    ("fineweb_unended_lines", "a.\n" * 12 + "a\n" * 88, "a.\n" * 11 + "a\n" * 89,
     "0.11 of the lines end with a terminal mark, at least 0.12"),
    ("fineweb_unended_lines", "Ja。", "Ja”", "0 of the lines"),
    ("fineweb_duplicate_chars", "ab\nab\n" + "c" * 16, "ab\nab\n" + "c" * 15, "0.1053"),
    ("fineweb_newlines", "a\nb\nc\nd e f g h i j", "a\nb\nc\nd\ne f g h i j", "0.4 newlines"),
    ("c4_few_sentences", sentences(5), sentences(4), "4 sentences in lines that C4 keeps"),
    ("c4_brace", "It is {one}", "It is {one}.", "{"),
    ("c4_lorem_ipsum", "Lorem Ipsum dolor", "Lorem Ipsum dolor.", "lorem ipsum"),
    ("reinstruct_questions", "Why?", "Why? How?", "2 question marks, at most 1"),
    ("reinstruct_capitals", "NASA and ESA", "NASA, ESA and JAXA", "3 words in capitals, at most 2"),
    ("reinstruct_capitals", "A I 1984 C4 US UK", "A US UK ÉTÉ", "3 words"),
    ("reinstruct_pronouns", "We and she", "We and she and he", "3 personal pronouns, at most 2"),
    ("reinstruct_pronouns", "We, the US, i.e. you and I.", "I, my own, us", "3 personal"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "allowed", "refused", "said"), AT_THE_THRESHOLD)
def test_the_threshold_is_allowed_and_what_is_beyond_it_refused(
    rule: str, allowed: str, refused: str, said: str
) -> None:
    assert seen(rule, allowed) is None
    assert said in (seen(rule, refused) or "")


# ------------------------------------------------------------------ repetition


@pytest.mark.parametrize(("n", "most"), GopherRepetitionSettings().top_ngrams)
def test_an_ngram_may_take_up_its_share_of_the_text_and_no_more(n: int, most: float) -> None:
    bounds = FilterSettings(
        gopher_repetition=GopherRepetitionSettings(top_ngrams=((n, most),), duplicate_ngrams=())
    )
    often = " ".join(["oft"] * n)
    chars = 20 * len(often)

    def text_with(filler_chars: int) -> str:
        head = "".join(f"{often} {word} " for word in different(20))
        return head + "z" * (filler_chars - len(head))

    allowed, refused = text_with(round(chars / most) + 1), text_with(int(chars / most) - 2)
    assert seen("gopher_top_ngram", allowed, bounds) is None
    assert f"in the {n}-gram '{often}'" in (seen("gopher_top_ngram", refused, bounds) or "")


def test_ngrams_may_be_bounded_in_any_order() -> None:
    text = " ".join(f"tea pot {word}" for word in different(20))  # only "tea pot" comes again
    for bounds in (((2, 0.1), (4, 0.9)), ((4, 0.9), (2, 0.1))):
        settings = GopherRepetitionSettings(top_ngrams=bounds)
        said = seen("gopher_top_ngram", text, FilterSettings(gopher_repetition=settings))
        assert "2-gram 'tea pot'" in (said or "")


@pytest.mark.parametrize(("n", "most"), GopherRepetitionSettings().duplicate_ngrams)
def test_ngrams_that_came_before_may_hold_their_share_of_the_text_and_no_more(
    n: int, most: float
) -> None:
    bounds = FilterSettings(
        gopher_repetition=GopherRepetitionSettings(top_ngrams=(), duplicate_ngrams=((n, most),))
    )
    again = different(n)

    def text_of(chars: int) -> str:
        head = " ".join([*again, "between", *again])
        return f"{head} {'z' * (chars - len(head) - 1)}"

    exactly = round(5 * n / most)  # characters that came before, over the share
    assert seen("gopher_duplicate_ngrams", text_of(exactly + 1), bounds) is None
    said = seen("gopher_duplicate_ngrams", text_of(exactly - 1), bounds)
    assert f"in {n}-grams that came before" in (said or "")


def test_a_run_of_one_word_repeats_itself() -> None:
    assert "5-grams" in (seen("gopher_duplicate_ngrams", "no " * 30) or "")


def test_a_long_ngram_is_shown_by_its_beginning() -> None:
    said = seen("gopher_top_ngram", "w" * 5_000 + " is a word")
    assert said is not None
    assert len(said) < 250


# ------------------------------------------------------------------ C4


@pytest.mark.parametrize(
    "line",
    [
        "Please turn JavaScript on.",
        "Read our privacy policy now.",
        "Two words.",
        "It goes on...",
        f"It is {LONG} long.",
        "It has no end",
        "It has [1] java[2]script.",
    ],
)
def test_a_line_that_c4_removes_adds_no_sentence(line: str) -> None:
    assert seen("c4_few_sentences", f"{sentences(4)}\n{line}") is not None
    assert seen("c4_few_sentences", f"{sentences(4)}\nIt is a line.\n{line}") is None


def test_a_citation_at_the_end_hides_no_full_stop() -> None:
    assert seen("c4_few_sentences", f"{sentences(5)}[12]") is None


def test_what_c4_would_remove_can_be_bounded() -> None:
    text = f"{sentences(5)}\nIt has no end"
    assert seen("c4_removed_lines", text) is None
    whole = len(text) - 1
    share = 13 / whole
    for bound, is_refused in ((share + 0.001, False), (share - 0.001, True)):
        settings = FilterSettings(c4=C4Settings(max_removed_chars=bound))
        assert (seen("c4_removed_lines", text, settings) is not None) == is_refused


# ------------------------------------------------------------------ settings


def test_every_rule_has_a_source_and_a_reason_of_its_own() -> None:
    rules = [rule for family in FAMILIES for rule in rules_of(family, LISTED)]
    assert len({rule.name for rule in rules}) == len(rules)
    for rule in rules:
        assert rule.name in REASONS
        assert rule.source


def test_every_rule_is_documented_in_its_order() -> None:
    rules = [rule.name for family in FAMILIES for rule in rules_of(family, LISTED)]
    named = re.findall(r"^\|[^|]*\| `(\w+)` \|", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    assert named == rules


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: GopherQualitySettings(min_words=9, max_words=8), "min_words 9 to max_words 8"),
        (lambda: GopherQualitySettings(max_bullet_lines=-0.1), "max_bullet_lines -0.1"),
        (lambda: FineWebSettings(max_short_lines=float("nan")), "max_short_lines nan"),
        (lambda: C4Settings(min_sentences=-1), "min_sentences -1"),
        (lambda: REInstructSettings(max_pronouns=-1), "max_pronouns -1"),
        (lambda: GopherRepetitionSettings(top_ngrams=((0, 0.1),)), "no n-gram"),
        (lambda: FilterSettings(families=("gopher",)), "no such filters: gopher; there are lists"),
    ],
)
def test_settings_without_sense_are_config_errors(make, said: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigError, match=said):
        make()
