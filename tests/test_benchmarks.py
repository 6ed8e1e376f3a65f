"""What benchmarks measured is in the book: each with its day, missed goals with their reason."""

import argparse
import json
import re
import sys
from datetime import date
from pathlib import Path

import pytest

from bench import book
from bench.book import Entry, Figure, Machine
from scripts import benchmarks
from tests.documents import ROOT

ENTRY = Entry(
    date(2026, 1, 2), "python -m bench.made", Machine(2, 8), (Figure("speed", 7.0, "MB/s"),)
)
DOCUMENT = (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8")
NAMES = [path.stem for path in benchmarks.benchmarks()]


def summary(name: str) -> list[str]:
    """The lines that the first table has of a benchmark."""
    first = DOCUMENT.split("\n## ")[0]
    return [line for line in first.splitlines() if line.startswith(f"| [{name}](#{name}) ")]


@pytest.mark.parametrize("name", NAMES)
def test_every_benchmark_has_a_row_with_its_day_or_with_why_there_is_none(name: str) -> None:
    rows = summary(name)
    assert rows
    if (entry := book.read(name)) is None:
        assert rows == [line for line in rows if "not measured" in line]
        assert book.reasons()[name]["all"] in rows[0]
    else:
        assert all(row.endswith(f"| {entry.date} |") for row in rows)


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_in_the_book_is_in_the_document(name: str) -> None:
    section = DOCUMENT.split(f"\n## {name}\n")[1].split("\n## ")[0]
    entry = book.read(name)
    for figure in entry.figures if entry else ():
        assert f"| {figure.name} | {benchmarks.value(figure)} |" in section


def test_nothing_is_in_the_book_that_no_benchmark_measures() -> None:
    assert {path.stem for path in book.FIGURES.glob("*.json")} <= set(NAMES)


def test_every_missed_goal_has_its_reason_and_no_other_figure_has_one() -> None:
    assert benchmarks.unexplained() == []


def test_a_missed_goal_is_printed_as_missed_with_its_reason() -> None:
    missed = Figure("speed", 0.9, against="raw vLLM", at_least=1.0)
    why = {"speed, against raw vLLM": "reads are on one thread"}
    said = benchmarks.verdict(missed, why)
    assert said == "at least 1: **missed**: reads are on one thread"
    assert benchmarks.verdict(Figure("speed", 1.0, at_least=1.0), why) == "at least 1: met"
    assert "**not measured**" in benchmarks.verdict(Figure("speed", None, at_least=1.0), why)


def test_a_figure_without_a_day_is_refused(tmp_path: Path) -> None:
    book.write("made", ENTRY, tmp_path)
    assert book.read("made", tmp_path) == ENTRY
    said = json.loads((tmp_path / "made.json").read_text())
    del said["date"]
    (tmp_path / "made.json").write_text(json.dumps(said))
    with pytest.raises(ValueError, match=r"made\.json: .*\n.*date"):
        book.read("made", tmp_path)


def test_a_figure_with_a_field_that_is_not_known_is_refused(tmp_path: Path) -> None:
    book.write("made", ENTRY, tmp_path)
    text = (tmp_path / "made.json").read_text().replace('"unit"', '"units"')
    (tmp_path / "made.json").write_text(text)
    with pytest.raises(ValueError, match="units"):
        book.read("made", tmp_path)


def test_a_plain_run_writes_nothing_and_a_recorded_one_an_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(book, "FIGURES", tmp_path)
    figure = Figure.over("speed", [3.0, 1.0, 2.0], "", "the plain way", at_least=4.0)
    for said in ([], ["--record"]):
        monkeypatch.setattr(sys, "argv", ["bench/made.py", "--rows", "3", *said])
        parser = argparse.ArgumentParser()
        parser.add_argument("--rows", type=int)
        assert not list(tmp_path.iterdir())
        book.record(book.asked(parser), figure)
    entry = book.read("made", tmp_path)
    assert entry is not None
    assert entry.command == "python -m bench.made --rows 3"
    assert entry.figures == (figure,)
    assert {"ray", "torch", "pyarrow"} <= set(entry.versions)
    assert "say why" in capsys.readouterr().out


def test_of_several_runs_the_median_and_the_spread_are_told() -> None:
    figure = Figure.over("speed", [3.0, 1.0, 2.5], "MB/s", runs="turns")
    assert benchmarks.value(figure) == "2.50 MB/s"
    assert benchmarks.spread(figure) == "1 to 3 (3 turns)"


def test_make_bench_records_every_benchmark_that_it_runs() -> None:
    target = (ROOT / "Makefile").read_text().split("\nbench: ")[1].split("\n\n")[0]
    runs = re.findall(r"python -m bench\.(\w+)(.*)", target)
    assert runs
    assert all("--record" in said for _, said in runs)
    apart = {"gpu", "truth"}  # one wants a GPU, the other has a target of its own
    assert {name for name, _ in runs} == set(NAMES) - apart
