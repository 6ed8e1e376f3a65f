"""Draws that know no order, differences that lose nothing, charts that stay in their frames."""

import re
from collections.abc import Sequence
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtrans.report import charts, marks
from backtrans.report.draw import Draw

NAMES = st.lists(st.text(min_size=1, max_size=4), unique=True, max_size=30)


@given(names=NAMES, size=st.integers(0, 6), seed=st.integers(0, 3), data=st.data())
def test_a_draw_is_the_same_in_whatever_order_rows_come(
    names: list[str], size: int, seed: int, data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(names))
    drawn = []
    for order in (names, shuffled):
        draw: Draw[str] = Draw(size, seed)
        for name in order:
            if draw.wants("one", name):
                draw.add("one", name, name.upper())
        drawn.append(draw.drawn("one"))
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) == min(size, len(names))


def test_another_seed_draws_others() -> None:
    def drawn(seed: int) -> list[int]:
        draw: Draw[int] = Draw(5, seed)
        for number in range(100):
            draw.add("", str(number), number)
        return draw.drawn("")

    assert len({tuple(drawn(seed)) for seed in range(5)}) == 5


WORDS = st.text(st.sampled_from("ab <&>\n.'\""), max_size=40)


@given(before=WORDS, after=WORDS)
def test_both_texts_can_be_read_from_their_difference(before: str, after: str) -> None:
    marked = str(marks.compared(before, after).text)
    assert not re.search(r"<(?!/?(ins|del)>)", marked)
    without = unescape(re.sub(r"</?ins>", "", re.sub(r"<del>.*?</del>", "", marked, flags=re.S)))
    assert without == after
    without = unescape(re.sub(r"</?del>", "", re.sub(r"<ins>.*?</ins>", "", marked, flags=re.S)))
    assert without == before


def test_a_changed_word_is_marked_and_no_other() -> None:
    marked = str(marks.compared("The old red house.", "The new red house.").text)
    assert marked == "The <del>old</del><ins>new</ins> red house."


def test_a_long_text_is_cut_and_says_by_how_much() -> None:
    found = marks.shown("x" * (marks.SHOWN_CHARS + 7))
    assert (len(found.text), found.left_out) == (marks.SHOWN_CHARS, 7)
    assert marks.shown("short").left_out == 0


def test_what_would_not_show_is_spelt_out_and_other_scripts_are_left_alone() -> None:
    said = "a\r\nb\tc \u2067 \x07 — 漢字 עברית 👩‍👩‍👧"
    assert marks.shown(said).text == "a\nb\tc \\u{2067} \\u{7} — 漢字 עברית 👩‍👩‍👧"


@given(
    counts=st.lists(st.integers(0, 10**9), min_size=1, max_size=30),
    low=st.floats(-100, 100),
    width=st.floats(0.01, 50),
)
def test_a_histogram_stays_within_its_frame(counts: list[int], low: float, width: float) -> None:
    bins = [(low + k * width, low + (k + 1) * width, count) for k, count in enumerate(counts)]
    chart = charts.histogram("T", bins, unit="words", of="pairs", marks=[("A5", low + width / 2)])
    within(chart)
    assert len(chart.rows) == len(counts)
    assert str(chart.svg).count("<rect") == sum(count > 0 for count in counts)


@given(points=st.lists(st.tuples(st.integers(1, 10**7), st.integers(0, 10**9)), max_size=20))
def test_a_curve_stays_within_its_frame(points: list[tuple[int, int]]) -> None:
    within(charts.curve("T", sorted(points), across="pairs", up="trigrams", doubling=True))


@given(
    values=st.lists(st.floats(0, 1e9), min_size=1, max_size=48),
    interval=st.sampled_from([1, 30, 3600, 86_400]),
)
def test_bars_over_time_stay_within_their_frame(values: Sequence[float], interval: int) -> None:
    within(charts.over_time("score", values, interval, up="rows a second"))


def within(chart: charts.Chart) -> None:
    assert chart.words.startswith(chart.title)
    for name, value in re.findall(r'\b([xy][12]?|cx|cy|width|height)="([^"]+)"', chart.svg):
        most = charts.WIDTH if name in ("x", "x1", "x2", "cx", "width") else charts.HEIGHT
        assert 0 <= float(value) <= most, (name, value)


@pytest.mark.parametrize(
    ("value", "said"),
    [(0, "0"), (12.0, "12"), (1234.5, "1,234"), (0.01234, "0.0123"), (3.14159, "3.14")],
)
def test_numbers_have_the_digits_that_count(value: float, said: str) -> None:
    assert charts.number(value) == said
