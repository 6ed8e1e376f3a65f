"""The verdict's figures, on rows small enough to count by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtrans.microworld import verdict as v
from backtrans.microworld.calibrate import floor_of
from backtrans.microworld.world import World

DOCUMENTS = World(21).documents(200)


def _rows(score: float, likelihood: float) -> list[dict[str, object]]:
    return [
        {"id": d.id, "instruction": d.instruction, "score": score, "min_token_logprob": likelihood}
        for d in DOCUMENTS
    ]


def test_a_perfect_run() -> None:
    rows = _rows(5.0, 0.0)
    for row, document in zip(rows, DOCUMENTS, strict=True):
        row["score"] = float(document.quality)
    found = v.verdict(rows, DOCUMENTS)
    assert found.plain_auc == found.plain.precision == found.plain.recall == 1.0
    assert found.seen_names.exact == found.fresh_names.f1 == 1.0
    assert found.plain == found.floored
    assert found.seen_names.pages + found.fresh_names.pages == found.plain.good


def test_selecting_everything_has_the_base_rate_as_precision() -> None:
    found = v.verdict(_rows(5.0, 0.0), DOCUMENTS)
    assert found.plain.precision == found.base_rate
    assert found.plain.recall == 1.0
    assert found.plain_auc == 0.5


def test_the_floor_takes_out_what_is_unlikely() -> None:
    found = v.verdict(_rows(5.0, -9.0), DOCUMENTS, floor=-8.0)
    assert found.plain.selected == len(DOCUMENTS)
    assert found.floored.selected == 0
    assert found.floored.precision is None
    assert found.floored.recall == 0.0


def test_a_missing_row_is_a_miss() -> None:
    found = v.verdict([], DOCUMENTS)
    assert found.base_rate == 0.0
    assert found.plain_auc is None
    assert found.seen_names.exact == 0.0
    rows = [{"id": d.id, "instruction": None, "score": None} for d in DOCUMENTS]
    assert v.verdict(rows, DOCUMENTS).plain.selected == 0


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=30))
def test_auc_is_the_share_of_ordered_pairs(scored: list[tuple[int, bool]]) -> None:
    good = [s for s, truth in scored if truth]
    bad = [s for s, truth in scored if not truth]
    found = v.auc([(float(s), truth) for s, truth in scored])
    if not good or not bad:
        assert found is None
        return
    wins = sum((g > b) + 0.5 * (g == b) for g in good for b in bad)
    assert found == pytest.approx(wins / (len(good) * len(bad)))


@given(st.lists(st.floats(-50, 0), min_size=1, max_size=200))
def test_the_floor_keeps_its_share(values: list[float]) -> None:
    floor = floor_of(values, 0.95)
    assert sum(value >= floor for value in values) >= 0.95 * len(values)
