"""A header, the text under it and its lower-level headers are a self-contained segment."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from backtrans.corpus.document import Document
from backtrans.corpus.headers import headers, is_dropped
from backtrans.corpus.repetition import repeats_a_sentence, sentences
from backtrans.corpus.segment import SegmentSettings, spans
from backtrans.records import Reject
from tests.steps import Sliced, steps


def cut(text: str, min_chars: int = 20, max_chars: int = 60) -> list[str]:
    found = spans(Document(text=text), limits(min_chars, max_chars))
    return [] if isinstance(found, Reject) else [text[span.start : span.end] for span in found]


def limits(min_chars: int, max_chars: int) -> SegmentSettings:
    return SegmentSettings(method="headers", min_chars=min_chars, max_chars=max_chars)


def reject(text: str, min_chars: int = 20, max_chars: int = 60) -> Reject:
    found = spans(Document(text=text), limits(min_chars, max_chars))
    assert isinstance(found, Reject), found
    return found


def words(count: int, of: str = "w") -> str:
    return " ".join(f"{of}{i}" for i in range(count))


# ------------------------------------------------------------------ the tree


def test_a_section_in_the_range_is_one_segment_and_is_not_cut_further() -> None:
    text = "# Tea\n\nBoil water first.\n\n## Milk\n\nAdd it last.\n"
    assert cut(text) == [text.rstrip()]


def test_a_longer_one_is_cut_at_its_lower_headers_and_its_own_text_is_a_segment() -> None:
    own = "# Tea\n\nBoil fresh water first."
    milk = "### Milk\n\nAdd it last, and cold."
    sugar = "### Sugar\n\nNobody needs sugar."
    assert cut(f"{own}\n\n{milk}\n\n{sugar}\n") == [own, milk, sugar]


def test_text_before_the_first_header_is_a_segment() -> None:
    assert cut("\n\nSome words stand before it.\n# A\n\nshort") == ["Some words stand before it."]


def test_a_text_without_headers_is_one_piece() -> None:
    assert cut("Only a text, and no header.") == ["Only a text, and no header."]


def test_sections_of_one_level_are_never_joined() -> None:
    assert cut("# A\n\ntoo short\n\n# B\n\ntoo short\n\n# C\n\nlong enough to stay here") == [
        "# C\n\nlong enough to stay here"
    ]


def test_levels_may_be_missing() -> None:
    text = f"# A\n\n{words(20)}\n\n#### B\n\n{words(8, 'b')}\n\n## C\n\n{words(8, 'c')}"
    assert cut(text) == [f"#### B\n\n{words(8, 'b')}", f"## C\n\n{words(8, 'c')}"]


FOUND = {
    "# One": [(1, "One")],
    "###### Six ######": [(6, "Six")],
    "####### Seven": [],
    "#None": [],
    "#": [(1, "")],
    "## ##": [(2, "")],
    "   # Three spaces": [(1, "Three spaces")],
    "    # Four spaces": [],
    "\t# A tab": [],
    "# C#\r\n": [(1, "C#")],
    "\\# Escaped": [],
    "Text\n# Header\nText": [(1, "Header")],
    "One\n===": [(1, "One")],
    "Two\n-": [(2, "Two")],
    "Two\n--- \n": [(2, "Two")],
    "\n---\n": [],
    "---\nTwo\n---": [],
    "a\nb\n---": [],
    "> a\n---": [],
    "- a\n---": [],
    "# One\nTwo\n---": [(1, "One"), (2, "Two")],
    "```\n# code\n```\n# One": [(1, "One")],
    "````\n```\n# code\n````\n# One": [(1, "One")],
    "~~~ sh\n# code\n```\n# code\n~~~\n# One": [(1, "One")],
    "```\n# never closed": [],
    "``` a`b\n# One": [(1, "One")],
    "  ```\n  # code\n  ```": [],
    "- - -\n# One": [(1, "One")],
}


@pytest.mark.parametrize("text", FOUND, ids=repr)
def test_headers_are_those_of_markdown(text: str) -> None:
    assert [(level, title) for _, level, title in headers(text)] == FOUND[text]


# ------------------------------------------------------------------ what is dropped

DROPPED = [
    "", "ADVERTISEMENT", "Advertisements", "Forum", "forums:", "Quick Links", "Free Newsletter!",
    "See also", "Leave a Reply", "Categories", "Related stories", "BUY NOW", "***", "ÜBER UNS",
    "Recent Comments", "Table of Contents",
]  # fmt: skip
KEPT = [
    "Forum selection in contracts", "How to advertise", "Links between cells", "日本語", "iPhone",
    "A header", "Comments on Hegel", "42nd Street", "2024",
]  # fmt: skip


@pytest.mark.parametrize("title", DROPPED)
def test_a_header_that_is_empty_or_in_capitals_or_navigation_is_dropped(title: str) -> None:
    assert is_dropped(title)


@pytest.mark.parametrize("title", KEPT)
def test_a_header_of_a_subject_is_kept(title: str) -> None:
    assert not is_dropped(title)


def test_a_dropped_section_takes_everything_below_it_with_it() -> None:
    text = f"# FORUM\n\n{words(8)}\n\n## Tea\n\n{words(8)}\n\n# Milk\n\n{words(8, 'm')}"
    assert cut(text) == [f"# Milk\n\n{words(8, 'm')}"]


def test_a_section_with_a_hole_is_cut_there() -> None:
    before = "# Tea\n\nBoil water.\n\n## Milk\n\nCold."
    after = "## Sugar\n\nNobody needs sugar."
    hole = "## Quick links\n\nHome\n\n"
    assert len(before + hole + after) < 100
    assert cut(f"{before}\n\n{hole}{after}", max_chars=100) == [before, after]


def test_what_follows_a_hole_that_lies_deeper_is_not_said_twice() -> None:
    before = "# Tea\n\n## Milk\n\nCold milk.\n\n### Cream\n\nNo."
    inner = "### Oat\n\nOats will do as well."
    after = "## Sugar\n\nNobody needs sugar."
    text = f"{before}\n\n### Share this\n\nx\n\n{inner}\n\n{after}"
    assert cut(text, max_chars=200) == [before, inner, after]


# ------------------------------------------------------------------ repeated sentences

SAID = "The old boat lay on the shore for years."


@pytest.mark.parametrize(
    ("text", "repeats"),
    [
        (f"{SAID} Nobody came. {SAID}", True),
        (f"{SAID}\n\nNobody came.\n\n- {SAID.upper()}", True),
        ("one two three four five six seven eight nine ten. "
         "one two three four five six seven eight nine eleven.", False),
        (" ".join(f"w{i}" for i in range(40)) + ". "
         + " ".join(f"w{i}" for i in range(39)) + " x.", True),
        (f"{SAID} The new boat lay on the quay for weeks.", False),
        ("It depends. It depends. It depends.", False),
        (f"```\n{SAID}\n{SAID}\n```\nThat is a fable in few words.", False),
        ("| the same cells are in each row |\n" * 3, False),
        ("昔々あるところにおじいさんとおばあさんが住んでいました。" * 2, True),
        ("", False),
    ],
)  # fmt: skip
def test_repeated_sentences_are_found(text: str, repeats: bool) -> None:
    assert repeats_a_sentence(text) is repeats


def test_a_segment_with_a_repeated_sentence_is_dropped_and_its_neighbours_stay() -> None:
    text = f"# A\n\n{SAID} {SAID}\n\n# B\n\n{SAID} It is gone."
    assert cut(text, max_chars=200) == [f"# B\n\n{SAID} It is gone."]


def test_sentences_end_with_marks_and_lines() -> None:
    text = "# A header of some words\nIt was late, they said. Was it as late as that?"
    assert sentences(text) == [
        "a header of some words", "it was late, they said", "was it as late as that",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "sentence", ["as a result of the rain {i} x{i} y{i} z{i}.", "a b c d e {i}"]
)
def test_many_sentences_alike_are_no_square_of_work(sentence: str) -> None:
    few, many = (" ".join(sentence.format(i=i) for i in range(count)) for count in (300, 1_200))
    # Four times the sentences are sixteen times the pairs.
    assert steps(lambda: repeats_a_sentence(many)) < 6 * steps(lambda: repeats_a_sentence(few))


# ------------------------------------------------------------------ why there is none


@pytest.mark.parametrize(
    ("text", "reason", "detail"),
    [
        (" \n", "text_empty", "2 characters"),
        ("short", "too_short", "5 characters, min_chars is 20"),
        ("# A\n\nshort", "too_short", "min_chars is 20"),
        (words(40), "too_long", "max_chars is 60"),
        (f"# A\n\n{words(40)}", "too_long", "1 too long, max_chars is 60"),
        (f"# A\n\n{words(40)}\n\n# B\n\nb", "no_segment", "1 too short, 1 too long"),
        (f"# MENU\n\n{words(9)}", "no_segment", "1 under headers that are dropped"),
        (f"# A\n\n{words(7)}.\n{words(7)}.", "no_segment", "1 with repeated sentences"),
    ],
)
def test_a_document_without_a_segment_says_why(text: str, reason: str, detail: str) -> None:
    found = reject(text)
    assert found.reason == reason
    assert detail in found.detail


def test_the_form_of_a_document_decides_how_it_is_cut() -> None:
    text = f"# A\n\n{words(12, 'a')}\n\n# B\n\n{words(12, 'b')}"
    automatic = SegmentSettings(min_chars=20, max_chars=200)
    assert len(spans(Document(text=text), automatic)) == 1  # type: ignore[arg-type]
    assert len(spans(Document(text=text, form="markdown"), automatic)) == 2  # type: ignore[arg-type]


# ------------------------------------------------------------------ laws

texts = st.lists(
    st.sampled_from(
        ["# A", "## Beta", "### c d", "# FORUM", "##", "#### Share", "", "", "===", "---", "```",
         "~~~", "    # four", "  indented", "said again and again and again", "x. y", "> q", "- i"]
    )
    | st.text(st.sampled_from("# =-`~ab\t\r\u2003é日"), max_size=12),
    max_size=25,
).map("\n".join)  # fmt: skip


@settings(max_examples=250)
@given(texts | st.text(max_size=80), st.integers(0, 30), st.integers(0, 60))
def test_segments_lie_in_the_text_apart_in_order_and_in_the_range(
    text: str, min_chars: int, more: int
) -> None:
    found = spans(Document(text=text), limits(min_chars, min_chars + more))
    if isinstance(found, Reject):
        return
    assert found
    last = 0
    for span in found:
        assert last <= span.start < span.end <= len(text)
        assert min_chars <= span.end - span.start <= min_chars + more
        assert span.start == 0 or text[span.start - 1] == "\n"
        assert not text[span.end - 1].isspace()
        last = span.end


@settings(max_examples=250)
@given(texts, st.integers(0, 30), st.integers(0, 60))
@example(" ==========\n# A", 11, 0)
@example("#\u2003", 0, 1)
def test_the_segments_of_a_segment_are_that_segment(text: str, min_chars: int, more: int) -> None:
    for segment in cut(text, min_chars, min_chars + more):
        assert cut(segment, min_chars, min_chars + more) == [segment]


@settings(max_examples=300)
@given(texts, st.integers(0, 30), st.integers(0, 60))
def test_no_segment_holds_a_dropped_header(text: str, min_chars: int, more: int) -> None:
    for segment in cut(text, min_chars, min_chars + more):
        assert not any(is_dropped(title) for _, _, title in headers(segment))


def test_many_headers_are_no_square_of_work() -> None:
    few, many = (
        Sliced("".join(f"{'#' * min(i + 1, 6)} Part {i}\n\ntext\n\n" for i in range(count)))
        for count in (500, 2_000)
    )
    assert steps(lambda: cut(many, 600, 3_000)) < 6 * steps(lambda: cut(few, 600, 3_000))
    # Six sections hold the rest each, and each is looked at a few times.
    assert len(many) <= many.taken_chars < 20 * len(many)
