"""`backtrans score`: a file in, a file out, every row with a score or a reason, resumed at will."""

import datetime
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from backtrans.engines.scripted import HANG
from backtrans.errors import EngineDead
from backtrans.judge import files
from backtrans.judge.columns import kept_names
from backtrans.judge.instruction_backtranslation import InstructionBacktranslation
from backtrans.judge.settings import load_judging
from tests.jobs import configuration
from tests.judge.judges import judge, pairs, read_lines, write_judge, write_pairs
from tests.test_cli import called

SAYS = [f"cheap={1 + number % 5}" for number in range(40)]


def scored(
    folder: Path, *options: object, capsys: pytest.CaptureFixture[str], to: str = "scored.jsonl"
) -> tuple[int, str, str]:
    """Score pairs.jsonl by judge.yaml, or what the options say."""
    every = [str(option) for option in options]
    named = [] if {"--judge", "--run"} & set(every) else ["--judge", folder / "judge.yaml"]
    file = [] if every and every[0].startswith(str(folder)) else [folder / "pairs.jsonl"]
    return called("score", *file, *options, *named, "--out", folder / to, capsys=capsys)


def test_every_row_comes_out_in_order_with_its_columns_and_a_score(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = pairs(SAYS, source="a forum", nested={"a": [1]})
    write_pairs(tmp_path / "pairs.jsonl", rows)
    write_judge(tmp_path)
    code, out, err = scored(tmp_path, capsys=capsys)
    assert (code, err) == (0, "")
    found = read_lines(tmp_path / "scored.jsonl")
    assert [{name: row[name] for name in rows[0]} for row in found] == rows
    assert [row["score"] for row in found] == [1 + number % 5 for number in range(40)]
    assert all(row["expectation"] == row["score"] for row in found)
    assert found[0]["judges"][0]["sent_on"] is None
    assert "40 rows: 40 scored, 0 rejected" in out
    assert "rows/s" in out
    assert "prompt tokens" in out
    record = json.loads((tmp_path / "scored.jsonl.account.json").read_bytes())
    assert record["account"]["scored"] == 40
    assert not (tmp_path / ".scored.jsonl.parts").exists()


def test_rows_without_a_score_are_there_with_their_reason_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = pairs(["cheap=4", "<<refuse>>"])
    rows += [
        {"instruction": "Summarize this passage.", "generation": "So."},
        {"instruction": None, "generation": "So."},
        {"generation": "So."},
        {"instruction": "Why?", "generation": ["a", "list"]},
    ]
    write_pairs(tmp_path / "pairs.jsonl", rows)
    write_judge(tmp_path)
    code, out, _ = scored(tmp_path, capsys=capsys)
    assert code == 0
    assert [row["reject_reason"] for row in read_lines(tmp_path / "scored.jsonl")] == [
        None,
        "refused",
        "instruction_refers",
        "text_missing",
        "text_missing",
        "text_not_string",
    ]
    assert "6 rows: 1 scored, 5 rejected" in out
    assert "2  text_missing" in out


def test_the_formats_hold_the_same_and_parquet_keeps_its_types(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = pairs(SAYS[:7], day=datetime.date(2026, 1, 2), weights=[0.5, 1.5])
    table = pa.Table.from_pylist(rows)
    pq.write_table(table, tmp_path / "pairs.parquet")
    plain = [{**row, "day": "2026-01-02"} for row in rows]
    (tmp_path / "pairs.json").write_text(json.dumps(plain))
    write_pairs(tmp_path / "pairs.jsonl", plain)
    write_judge(tmp_path)
    for ending in ("parquet", "json", "jsonl"):
        source = tmp_path / f"pairs.{ending}"
        for to in (f"{ending}.jsonl", f"{ending}.parquet"):
            code, _, err = scored(tmp_path, source, capsys=capsys, to=to)
            assert (code, err) == (0, "")
    lines = [(tmp_path / f"{ending}.jsonl").read_bytes() for ending in ("parquet", "json", "jsonl")]
    assert len(set(lines)) == 1
    typed = pq.read_table(tmp_path / "parquet.parquet")
    for name in ("day", "weights"):
        assert typed.schema.field(name).type == table.schema.field(name).type
    assert typed.column("day").to_pylist() == [row["day"] for row in rows]
    assert typed.schema.field("score").type == pa.int8()
    # The order of columns is the input's, then the judgement's.
    assert typed.column_names[:2] == ["day", "weights"]
    loose = pq.read_table(tmp_path / "json.parquet").to_pylist()
    assert loose == read_lines(tmp_path / "json.jsonl")


def test_columns_of_the_same_name_are_kept_beside_the_judgements(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {"prompt": "Why?", "output": "cheap=5", "score": "old", "input_score": 1, "model": "x"}
    write_pairs(tmp_path / "pairs.jsonl", [row])
    write_judge(tmp_path)
    code, _, err = scored(tmp_path, "--instruction", "prompt", capsys=capsys)
    assert (code, err) == (0, "")
    (found,) = read_lines(tmp_path / "scored.jsonl")
    assert (found["prompt"], found["instruction"]) == ("Why?", "Why?")
    assert (found["output"], found["generation"]) == ("cheap=5", "cheap=5")
    assert (found["score"], found["input_input_score"], found["input_model"]) == (5, "old", "x")
    assert found["input_score"] == 1


def test_a_scored_file_can_be_scored_again_by_another_judge(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pairs(tmp_path / "pairs.jsonl", pairs(["cheap=2 dear=5"]))
    write_judge(tmp_path)
    scored(tmp_path, capsys=capsys)
    write_judge(tmp_path, judge("dear"))
    code, _, err = scored(tmp_path, tmp_path / "scored.jsonl", capsys=capsys, to="again.parquet")
    assert (code, err) == (0, "")
    (found,) = pq.read_table(tmp_path / "again.parquet").to_pylist()
    assert (found["score"], found["input_score"]) == (5, 2)


def test_no_two_columns_get_one_name() -> None:
    dice = random.Random(1)
    for _ in range(200):
        names = [f"{'input_' * dice.randint(0, 3)}{dice.choice('ab')}" for _ in range(5)]
        names = list(dict.fromkeys(names))
        found = kept_names(names, {"a", "input_a"})
        assert list(found) == names
        assert len(set(found.values()) | {"a", "input_a"}) == len(names) + 2


def test_distilabels_names_are_had_for_the_asking(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pairs(tmp_path / "pairs.jsonl", pairs(["cheap=3"]))
    write_judge(tmp_path, judge(score={"form": "reasoned"}))
    code, _, _ = scored(tmp_path, "--names", "distilabel", capsys=capsys)
    (found,) = read_lines(tmp_path / "scored.jsonl")
    assert code == 0
    assert (found["reason"], found["score"]) == ("It is so.\nScore: 3", 3)
    assert "model_name" in found
    assert "reasoning" not in found


def test_a_runs_judge_scores_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_pairs(tmp_path / "pairs.jsonl", pairs(["So it is"]))
    code, out, err = scored(tmp_path, "--run", configuration(tmp_path), capsys=capsys)
    assert (code, err) == (0, "")
    assert "1 rows: 1 scored" in out


def test_a_cascade_says_what_it_saved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_pairs(tmp_path / "pairs.jsonl", pairs(["cheap=2 dear=2"] * 8 + ["cheap=4.4 dear=5"] * 2))
    write_judge(
        tmp_path,
        judge("cheap", name="cheap", send_on={"margin": 0.5}),
        judge("dear", name="dear", score={"form": "reasoned"}),
    )
    code, out, _ = scored(tmp_path, capsys=capsys)
    assert code == 0
    assert "sent on: 2 of 10 pairs; 2 of them changed sides" in out
    assert "(an estimate" in out
    code, out, _ = scored(tmp_path, "--compare-all", capsys=capsys, to="compared.jsonl")
    assert code == 0
    assert "(measured)" in out
    found = read_lines(tmp_path / "compared.jsonl")
    assert [[each["name"] for each in row["judges"]] for row in found] == [["cheap", "dear"]] * 10


# ---------------------------------------------------------------------- again


def test_the_same_command_again_asks_nothing_and_says_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pairs(tmp_path / "pairs.jsonl", pairs(SAYS))
    path = write_judge(tmp_path)
    _, first, _ = scored(tmp_path, capsys=capsys)
    before = (tmp_path / "scored.jsonl").stat()
    # The judge is dead now, and the same by name: whoever asked it would hear of it.
    text = path.read_text().replace("judges:cheap", "judges:cheap?die_after_requests=0")
    code, again, err = scored(tmp_path, capsys=capsys)
    assert (code, err) == (0, "")
    assert "is there already" in again
    assert first.splitlines()[-2:] == again.splitlines()[-2:]
    assert (tmp_path / "scored.jsonl").stat().st_ino == before.st_ino
    path.write_text(text)
    code, _, err = scored(tmp_path, capsys=capsys)
    assert code == 2
    assert "not by this judge" in err


def test_an_interrupted_command_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "BATCH_ROWS", 4)
    source = write_pairs(tmp_path / "pairs.jsonl", pairs(SAYS))
    judging = load_judging(write_judge(tmp_path))
    whole = tmp_path / "whole.jsonl"
    with InstructionBacktranslation(judging) as asked:
        account = asked.judge_file(source, whole)
    for die_after in (0, 1, 9, 21, 38):
        out = tmp_path / f"{die_after}.jsonl"
        heard: list[str] = []
        with InstructionBacktranslation(judging) as asked:
            engine = asked._opened()[0]._seats[0].engine
            monkeypatch.setattr(engine, "_die_after", die_after)
            with pytest.raises(EngineDead):
                asked.judge_file(source, out)
        assert not out.exists()
        with InstructionBacktranslation(judging) as asked:
            again = asked.judge_file(source, out, say=heard.append)
        assert out.read_bytes() == whole.read_bytes()
        assert again.to_json() == account.to_json()
        assert list(tmp_path.glob(".*parts")) == []
        before = [line for line in heard if "judged before" in line]
        # Batches in flight, at most, are asked about twice.
        least = max(0, die_after // 4 - files.IN_FLIGHT)
        assert (int(before[0].split()[0]) if before else 0) >= 4 * least


@pytest.mark.slow
def test_a_killed_command_goes_on_where_it_stopped(tmp_path: Path) -> None:
    said = [f"cheap={1 + number % 5}" for number in range(4000)]
    said[3900] += f" {HANG}"  # in the last of eight batches: no command ends before it is killed
    rows = pairs(said)
    write_pairs(tmp_path / "pairs.jsonl", rows)
    mended = tmp_path / "mended"
    hanging = {"path": f"scripted:default?mended_by={mended}", "engine": "scripted"}
    write_judge(tmp_path, {"model": hanging})
    out = tmp_path / "scored.jsonl"
    command = [sys.executable, "-m", "backtrans", "score", tmp_path / "pairs.jsonl"]
    command += ["--judge", tmp_path / "judge.yaml", "--out", out]
    parts = tmp_path / ".scored.jsonl.parts"
    for wanted in (1, 3, 5):
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
        while len(list(parts.glob("*.parquet"))) < wanted:
            assert child.poll() is None
            time.sleep(0.01)
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        assert not out.exists()
    mended.touch()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "4,000 rows: 4,000 scored" in done.stdout
    assert "judged before" in done.stdout
    found = read_lines(out)
    assert [row["instruction"] for row in found] == [row["instruction"] for row in rows]
    assert all(row["score"] in range(1, 6) for row in found)


def test_rows_that_are_added_are_asked_about_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "BATCH_ROWS", 4)
    judging = load_judging(write_judge(tmp_path))
    out = tmp_path / "scored.jsonl"
    source = write_pairs(tmp_path / "pairs.jsonl", pairs([*SAYS[:9], "<<kill>>"]))
    with InstructionBacktranslation(judging) as asked, pytest.raises(EngineDead):
        asked.judge_file(source, out)
    write_pairs(source, pairs(SAYS[:20]))
    heard: list[str] = []
    with InstructionBacktranslation(judging) as asked:
        asked.judge_file(source, out, say=heard.append)
    assert [row["score"] for row in read_lines(out)] == [1 + number % 5 for number in range(20)]
    # Of ten rows before, the two batches of four that are the same now; the third was never whole.
    assert heard[0] == "8 rows had been judged before"


def test_what_one_judge_has_begun_another_does_not_take_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "BATCH_ROWS", 4)
    out = tmp_path / "scored.jsonl"
    source = write_pairs(tmp_path / "pairs.jsonl", pairs(["cheap=1 dear=5"] * 20 + ["<<kill>>"]))
    cheap = load_judging(write_judge(tmp_path))
    with InstructionBacktranslation(cheap) as asked, pytest.raises(EngineDead):
        asked.judge_file(source, out)
    assert list((tmp_path / ".scored.jsonl.parts").glob("*.parquet"))
    write_pairs(source, pairs(["cheap=1 dear=5"] * 20))
    with InstructionBacktranslation(load_judging(write_judge(tmp_path, judge("dear")))) as asked:
        asked.judge_file(source, out)
    assert {row["score"] for row in read_lines(out)} == {5}


def test_an_output_of_other_rows_or_another_judge_is_replaced_on_demand_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pairs(tmp_path / "pairs.jsonl", pairs(["cheap=1"]))
    write_judge(tmp_path)
    scored(tmp_path, capsys=capsys)
    write_pairs(tmp_path / "pairs.jsonl", pairs(["cheap=2"]))
    code, _, err = scored(tmp_path, capsys=capsys)
    assert code == 2
    assert "of other rows" in err
    assert read_lines(tmp_path / "scored.jsonl")[0]["score"] == 1
    write_pairs(tmp_path / "pairs.jsonl", pairs(["cheap=2", "<<kill>>"]))
    assert scored(tmp_path, "--overwrite", capsys=capsys)[0] == 1
    assert read_lines(tmp_path / "scored.jsonl")[0]["score"] == 1, "until another is judged whole"
    write_pairs(tmp_path / "pairs.jsonl", pairs(["cheap=2"]))
    assert scored(tmp_path, "--overwrite", capsys=capsys)[0] == 0
    assert read_lines(tmp_path / "scored.jsonl")[0]["score"] == 2
    (tmp_path / "mine.jsonl").write_text("something of mine\n")
    code, _, err = scored(tmp_path, capsys=capsys, to="mine.jsonl")
    assert code == 2
    assert "is there already" in err
    assert (tmp_path / "mine.jsonl").read_text() == "something of mine\n"


def test_a_part_that_is_broken_is_judged_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "BATCH_ROWS", 4)
    judging = load_judging(write_judge(tmp_path))
    source = write_pairs(tmp_path / "pairs.jsonl", pairs([*SAYS[:30], "<<kill>>"]))
    out = tmp_path / "scored.jsonl"
    with InstructionBacktranslation(judging) as asked, pytest.raises(EngineDead):
        asked.judge_file(source, out)
    parts = sorted((tmp_path / ".scored.jsonl.parts").glob("*.parquet"))
    assert parts
    parts[0].write_bytes(b"PAR1 and no more")
    write_pairs(source, pairs(SAYS[:30]))
    with InstructionBacktranslation(judging) as asked:
        assert asked.judge_file(source, out).scored == 30


# ---------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("rows", "options", "code", "said"),
    [
        ([{"instruction": "a", "generaton": "b"}], [], 1, "did you mean 'generaton'"),
        (pairs(["a"]), ["--instruction", "instrution"], 1, "did you mean 'instruction'"),
        (
            [{"prompt": "a", "answer": "b"}],
            [],
            1,
            "no column 'instruction'. There are: prompt, answer; ",
        ),
        ([{"instruction": 5, "generation": "b"}], [], 1, "row 1: 'instruction' holds no text"),
        ([], [], 1, "holds no rows"),
        (pairs(["<<refuse>>"]), [], 3, "none of 1 pairs was scored"),
        (pairs(["<<kill>>"]), [], 1, "dead"),
        (pairs(["a"]), ["--names", "mine"], 2, "mine"),
    ],
)
def test_a_mistake_is_one_line_that_names_it(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    rows: list[dict[str, Any]],
    options: list[str],
    code: int,
    said: str,
) -> None:
    write_pairs(tmp_path / "pairs.jsonl", rows)
    write_judge(tmp_path)
    got, out, err = scored(tmp_path, *options, capsys=capsys)
    assert got == code
    assert said in err
    assert "Traceback" not in out + err


@pytest.mark.parametrize(
    ("source", "to", "said"),
    [
        ("pairs.jsonl", "scored.csv", "scored.csv: its ending does not say"),
        ("pairs.csv", "scored.jsonl", "pairs.csv: is none of"),
        ("none.jsonl", "scored.jsonl", "none.jsonl: cannot be read"),
        ("pairs.jsonl", "pairs.jsonl", "is the input"),
        ("pairs.jsonl", "taken/scored.jsonl", "cannot be written"),
    ],
)
def test_files_that_cannot_be_read_or_written_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], source: str, to: str, said: str
) -> None:
    write_pairs(tmp_path / "pairs.jsonl", pairs(["a"]))
    write_pairs(tmp_path / "pairs.csv", pairs(["a"]))
    (tmp_path / "taken").write_text("a file")
    write_judge(tmp_path)
    code, _, err = scored(tmp_path, tmp_path / source, capsys=capsys, to=to)
    assert code in (1, 2)
    assert said in err


def test_one_judge_is_to_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_pairs(tmp_path / "pairs.jsonl", pairs(["a"]))
    given = ["score", tmp_path / "pairs.jsonl", "--out", tmp_path / "scored.jsonl"]
    for options in ([], ["--judge", "a.yaml", "--run", "b.yaml"]):
        code, _, err = called(*given, *options, capsys=capsys)
        assert code == 2
        assert "one of the two" in err


def test_a_column_of_two_kinds_cannot_be_parquet_and_can_be_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{**pairs(["a"])[0], "tag": "x"}, {**pairs(["a"])[0], "tag": {"y": 1}}]
    write_pairs(tmp_path / "pairs.jsonl", rows)
    write_judge(tmp_path)
    code, _, err = scored(tmp_path, capsys=capsys, to="scored.parquet")
    assert code == 1
    assert "'tag' holds values of several kinds" in err
    assert scored(tmp_path, capsys=capsys)[0] == 0
