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
from backtrans.pipeline import Pipeline
from tests.jobs import config, configuration, published, write_corpus

DEADLINE_SECONDS = 60


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
