"""Labelling at a terminal: one key a label, nothing lost, nothing that a document can do there."""

import io
import json
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from backtrans.calibration.labelling import keyboard, label, shown
from backtrans.calibration.labels import read_sheet, write_sample
from backtrans.calibration.pool import read_scored
from backtrans.calibration.sample import draw

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x1b[31mred\x9b1m\u202eevil\rover\x08\nsecond\tline [bold]x[/]"


@pytest.fixture
def sheet(tmp_path: Path) -> Path:
    rows = [{"instruction": f"{n} {HOSTILE}", "response": HOSTILE, "score": 4.0} for n in range(5)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = tmp_path / "labels.csv"
    write_sample(draw(read_scored(tmp_path / "a.jsonl"), 5, 0), path, source="a", seed=0)
    return path


def pressed(path: Path, keys: str) -> tuple[list[str], str]:
    """Press these keys, and then nothing; return the sheet's labels and what was shown."""
    waiting: Iterator[str] = iter(keys)

    def read_key() -> str:
        try:
            return next(waiting)
        except StopIteration:
            raise EOFError from None

    screen = io.StringIO()
    label(read_sheet(path), read_key, Console(file=screen, width=80))
    return read_sheet(path).labels(), screen.getvalue()


def test_a_key_is_a_label_and_it_is_there_at_once(sheet: Path) -> None:
    assert pressed(sheet, "4")[0] == ["4", "", "", "", ""]
    assert pressed(sheet, "5s2")[0] == ["4", "5", "s", "2", ""]  # the same command goes on
    assert pressed(sheet, "1")[0] == ["4", "5", "s", "2", "1"]
    assert pressed(sheet, "3")[0] == ["4", "5", "s", "2", "1"]  # all have one


def test_back_asks_again_and_quitting_keeps_what_was_said(sheet: Path) -> None:
    assert pressed(sheet, "b5b1q4")[0] == ["1", "", "", "", ""]
    assert pressed(sheet, "45bb")[0] == ["1", "", "", "", ""]


def test_a_wrong_key_changes_nothing_and_says_which_there_are(sheet: Path) -> None:
    labels, screen = pressed(sheet, "4xy7\x1b5")
    assert labels == ["4", "5", "", "", ""]
    assert "the labels of this sheet are 1 to 5" in screen
    assert "1-5 or y/n" in screen


def test_a_key_that_sends_several_bytes_is_one_key_and_no_label(
    sheet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = os.pipe()
    page_up, down, f1, f2_of_a_console, alt_b = (
        b"\x1b[5~",
        b"\x1b[B",
        b"\x1bOP",
        b"\x1b[[B",
        b"\x1bb",
    )
    os.write(theirs, b"4" + page_up + down + f1 + f2_of_a_console + alt_b + b"2\x1b")
    os.close(theirs)
    screen = io.StringIO()
    with os.fdopen(ours) as typed, monkeypatch.context() as patch:
        patch.setattr(sys, "stdin", typed)
        with keyboard() as read_key:
            assert label(read_sheet(sheet), read_key, Console(file=screen, width=80)) == 2
    assert read_sheet(sheet).labels() == ["4", "2", "", "", ""]
    assert screen.getvalue().count("1-5 or y/n") == 3 + 5 + 1  # shown with each pair, and refusals


def test_yes_and_no_are_a_scale_too(sheet: Path) -> None:
    assert pressed(sheet, "yNy")[0] == ["y", "n", "y", "", ""]


def test_nothing_in_a_pair_commands_the_terminal(sheet: Path) -> None:
    _, screen = pressed(sheet, "4")
    assert set(screen) - {"\n"} == {c for c in screen if c.isprintable()}
    assert r"\x1b]0;owned\x07" in screen
    assert "[bold]x[/]" in screen  # nor the library that draws it


def test_lines_stay_lines() -> None:
    assert shown("a\nb\tc\r\nd") == "a\nb   c\nd"


@pytest.mark.slow
def test_it_works_on_a_terminal_and_survives_being_killed(sheet: Path) -> None:
    ours, theirs = pty.openpty()
    code = "from backtrans.cli import main; main()"
    command = [sys.executable, "-c", code, "calibrate", "label", str(sheet)]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen = b""
    try:
        for number, key in enumerate(b"45", start=1):
            seen += until(ours, f"{number} of 5".encode())
            os.write(ours, bytes([key]))
        seen += until(ours, b"3 of 5")
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert read_sheet(sheet).labels() == ["4", "5", "", "", ""]
    assert b"\x1b]0;owned" not in seen


def until(terminal: int, mark: bytes, seconds: float = 60) -> bytes:
    """Read a terminal until a mark and the line of keys after it were shown."""
    seen, end = b"", time.monotonic() + seconds
    while mark not in seen or b"q: quit" not in seen.split(mark)[-1]:
        assert time.monotonic() < end, seen
        if select.select([terminal], [], [], 0.2)[0]:
            seen += os.read(terminal, 65536)
    return seen
