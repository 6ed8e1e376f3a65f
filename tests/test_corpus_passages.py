"""Passages are runs of a text's own paragraphs, in the range, and leave out as little as can be."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtrans.corpus.document import Document
from backtrans.corpus.paragraphs import paragraphs
from backtrans.corpus.passages import packed
from backtrans.corpus.reader import ReaderSettings, documents
from backtrans.corpus.segment import spans
from backtrans.corpus.span import SegmentSettings, Span
from backtrans.records import Reject

REAL = Path(__file__).parents[2] / "shared/data/dolma/cc_en_head-0091.jsonl.gz"


def settings(min_chars: int = 600, max_chars: int = 3_000) -> SegmentSettings:
    return SegmentSettings(method="passages", min_chars=min_chars, max_chars=max_chars)


def passages(text: str, min_chars: int = 600, max_chars: int = 3_000) -> list[str]:
    found = spans(Document(text=text), settings(min_chars, max_chars))
    assert not isinstance(found, Reject), found
    return [text[span.start : span.end] for span in found]


def refusal(text: str, min_chars: int = 600, max_chars: int = 3_000) -> Reject:
    found = spans(Document(text=text), settings(min_chars, max_chars))
    assert isinstance(found, Reject)
    return found


def prose(chars: int, letter: str = "a") -> str:
    """A paragraph in which nothing ends a sentence."""
    return letter * chars


def test_a_text_within_the_range_is_one_passage_whatever_it_holds() -> None:
    text = f"\n# Tea\n\n{prose(300)}\n\n{prose(400)}\n"
    assert passages(text) == [text.strip()]


def test_passages_end_where_paragraphs_end() -> None:
    text = "\n\n".join(prose(700, letter) for letter in "abcdef")
    assert passages(text) == [text[: 3 * 702 - 2], text[3 * 702 :]]


def test_where_no_line_is_blank_each_line_is_a_paragraph() -> None:
    text = "\n".join(prose(700, letter) for letter in "abcdef")
    assert passages(text) == [text[: 3 * 701 - 1], text[3 * 701 :]]


def test_where_lines_are_blank_the_others_are_kept_together() -> None:
    wrapped = "\n".join([prose(70)] * 20)
    text = "\n\n".join([wrapped] * 3)
    assert passages(text) == [f"{wrapped}\n\n{wrapped}", wrapped]


def test_the_last_two_passages_share_what_there_is_rather_than_leave_a_tail() -> None:
    text = "\n\n".join(prose(98, letter) for letter in "abcdefghijklmnopqrstuvwxyzabcdef")
    first, second = passages(text)
    assert abs(len(first) - len(second)) <= 100
    assert len(first) + len(second) == len(text) - 2


def test_a_short_paragraph_before_a_long_one_is_left_out_alone() -> None:
    assert passages(f"{prose(300)}\n\n{prose(2_900, 'b')}\n\n{prose(500, 'c')}") == [
        prose(2_900, "b")
    ]


def test_what_greed_would_lose_is_held() -> None:
    # Greed takes a and b, and leaves c, which is too short alone.
    text = f"{prose(1_500, 'a')}\n\n{prose(1_400, 'b')}\n\n{prose(500, 'c')}"
    assert "".join(passages(text)).count("c") == 500


def test_a_long_paragraph_is_cut_after_sentences() -> None:
    sentence = "Tea is a drink that is made with hot water, as Dr. Smith of the U.S. said (twice.) "
    for chars in range(10, 100, 5):
        found = passages(f"{prose(chars)}. {sentence * 60}".strip())
        assert len(found) == 2
        for passage in found:
            assert passage.startswith(("Tea is", "aaa"))
            assert passage.endswith("(twice.)")


def test_chinese_and_japanese_sentences_end_without_white_space() -> None:
    found = passages("这是一个关于茶的句子。" * 400)
    assert len(found) == 2
    assert all(passage.endswith("。") for passage in found)


def test_a_long_paragraph_is_cut_after_its_lines_before_its_sentences() -> None:
    line = "It rained. " * 30 + "We went home."
    text = "A title.\n\n" + "\n".join([line] * 12)
    _, *found = passages(text)
    assert found
    for passage in found:
        assert passage.count("We went home.") * len(line) == len(passage) - passage.count("\n")


def test_a_paragraph_that_cannot_be_cut_is_left_out_and_what_is_around_it_is_held() -> None:
    text = f"{prose(700)}\n\n{prose(3_001, 'b')}\n\n{prose(800, 'c')}"
    assert passages(text) == [prose(700), prose(800, "c")]


CODE = "```python\nprint(1)\n\n" + "print(2)\n" * 60 + "```"
LIST = "\n\n".join(f"{n}. Step {n} of the work.\n\n   It takes time." for n in range(1, 16))
TIGHT = "\n".join(f"- Thing {n} of those that you need." for n in range(1, 16))
TABLE = "\n".join(["| tea | milk |", "|---|---|", *["| one | two |"] * 40])


@pytest.mark.parametrize(
    ("whole", "between"),
    [(CODE, "\n\n"), (CODE, "\n"), (TABLE, "\n\n"), (TABLE, "\n"), (LIST, "\n\n"), (TIGHT, "\n")],
)
def test_code_lists_and_tables_are_not_cut_inside(whole: str, between: str) -> None:
    for before in range(2_100, 3_000, 90):
        text = between.join([prose(before), whole, prose(2_000, "z")])
        assert any(whole in passage for passage in passages(text))


def test_code_that_is_too_long_is_left_out_not_halved() -> None:
    code = "```\n" + "x = 1\n\n" * 600 + "```"
    text = "\n\n".join([prose(700), code, prose(700, "b")])
    assert passages(text) == [prose(700), prose(700, "b")]


def test_a_list_that_is_too_long_is_cut_between_its_items() -> None:
    text = "\n".join(f"- item {n}: {prose(90)}" for n in range(60))
    found = passages(text)
    assert len(found) > 1
    for passage in found:
        assert passage.startswith("- item")
        assert passage.endswith("a" * 90)


def test_a_fence_that_is_not_closed_does_not_swallow_the_rest() -> None:
    text = "```\n\n" + "\n\n".join([prose(700)] * 6)
    assert len(passages(text)) == 2


@pytest.mark.parametrize("lead", ["## How to brew", "You need:"])
def test_what_leads_to_a_paragraph_stays_with_it(lead: str) -> None:
    text = f"{prose(2_900)}\n\n{lead}\n\n{prose(900, 'b')}"
    assert passages(text) == [prose(2_900), f"{lead}\n\n{prose(900, 'b')}"]


@pytest.mark.parametrize(
    ("text", "reason", "detail"),
    [
        (" \n\u3000", "text_empty", "3 characters"),
        ("a" * 599, "too_short", "599 characters, min_chars is 600"),
        ("a" * 3_001, "too_long", "one of 3,001 cannot be cut"),
        (f"{'a' * 9}\n\n{'b' * 9_000}", "too_long", "one of 9,000 cannot be cut"),
    ],
)
def test_a_text_without_a_passage_says_why(text: str, reason: str, detail: str) -> None:
    found = refusal(text)
    assert found.reason == reason
    assert detail in found.detail


def test_paragraphs_that_fit_no_passage_together_are_told_apart_from_one_that_is_too_long() -> None:
    found = refusal("\n\n".join(["aaaa"] * 9), min_chars=7, max_chars=9)
    assert found.reason == "too_long"
    assert "no run of its paragraphs has 7 to 9" in found.detail
    assert "cut" not in found.detail


# ------------------------------------------------------------------ laws

MARKUP = [
    "\n", "\n\n", " ", "\t", "\r\n", "```", "~~~", "- ", "1. ", "| ", "# ", ":", ".", "。", "a",
    "b c", "\u2028", "\u00a0", "é", "😀", "Tea is good. ", "\x1c", "  ",
]  # fmt: skip
texts = st.lists(st.sampled_from(MARKUP), max_size=120).map("".join) | st.text(max_size=200)
ranges = st.tuples(st.integers(0, 30), st.integers(0, 40)).map(lambda r: (r[0], r[0] + r[1]))


@given(texts, ranges)
def test_passages_are_disjoint_in_order_stripped_and_in_the_range(
    text: str, limits: tuple[int, int]
) -> None:
    found = spans(Document(text=text), settings(*limits))
    if isinstance(found, Reject):
        assert found.reason in ("text_empty", "too_short", "too_long")
        return
    assert found
    assert all(one.end <= other.start for one, other in pairwise(found))
    for span in found:
        passage = text[span.start : span.end]
        assert limits[0] <= span.end - span.start <= limits[1]
        assert passage
        assert passage == passage.strip()


@given(texts, ranges)
def test_the_passages_of_a_passage_are_that_passage(text: str, limits: tuple[int, int]) -> None:
    found = spans(Document(text=text), settings(*limits))
    for span in [] if isinstance(found, Reject) else found:
        passage = text[span.start : span.end]
        assert spans(Document(text=passage), settings(*limits)) == [Span(0, len(passage))]


@given(texts)
def test_paragraphs_hold_every_character_that_is_not_white_space(text: str) -> None:
    found = paragraphs(text, 30)
    assert all(one.end <= other.start for one, other in pairwise(found))
    held = "".join(text[paragraph.start : paragraph.end] for paragraph in found)
    assert "".join(held.split()) == "".join(text.split())


def most_held(pieces: list[Span], limits: tuple[int, int]) -> int:
    """Try every way to join pieces."""
    if not pieces:
        return 0
    best = most_held(pieces[1:], limits)
    for count in range(1, len(pieces) + 1):
        chars = pieces[count - 1].end - pieces[0].start
        if limits[0] <= chars <= limits[1]:
            best = max(best, chars + most_held(pieces[count:], limits))
    return best


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 9)), max_size=8), ranges)
def test_no_other_way_to_join_pieces_holds_more(
    sizes: list[tuple[int, int]], limits: tuple[int, int]
) -> None:
    pieces: list[Span] = []
    at = 0
    for gap, chars in sizes:
        pieces.append(Span(at + gap, at + gap + chars))
        at = pieces[-1].end
    joined = packed(pieces, settings(*limits))
    held = sum(span.end - span.start for span in joined)
    # Cutting the last two elsewhere moves the white space between them, and changes nothing else.
    assert most_held(pieces, limits) - 3 <= held <= most_held(pieces, limits)
    covered = [p for p in pieces if any(s.start <= p.start and p.end <= s.end for s in joined)]
    assert all(limits[0] <= span.end - span.start <= limits[1] for span in joined)
    assert len(covered) == len(pieces) or held < pieces[-1].end - pieces[0].start


@pytest.mark.skipif(not REAL.exists(), reason=f"no {REAL.name} beside the repository")
def test_real_web_documents_give_passages_that_hold_nearly_all_of_them() -> None:
    with REAL.open("rb") as file:
        long = [
            record
            for _, record in documents(file, REAL.name, ReaderSettings())
            if isinstance(record, Document) and len(record.text) > 3_000
        ]
    assert long
    for document in long:
        assert sum(map(len, passages(document.text))) > 0.99 * len(document.text)
