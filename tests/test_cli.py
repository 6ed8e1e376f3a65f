"""The command line: exit codes, plain lines without a terminal, one clear line for an error."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from backtrans import cli
from backtrans.config import load
from backtrans.engines.scripted import HANG
from backtrans.pipeline import Pipeline
from tests.cuts import faulty_models, write_marked
from tests.jobs import (
    Silent,
    config,
    configuration,
    document,
    published,
    write_corpus,
    write_jsonl,
)

DEADLINE_SECONDS = 60
LOOK_SECONDS = 0.005
"""Between two looks at what a driver has done, which else has to share a core with who looks."""

DRAIN_SECONDS = 120
"""Within which a run that is told to stop has ended: the notice that a spot machine is given."""


def called(*arguments: object, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Call the command line in this process; return its exit code and what it wrote."""
    old = sys.argv
    sys.argv = ["backtrans", *map(str, arguments)]
    try:
        with pytest.raises(SystemExit) as ended:
            cli.main()
    finally:
        sys.argv = old
    written = capsys.readouterr()
    code = ended.value.code
    return (code if isinstance(code, int) else 0), written.out, written.err


def test_a_run_ends_in_0_and_says_where_the_splits_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_corpus(tmp_path)
    code, out, _ = called("run", configuration(tmp_path), capsys=capsys)
    assert code == 0
    files = re.findall(r"^A[45]: [\d,]+ rows in (\S+)", out, re.MULTILINE)
    assert len(files) == 2
    assert all(Path(file).is_file() for file in files)
    assert "4  too_short" in out


def test_without_a_terminal_there_is_no_control_code_and_a_line_a_phase(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_corpus(tmp_path)
    _, out, err = called("run", configuration(tmp_path), capsys=capsys)
    assert "\x1b" not in out + err
    assert "\r" not in out + err
    assert "backtranslate+score: 6 to do" in out
    assert re.search(r"backtranslate\+score: 6 of 6, [\d,.]+ rows/s, [\d,]+ tokens/s", out)


def test_a_second_run_says_that_it_computed_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_corpus(tmp_path)
    path = configuration(tmp_path)
    called("run", path, capsys=capsys)
    code, out, _ = called("run", path, capsys=capsys)
    assert code == 0
    assert "computed nothing" in out
    assert f"backtrans report {path}" in out, "and what to do next"


def test_plan_and_status_and_validate_say_what_there_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_corpus(tmp_path)
    path = configuration(tmp_path)
    _, out, _ = called("validate", path, capsys=capsys)
    assert "2 input object(s)" in out
    _, out, _ = called("plan", path, capsys=capsys)
    assert "2 pending: 2 a new or changed object" in out
    _, out, _ = called("status", path, capsys=capsys)
    assert "no snapshot published yet" in out
    called("run", path, capsys=capsys)
    _, out, _ = called("plan", configuration(tmp_path, recipe__curate__a5=4.0), capsys=capsys)
    assert "changed: curate.a5: 3.2 -> 4.0" in out
    assert "6 pending: 6 the recipe changed" in out


def test_sweep_lists_first_and_deletes_when_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_corpus(tmp_path)
    path = configuration(tmp_path)
    called("run", path, capsys=capsys)
    orphan = tmp_path / "out/parts/score/0123-late.parquet"
    orphan.write_bytes(b"left behind")
    parts = sorted((tmp_path / "out/parts").rglob("*.parquet"))
    _, out, _ = called("sweep", path, "--older-than-hours", 0, capsys=capsys)
    assert "0123-late" in out
    assert orphan.exists()
    _, out, _ = called("sweep", path, "--older-than-hours", 0, "--delete", capsys=capsys)
    assert "1 orphan(s) deleted" in out
    assert " of runs that have ended deleted" in out
    assert list((tmp_path / "out").glob("attempts/*/*/*")) == []
    assert sorted((tmp_path / "out/parts").rglob("*.parquet")) == [p for p in parts if p != orphan]


@pytest.mark.parametrize(
    ("changes", "code", "word"),
    [
        ({"recipe__corpus__path": "x"}, 2, "did you mean 'paths'"),
        ({"recipe__corpus__paths": ["nothing-here/*"]}, 1, "nothing-here"),
        ({"recipe__models__backward": {"path": "./missing"}}, 1, "missing"),
    ],
)
def test_an_error_is_one_line_that_names_the_thing_and_a_code(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, object],
    code: int,
    word: str,
) -> None:
    write_corpus(tmp_path)
    got, out, err = called("run", configuration(tmp_path, **changes), capsys=capsys)
    assert got == code
    assert word in err
    assert "Traceback" not in out + err


def test_an_incomplete_run_ends_in_3_and_names_what_it_gave_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_corpus(tmp_path)
    (tmp_path / "corpus/broken.parquet").write_bytes(b"no parquet")
    code, out, err = called("run", configuration(tmp_path), capsys=capsys)
    assert code == 3
    assert "broken.parquet" in out
    assert "broken.parquet" in err


def test_a_variable_that_lets_input_files_run_code_stops_every_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_DATA_AUTOLOAD_PICKLE_OBJECT_SCALAR", "1")
    code, _, err = called("plan", configuration(tmp_path), capsys=capsys)
    assert code == 2
    assert "RAY_DATA_AUTOLOAD_PICKLE_OBJECT_SCALAR" in err


def test_the_schema_for_editors_names_every_section(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = called("schema", capsys=capsys)
    assert {"Recipe", "Placement", "Corpus", "Score"} <= set(json.loads(out)["$defs"])


@pytest.mark.slow
def test_a_driver_killed_in_the_middle_loses_nothing_and_asks_nothing_again(
    tmp_path: Path,
) -> None:
    write_corpus(tmp_path, files=3)
    whole = Pipeline(config(tmp_path, name="whole.yaml", placement__root="whole"))
    command = [sys.executable, "-m", "backtrans", "run"]
    subprocess.run([*command, str(tmp_path / "whole.yaml")], check=True, capture_output=True)
    path = configuration(tmp_path)
    commits = tmp_path / "out/commits"

    def committed() -> set[tuple[str, int]]:
        # The inode tells a record that was written again from one that was left alone.
        return {(str(p), p.stat().st_ino) for p in commits.rglob("*.json")}

    for kill_at in (2, 7, 12, 20):
        driver = subprocess.Popen([*command, str(path)], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + DEADLINE_SECONDS
        while len(committed()) < kill_at and driver.poll() is None:
            assert time.monotonic() < deadline, "the driver made no progress"
            time.sleep(LOOK_SECONDS)
        driver.send_signal(signal.SIGKILL)
        driver.wait()
        before = committed()
        assert before, "killed before it had done anything"
    subprocess.run([*command, str(path)], check=True, capture_output=True)
    assert before <= committed()
    killed = Pipeline(config(tmp_path))
    assert by_id(published(killed)) == by_id(published(whole))
    assert killed.plan().nothing_pending
    assert [s.rows_in for s in killed.status().stages] == [s.rows_in for s in whole.status().stages]
    spent, costs = killed.status().costs, whole.status().costs
    assert (spent.whole.tokens, spent.pairs) == (costs.whole.tokens, costs.pairs)


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["local", pytest.param("ray", marks=pytest.mark.ray)])
def test_a_driver_told_to_stop_while_an_engine_hangs_ends_in_time_and_the_next_one_goes_on(
    tmp_path: Path, runtime: str
) -> None:
    write_corpus(tmp_path, files=3)
    hanging = [document(n) for n in range(20)]
    hanging[4]["text"] += f" {HANG}"
    write_jsonl(tmp_path / "corpus/part-0.jsonl.gz", hanging)
    mended = tmp_path / "mended"
    engine = f"scripted:default?latency_seconds=0.3&mended_by={mended}"
    slow = {"path": engine, "engine": "scripted"}
    models = {"recipe__models": {"backward": slow, "forward": slow}}
    path = configuration(tmp_path, placement__runtime=runtime, **models)
    command = [sys.executable, "-m", "backtrans", "run", str(path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as driver:
        deadline = time.monotonic() + 3 * DEADLINE_SECONDS  # Ray takes its time to start
        while not list((tmp_path / "out/commits/backtranslate").glob("**/*.json")):
            assert driver.poll() is None, driver.communicate()[1].decode()
            assert time.monotonic() < deadline, "the driver made no progress"
            time.sleep(LOOK_SECONDS)
        driver.send_signal(signal.SIGTERM)
        _, said = driver.communicate(timeout=DRAIN_SECONDS)
    assert driver.returncode == 143
    assert said.decode().endswith("stopped by SIGTERM; run it again to go on\n")
    mended.touch()
    stopped = Pipeline(config(tmp_path, **models))
    kept = {commit.name for commit in (tmp_path / "out/commits").rglob("*.json")}
    assert not stopped.plan().nothing_pending, "it was told in the middle"
    stopped.run(Silent())
    assert kept < {commit.name for commit in (tmp_path / "out/commits").rglob("*.json")}
    whole = Pipeline(config(tmp_path, placement__root="whole", **models))
    whole.run(Silent())
    assert by_id(published(stopped)) == by_id(published(whole))


def by_id(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    return sorted(rows, key=lambda row: str(row["id"]))


def test_nothing_of_the_environment_is_written_under_the_root(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    canary = "canary-9f31c7"
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", canary)
    write_corpus(tmp_path)
    _, out, err = called("run", configuration(tmp_path), capsys=capsys)
    assert canary not in out + err
    files = [
        Path(folder) / name for folder, _, names in os.walk(tmp_path / "out") for name in names
    ]
    assert files
    assert not [file for file in files if canary.encode() in file.read_bytes()]


# ------------------------------------------------------------------ rejects, and doing them again


def test_rejects_are_listed_with_where_they_stand_and_counted_at_the_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_corpus(tmp_path)
    (tmp_path / "corpus/broken.parquet").write_bytes(b"no parquet")
    path = configuration(tmp_path, placement__min_complete=0.5)
    called("run", path, capsys=capsys)
    code, out, _ = called("rejects", path, capsys=capsys)
    assert code == 0
    assert f"select  too_short  {tmp_path}/corpus/part-0.jsonl.gz row 9  doc-9" in out
    assert "quarantined" in out
    assert "broken.parquet" in out
    assert re.search(r"^ +4  too_short$", out, re.MULTILINE)
    assert "word1" not in out
    _, out, _ = called("rejects", path, "--limit", 1, "--reason", "too_short", capsys=capsys)
    assert len(out.splitlines()) == 3
    assert out.splitlines()[1].split() == ["4", "too_short"]
    _, out, _ = called("rejects", path, "--stage", "score", capsys=capsys)
    assert "too_short" not in out


def test_rejects_as_lines_of_json_are_nothing_but_that(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_corpus(tmp_path)
    path = configuration(tmp_path)
    called("run", path, capsys=capsys)
    _, out, err = called("rejects", path, "--format", "jsonl", capsys=capsys)
    rows = [json.loads(line) for line in out.splitlines()]
    listed = {row["reason"] for row in rows}
    assert sum(row["reason"] == "too_short" for row in rows) == 4
    assert all(set(row) == set(rows[0]) for row in rows)
    assert {"stage", "reason", "object", "row", "document_id", "detail"} == set(rows[0])
    assert all(reason in err for reason in listed)


def test_what_commands_a_terminal_is_spelt_out_among_the_rejects(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nasty = {**document(1, words=3), "id": "\x1b[2J\x07a\u202eb\nselect  kept"}
    write_jsonl(tmp_path / "corpus/a.jsonl.gz", [nasty])
    path = configuration(tmp_path)
    called("run", path, capsys=capsys)
    for form in ("table", "jsonl"):
        _, out, _ = called("rejects", path, "--format", form, capsys=capsys)
        assert not set("\x1b\x07\u202e") & set(out)
        assert len([line for line in out.splitlines() if "too_short" in line]) <= 2
    _, out, _ = called("rejects", path, capsys=capsys)
    assert r"\x1b[2J\x07a\u202eb\nselect  kept" in out


@pytest.mark.parametrize(
    ("arguments", "near"),
    [
        (("rejects", "--reason", "to_short"), "'too_short'"),
        (("rejects", "--stage", "scores"), "'score'"),
        (("run", "--retry-rejects", "refuse"), "'refused'"),
    ],
)
def test_a_name_that_does_not_exist_is_an_error_with_the_nearest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], near: str
) -> None:
    write_corpus(tmp_path)
    command, *options = arguments
    code, _, err = called(command, configuration(tmp_path), *options, capsys=capsys)
    assert code == 2
    assert f"did you mean {near}" in err


def test_a_retry_says_how_many_rows_were_done_again_and_how_many_came_through(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_marked(tmp_path)
    path = configuration(tmp_path, recipe__models=faulty_models(tmp_path))
    called("run", path, capsys=capsys)
    (tmp_path / "mended").touch()
    options = ("--retry-rejects", "refused", "--retry-rejects", "instruction_empty")
    code, out, _ = called("run", path, *options, capsys=capsys)
    assert code == 0
    assert "retried 3 row(s): 3 came through" in out


def test_status_counts_repeated_document_ids_when_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_jsonl(tmp_path / "corpus/a.jsonl.gz", [document(1), document(2), document(1, words=140)])
    path = configuration(tmp_path)
    called("run", path, capsys=capsys)
    _, out, _ = called("status", path, "--ids", capsys=capsys)
    assert "document ids: 2 distinct; 1 row(s) repeat one; 0 row(s) have none" in out


def test_a_takedown_of_nothing_shows_what_was_taken_down(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_corpus(tmp_path, files=1)
    path = configuration(tmp_path)
    assert "nothing is taken down" in called("takedown", path, capsys=capsys)[1]
    called("takedown", path, "--id", "doc-1", "--reason", "asked", "--apply", capsys=capsys)
    code, out, _ = called("takedown", path, capsys=capsys)
    assert code == 0
    assert "asked" in out
    assert "id doc-1" in out


def test_publishing_asks_no_model_and_leaves_out_what_was_taken_down(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_corpus(tmp_path, files=1)
    path = configuration(tmp_path)
    assert called("publish", path, capsys=capsys)[0] == 3
    called("run", path, capsys=capsys)
    before = published(Pipeline(load(path)))
    called("takedown", path, "--id", before[0]["document_id"], "--apply", capsys=capsys)
    code, out, _ = called("publish", path, capsys=capsys)
    assert code == 0
    assert re.search(rf"^snapshot 2: A5 \d+, A4 {len(before) - 1} rows$", out, re.MULTILINE)
    assert published(Pipeline(load(path))) == before[1:]
