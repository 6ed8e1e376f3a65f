"""Files of outputs: AlpacaEval's format in three dresses; what is wrong names file and row."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from backtrans.errors import InputError
from backtrans.evaluation.outputs import (
    Instructions,
    Outputs,
    read_instructions,
    read_outputs,
)
from backtrans.evaluation.pairing import paired
from tests.evaluation.judges import outputs, write_rows


def written(folder: Path, name: str, rows: list[Any]) -> Path:
    path = folder / name
    match path.suffix:
        case ".json":
            path.write_text(json.dumps(rows))
        case ".jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        case ".parquet":
            pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def side(folder: Path, name: str, rows: list[dict[str, Any]]) -> Outputs:
    return read_outputs(write_rows(folder / name, rows))


@pytest.mark.parametrize("ending", ["json", "jsonl", "parquet"])
def test_outputs_are_read_alike_from_a_list_from_lines_and_from_parquet(
    tmp_path: Path, ending: str
) -> None:
    path = written(tmp_path, f"o.{ending}", outputs("our-model", ["one", ""], "koala"))
    found = read_outputs(path)
    assert found.generator == "our-model"
    assert [(o.row, o.dataset, o.instruction, o.output) for o in found.rows] == [
        (1, "koala", "Question 1?", "one"),
        (2, "koala", "Question 2?", ""),
    ]


def test_a_file_without_generators_is_called_by_its_name(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "base-7b.json", [{"instruction": "Why?", "output": "So."}])
    assert read_outputs(path).generator == "base-7b"


def test_instructions_need_nothing_but_themselves(tmp_path: Path) -> None:
    path = written(tmp_path, "i.jsonl", [{"instruction": "Why?", "output": None, "more": [1]}])
    assert [each.instruction for each in read_instructions(path).rows] == ["Why?"]


ROW = {"instruction": "Why?", "output": "So.", "generator": "a"}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([ROW, {"instruction": "How?"}], "row 2: needs the text output"),
        ([{**ROW, "output": None}], "row 1: needs the text output"),
        ([{**ROW, "output": ["So."]}], "row 1: needs the text output"),
        ([{"output": "So."}], "row 1: needs the text instruction"),
        ([{**ROW, "instruction": " \n"}], "row 1: needs the text instruction"),
        ([{**ROW, "instruction": 7}], "row 1: needs the text instruction"),
        ([ROW, {**ROW, "generator": "b"}], "row 2: is of generator 'b'"),
        ([ROW, {"instruction": "How?", "output": ""}], "row 2: is of generator None"),
        ([{**ROW, "generator": 1}], "row 1: its generator is no text"),
        ([{**ROW, "dataset": 1}], "row 1: its dataset is no text"),
        ([ROW, {**ROW, "dataset": "koala"}], "row 2: either every row names a dataset"),
        ([ROW, "Why?"], "row 2: is no JSON object"),
        ([], "holds no rows"),
    ],
)
def test_a_bad_row_is_an_error_that_names_file_and_row(
    tmp_path: Path, rows: list[Any], said: str
) -> None:
    for ending in ("json", "jsonl"):
        path = written(tmp_path, f"bad.{ending}", rows)
        with pytest.raises(InputError) as error:
            read_outputs(path)
        assert str(error.value).startswith(f"{path}: {said}")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.json", b'{"instruction": "Why?"}', "holds no JSON list; is it JSON Lines"),
        ("a.json", b'[{"instruction": "Why?"', "not JSON"),
        ("a.jsonl", b'{"instruction": "a", "output": "b"}\n\xff\xfe{}\n', "row 2: not JSON"),
        ("a.jsonl", b'{"instruction": "a", "output": NaN}', "row 1: not JSON"),
        ("a.parquet", b"no parquet", "cannot be read"),
        ("a.csv", b"instruction,output", "is none of"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_an_error_that_names_it(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=said) as error:
        read_outputs(path)
    assert str(path) in str(error.value)


def test_a_missing_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.json"):
        read_outputs(tmp_path / "nowhere.json")


def test_a_parquet_file_of_other_columns_is_an_error_that_names_the_one_it_lacks(
    tmp_path: Path,
) -> None:
    path = written(tmp_path, "a.parquet", [{"prompt": "Why?"}])
    with pytest.raises(InputError, match=r"a\.parquet: row 1: needs the text instruction"):
        read_outputs(path)


# ---------------------------------------------------------------- pairing


def test_outputs_are_paired_by_their_instruction_whatever_their_order(tmp_path: Path) -> None:
    ours = side(tmp_path, "ours.json", outputs("us", ["a", "b", "c"])[::-1])
    theirs = side(tmp_path, "theirs.json", outputs("them", ["A", "B", "C"]))
    pairs = paired(ours, theirs)
    assert [(p.candidate.output, p.reference.output) for p in pairs] == [
        ("a", "A"),
        ("b", "B"),
        ("c", "C"),
    ]


def test_one_instruction_in_two_datasets_is_two_pairs_where_both_sides_name_them(
    tmp_path: Path,
) -> None:
    ours = outputs("us", ["a"], "koala") + outputs("us", ["b"], "vicuna")
    theirs = outputs("them", ["B"], "vicuna") + outputs("them", ["A"], "koala")
    pairs = paired(side(tmp_path, "ours.json", ours), side(tmp_path, "theirs.json", theirs))
    assert [(p.dataset, p.candidate.output, p.reference.output) for p in pairs] == [
        ("vicuna", "b", "B"),
        ("koala", "a", "A"),
    ]


def test_datasets_are_let_be_where_one_side_names_none(tmp_path: Path) -> None:
    ours = side(tmp_path, "ours.json", outputs("us", ["a"]))
    theirs = side(tmp_path, "theirs.json", outputs("them", ["A"], "koala"))
    assert len(paired(ours, theirs)) == 1


def test_a_doubled_instruction_is_an_error_that_names_both_rows(tmp_path: Path) -> None:
    doubled = [*outputs("us", ["a", "b"]), *outputs("us", ["c"])]
    good = side(tmp_path, "good.json", outputs("them", ["A", "B"]))
    bad = side(tmp_path, "bad.json", doubled)
    for pair in ((bad, good), (good, bad)):
        with pytest.raises(InputError, match=r"bad\.json: row 3: the same instruction as in row 1"):
            paired(*pair)


def test_a_missing_output_is_an_error_that_names_where_it_is_asked_for(tmp_path: Path) -> None:
    ours = side(tmp_path, "ours.json", outputs("us", ["a"]))
    theirs = side(tmp_path, "theirs.json", outputs("them", ["A", "B", "C"]))
    with pytest.raises(
        InputError, match=r"ours\.json: no output for 2 of the 3 .*theirs\.json.* row 2"
    ):
        paired(ours, theirs)


def test_another_instruction_set_is_an_error_that_says_so(tmp_path: Path) -> None:
    ours = side(tmp_path, "ours.json", [{"instruction": "Who?", "output": "I."}])
    theirs = side(tmp_path, "theirs.json", outputs("them", ["A"]))
    with pytest.raises(InputError, match=r"ours\.json: another instruction set.*theirs\.json"):
        paired(ours, theirs)


def test_an_output_to_what_the_reference_was_not_asked_is_an_error_that_names_its_row(
    tmp_path: Path,
) -> None:
    ours = side(tmp_path, "ours.json", outputs("us", ["a", "b", "c"]))
    theirs = side(tmp_path, "theirs.json", outputs("them", ["A", "B"]))
    with pytest.raises(InputError, match=r"ours\.json: row 3: .*not in .*theirs\.json"):
        paired(ours, theirs)


def test_named_instructions_choose_among_the_outputs(tmp_path: Path) -> None:
    ours = side(tmp_path, "ours.json", outputs("us", ["a", "b", "c"]))
    theirs = side(tmp_path, "theirs.json", outputs("them", ["A", "B", "C", "D"]))
    named = write_rows(tmp_path / "set.json", [{"instruction": "Question 2?"}])
    pairs = paired(ours, theirs, read_instructions(named))
    assert [(p.candidate.output, p.reference.output) for p in pairs] == [("b", "B")]
    foreign: Instructions = read_instructions(
        write_rows(tmp_path / "set.json", [{"instruction": f"Question {n}?"} for n in (3, 4)])
    )
    with pytest.raises(InputError, match=r"ours\.json: no output for 1 of the 2 .*set\.json"):
        paired(ours, theirs, foreign)
