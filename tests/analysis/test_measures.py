"""Measures of texts, against counts by hand."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtrans.analysis.diversity import common_sizes, curve
from backtrans.analysis.lengths import spread, tokens, words
from backtrans.analysis.pairs import Columns, read_pairs
from backtrans.analysis.scores import score_shares
from backtrans.errors import InputError, ModelError
from tests.engines.tiny_model import tokenizer

# ---------------------------------------------------------------- trigrams


def trigrams(texts: list[str], seed: int = 0) -> int:
    ((_, count),) = curve(texts, seed, [len(texts)])
    return count


def test_trigrams_counted_by_hand() -> None:
    # "the cat sat", "cat sat on", "sat on the", "on the mat"; then two of them again, and one new.
    assert trigrams(["The cat sat on the mat."]) == 4
    assert trigrams(["The cat sat on the mat.", "the CAT, sat on: a"]) == 5


def test_trigrams_do_not_reach_from_one_text_into_the_next() -> None:
    assert trigrams(["one two", "three four"]) == 0
    assert trigrams(["", "..."]) == 0


def test_the_same_text_again_brings_nothing_new() -> None:
    assert curve(["a b c d"] * 300, 1, [100, 200, 300]) == [(100, 2), (200, 2), (300, 2)]


def test_sizes_double_meet_those_of_the_papers_and_are_common_to_all_sets() -> None:
    sizes = common_sizes([13_000, 150])
    assert sizes == [100, 150, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 13_000]
    assert [size for size, _ in curve(["a"] * 150, 0, sizes)] == [100, 150]
    assert common_sizes([7]) == [7]


texts = st.lists(st.text("abc ", max_size=12).map(" ".join), min_size=1, max_size=250)


@given(texts, st.integers(0, 3))
def test_a_curve_is_what_counting_each_subset_gives(found: list[str], seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(found)).tolist()
    for size, count in curve(found, seed, common_sizes([len(found), 1])):
        split = [found[index].split() for index in order[:size]]
        assert count == len({tuple(w[k : k + 3]) for w in split for k in range(len(w) - 2)})


def test_a_more_diverse_set_has_the_higher_curve_at_every_size() -> None:
    varied = [f"word{k} and word{k + 1} then word{k + 2}" for k in range(400)]
    plain = [f"word{k % 7} and word{k % 5} then word{k % 3}" for k in range(400)]
    high, low = (curve(each, 0, [100, 200, 400]) for each in (varied, plain))
    assert all(more > less for (_, more), (_, less) in zip(high, low, strict=True))


# ---------------------------------------------------------------- lengths


def test_words_are_what_stands_between_white_space() -> None:
    ruler = words()
    assert ruler.measure(["one two\nthree", "", "  a  "]) == [3, 0, 1]
    assert ruler.unit == "words"


def test_tokens_are_the_tokenizers_own_without_special_ones_and_uncut(tmp_path: Path) -> None:
    fast = tokenizer()
    fast.save_pretrained(tmp_path / "tiny")
    file = tmp_path / "tiny/tokenizer.json"
    plan = json.loads(file.read_text())
    plan["truncation"] = {
        "direction": "Right",
        "max_length": 2,
        "strategy": "LongestFirst",
        "stride": 0,
    }
    file.write_text(json.dumps(plan))
    ruler = tokens(tmp_path / "tiny")
    said = ["How do I bake a loaf of bread?", "", "x" * 50] * 700  # more than are given at once
    expected = [len(ids) for ids in fast(said, add_special_tokens=False)["input_ids"]]
    assert ruler.measure(said) == expected
    assert ruler.unit == "tokens of tiny"


@pytest.mark.parametrize("content", [None, b"{", b"[]", b'{"version": "1.0"}'])
def test_a_folder_without_a_tokenizer_is_an_error_that_names_it(
    tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(ModelError, match=r"tokenizer\.json"):
        tokens(tmp_path)


def test_a_spread_by_hand() -> None:
    found = spread([1, 2, 3, 4, 10])
    assert (found.mean, found.median, found.longest) == (4.0, 3.0, 10)


# ---------------------------------------------------------------- scores


def test_scores_by_hand() -> None:
    found = score_shares([5, 4.5, 4.49, 4.0, 1.0, None, None, 2.5])
    assert found.valid == 0.75
    assert found.of == {"1": 0.125, "2": 0.0, "3": 0.125, "4": 0.25, "5": 0.25}
    assert (found.a4, found.a5) == (0.5, 0.25)
    assert found.mean == pytest.approx((5 + 4.5 + 4.49 + 4 + 1 + 2.5) / 6)
    assert score_shares([None]).mean is None


# ---------------------------------------------------------------- files


def write(path: Path, rows: list[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


PAIRS = [{"instruction": "Why?", "response": "So.", "score": 4.5}]


def test_a_folder_is_all_its_files_in_the_order_of_their_names(tmp_path: Path) -> None:
    write(tmp_path / "b/1.jsonl", [{"instruction": "c", "output": "C"}])
    write(tmp_path / "a.parquet", [{"instruction": f"{k}", "response": "x"} for k in "ab"])
    (tmp_path / "README.md").write_text("not data")
    found = read_pairs("all", tmp_path, Columns())
    assert found.instructions == ["a", "b", "c"]
    assert found.responses == ["x", "x", "C"]
    assert found.scores == []


def test_columns_may_have_other_names(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", [{"prompt": "Why?", "answer": "So.", "rating": 3}])
    found = read_pairs("x", path, Columns("prompt", "answer", "rating"))
    assert (found.instructions, found.responses, found.scores) == (["Why?"], ["So."], [3.0])


def test_what_is_no_score_from_1_to_5_is_invalid_and_not_lost(tmp_path: Path) -> None:
    scores = [5, 1986, 0, None, "4", True, 4.5, 5.1]
    path = write(tmp_path / "a.jsonl", [{**PAIRS[0], "score": score} for score in scores])
    found = read_pairs("x", path, Columns())
    assert found.scores == [5.0, None, None, None, None, None, 4.5, None]
    assert score_shares(found.scores).valid == 0.25


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([*PAIRS, {"instruction": "Why?"}], "row 2: needs the text response"),
        ([{"response": "So."}], "row 1: needs the text instruction"),
        ([{"instruction": None, "response": "So."}], "row 1: needs the text instruction"),
        ([{"instruction": "Why?", "output": 3}], "row 1: needs the text output"),
        ([*PAIRS, 3], "row 2: is no JSON object"),
        ([], "holds no rows"),
    ],
)
def test_a_bad_pair_is_an_error_that_names_file_and_row(
    tmp_path: Path, rows: list[Any], said: str
) -> None:
    path = write(tmp_path / "bad.jsonl", rows)
    with pytest.raises(InputError) as error:
        read_pairs("x", path, Columns())
    assert str(error.value).startswith(f"{path}: {said}")


def test_a_folder_without_data_and_a_file_of_no_kind_are_errors_that_name_them(
    tmp_path: Path,
) -> None:
    (tmp_path / "notes.txt").write_text("x")
    for path in (tmp_path, tmp_path / "notes.txt", tmp_path / "nowhere.jsonl"):
        with pytest.raises(InputError, match=str(path)):
            read_pairs("x", path, Columns())
