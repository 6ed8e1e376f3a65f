"""Which pairs are drawn: the same ones each time, of every stratum, each standing for many."""

import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtrans.calibration.pool import Scored, identity, read_scored
from backtrans.calibration.sample import allocated, draw
from backtrans.errors import InputError
from tests.calibration.pools import write_pool


def scored(number: int, score: float) -> Scored:
    pair = (f"What is {number}?", f"It is {number}.")
    return Scored(identity(*pair), *pair, {"score": score, "distribution": None})


@given(st.lists(st.integers(0, 60), min_size=1, max_size=8), st.integers(0, 300))
def test_a_sample_is_shared_out_whole_and_no_stratum_gives_more_than_it_has(
    populations: list[int], size: int
) -> None:
    found = allocated(populations, size)
    assert sum(found) == min(size, sum(populations))
    assert all(0 <= given <= has for given, has in zip(found, populations, strict=True))


def test_a_small_stratum_has_its_part_beside_a_large_one() -> None:
    few, many = allocated([40, 4000], 100)
    assert few >= 25
    assert many >= 50


@given(st.randoms())
def test_the_order_of_a_pool_changes_nothing(dice: random.Random) -> None:
    pool = [scored(n, 1 + n % 41 / 10) for n in range(120)]
    expected = draw(pool, 30, seed=3)
    dice.shuffle(pool)
    assert draw(pool, 30, seed=3) == expected
    assert draw(pool, 30, seed=4) != expected


def test_copies_count_once_and_rows_without_a_score_are_passed_over() -> None:
    pool = [scored(1, 3.2), scored(1, 3.2), None, scored(2, 4.9)]
    found = draw(pool, 10, seed=0)
    assert (found.copies, found.unscored, len(found.pairs)) == (1, 1, 2)
    assert sum(stratum.population for stratum in found.strata) == 2


def test_every_pair_lies_in_the_stratum_that_holds_its_score(tmp_path: Path) -> None:
    write_pool(tmp_path / "pool.jsonl", 300)
    found = draw(read_scored(tmp_path / "pool.jsonl"), 80, seed=0)
    for pair, number in found.pairs:
        stratum, score = found.strata[number], pair.judgement["score"]
        assert stratum.low <= score < stratum.high or score == stratum.high == 5
    assert [pair.id for pair, _ in found.pairs] == sorted(pair.id for pair, _ in found.pairs)


PAIR = {"instruction": "a", "response": "b", "score": 4.2}


@pytest.mark.parametrize(
    ("changed", "score", "digit"),
    [
        ({}, 4.2, None),
        ({"score": 4, "expectation": 4.3}, 4.3, 4),
        ({"score": 4.2, "digit": 5}, 4.2, 5),
        ({"response": None, "generation": "b"}, 4.2, None),
    ],
)
def test_columns_are_known_by_their_names(
    tmp_path: Path, changed: dict[str, object], score: float, digit: int | None
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(PAIR | changed) + "\n")
    (found,) = read_scored(path)
    assert found is not None
    assert (found.judgement["score"], found.judgement["digit"]) == (score, digit)
    assert found.response == "b"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"score": 7}, "row 2: the score is 7"),
        ({"score": "4"}, "row 2: score is '4', no finite number"),
        ({"response": None}, "row 2: needs the texts"),
        ({"pmi": True}, "row 2: pmi is True"),
    ],
)
def test_what_is_no_scored_pair_is_named(
    tmp_path: Path, changed: dict[str, object], said: str
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in (PAIR, PAIR | changed)))
    with pytest.raises(InputError, match=said):
        list(read_scored(path))
