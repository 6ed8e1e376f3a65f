"""The sheet that people label: harmless to a spreadsheet, read back whatever one made of it."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtrans.calibration.labels import (
    guarded,
    read_labels,
    read_sheet,
    scores_path,
    unguarded,
    write_sample,
)
from backtrans.calibration.pool import read_scored
from backtrans.calibration.sample import draw
from backtrans.errors import ConfigError, InputError
from tests.calibration.pools import mark, write_pool

FORMULA = '=HYPERLINK("http://x.example";"hi")'
texts = st.text(st.sampled_from("=+-@';\t\n\r \"a,＝"), max_size=12) | st.text(max_size=40)


@pytest.fixture
def sheet(tmp_path: Path) -> Path:
    write_pool(tmp_path / "pool.jsonl", 60)
    path = tmp_path / "labels.csv"
    write_sample(draw(read_scored(tmp_path / "pool.jsonl"), 24, 0), path, source="p", seed=0)
    return path


@given(texts)
def test_no_text_begins_a_formula_and_each_comes_back_as_it_was(text: str) -> None:
    found = guarded(text)
    assert unguarded(found) == text
    # Read with the separator of another country, a cell may begin within the text.
    line = io.StringIO(newline="")
    csv.writer(line, quoting=csv.QUOTE_ALL).writerow(["p1", found])
    for separator in ",;\t":
        for cells in csv.reader(io.StringIO(line.getvalue(), newline=""), delimiter=separator):
            for cell in cells:
                begins = cell.lstrip(" ")[:2]
                assert begins[:1] not in ("=", "@", "＝")
                assert begins[:1] not in ("+", "-") or begins[1:].isspace() or len(begins) == 1


def test_a_formula_in_a_document_is_text_in_the_sheet(tmp_path: Path) -> None:
    row = {"instruction": FORMULA, "response": "+1 555\n@SUM(A1)", "score": 4.0}
    (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n")
    path = tmp_path / "labels.csv"
    write_sample(draw(read_scored(tmp_path / "a.jsonl"), 5, 0), path, source="a", seed=0)
    sheet = read_sheet(path)
    assert sheet.cell(0, "instruction").startswith("'=")
    assert sheet.cell(0, "response") == "'+1 555\n'@SUM(A1)"
    assert unguarded(sheet.cell(0, "instruction")) == FORMULA


def test_the_labeller_sees_no_score_unless_asked_for(sheet: Path, tmp_path: Path) -> None:
    assert read_sheet(sheet).header == ["id", "instruction", "response", "label"]
    open_sheet = tmp_path / "open.csv"
    sample = draw(read_scored(tmp_path / "pool.jsonl"), 24, 0)
    write_sample(sample, open_sheet, source="p", seed=0, show_scores=True)
    assert "score" in read_sheet(open_sheet).header


def test_labels_are_never_written_over(sheet: Path, tmp_path: Path) -> None:
    sample = draw(read_scored(tmp_path / "pool.jsonl"), 24, 0)
    with pytest.raises(ConfigError, match="may hold labels"):
        write_sample(sample, sheet, source="p", seed=0)


def european(text: str) -> bytes:
    """Write it as a spreadsheet with decimal commas does: semicolons, CRLF, quotes where needed."""
    out = io.StringIO(newline="")
    lines = csv.reader(io.StringIO(text, newline=""))
    csv.writer(out, delimiter=";", lineterminator="\r\n").writerows(lines)
    return out.getvalue().encode("utf-8-sig")


def tabs_and_notes(text: str) -> bytes:
    out = io.StringIO(newline="")
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    writer = csv.writer(out, delimiter="\t", lineterminator="\n")
    writer.writerow(["Note", *(name.upper() for name in header)])
    writer.writerows([["", *row] for row in reversed(rows)])
    return out.getvalue().encode()


@pytest.mark.parametrize("edited", [european, tabs_and_notes])
def test_a_sheet_that_a_spreadsheet_wrote_again_says_the_same(
    sheet: Path, tmp_path: Path, edited: Callable[[str], bytes]
) -> None:
    mark(sheet, write_pool(tmp_path / "again.jsonl", 60))
    before = read_labels(sheet)
    sheet.write_bytes(edited(sheet.read_text(encoding="utf-8-sig")))
    after = read_labels(sheet)
    assert sorted(after.pairs, key=lambda p: p.id) == sorted(before.pairs, key=lambda p: p.id)


def with_label(row: int, label: str) -> Callable[[Path], None]:
    def edit(path: Path) -> None:
        sheet = read_sheet(path)
        sheet.label(0, "4")
        sheet.label(row, label)
        sheet.save()

    return edit


def with_text(old: str, new: str) -> Callable[[Path], None]:
    def edit(path: Path) -> None:
        path.write_text(path.read_text(encoding="utf-8-sig").replace(old, new, 1))

    return edit


def doubled(path: Path) -> None:
    sheet = read_sheet(path)
    sheet.rows.append(sheet.rows[0])
    sheet.save()


def with_blank_rows(path: Path) -> None:
    with_label(3, "6")(path)
    header, rest = path.read_text(encoding="utf-8-sig").split("\n", 1)
    path.write_text(f"{header}\n\n,,,\n{rest}")


def in_another_code(path: Path) -> None:
    path.write_bytes("id;label\np1;é".encode("cp1252"))


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (with_label(3, "6"), "row 5: '6' is out of range"),
        (with_label(3, "0"), "row 5: '0' is out of range"),
        (with_label(3, "4.5"), "row 5: '4.5' is out of range"),
        (with_label(3, "perhaps"), "row 5: 'perhaps' is no label"),
        (with_label(3, "y"), "row 5: the label is 'y' where those before are 1 to 5"),
        (with_text('"p', '"q'), "row 2: the id 'q"),
        (with_text('"label"', '"Label 1"'), "row 1: needs the columns label"),
        (doubled, "row 26: the id of row 2 again"),
        (with_blank_rows, "row 7: '6' is out of range"),
        (in_another_code, "is not UTF-8"),
    ],
)
def test_what_is_wrong_in_a_sheet_is_named_by_file_and_row(
    sheet: Path, edit: Callable[[Path], None], said: str
) -> None:
    edit(sheet)
    with pytest.raises(InputError) as caught:
        read_labels(sheet)
    assert str(sheet) in str(caught.value)
    assert said in str(caught.value)


def test_a_sheet_without_its_scores_says_what_is_missing(sheet: Path) -> None:
    scores_path(sheet).unlink()
    with pytest.raises(InputError, match=r"labels\.scores\.json: cannot be read"):
        read_labels(sheet)


def test_a_number_that_a_spreadsheet_wrote_as_one_is_a_label(sheet: Path) -> None:
    with_label(1, "5,0")(sheet)
    assert [pair.label for pair in read_labels(sheet).pairs] == ["4", "5"]
