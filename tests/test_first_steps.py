"""The README's first steps, taken as a newcomer takes them, over a demo that has run."""

import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from tests.documents import ROOT, first_steps
from tests.finished import FinishedDemo
from tests.jobs import document, write_jsonl


@pytest.mark.slow
@pytest.mark.vllm
@pytest.mark.ray
def test_every_command_of_the_first_steps_does_what_the_readme_says(
    finished_demo: FinishedDemo, tmp_path: Path
) -> None:
    (tmp_path / "demo").symlink_to(finished_demo.folder)
    (tmp_path / "examples").mkdir()
    example = ROOT / "examples/local-scripted.yaml"
    (tmp_path / "examples" / example.name).write_bytes(example.read_bytes())
    long, short = document(1), document(2, words=20)
    write_jsonl(tmp_path / "corpus/mine.jsonl.gz", [long, short])
    printed = {}
    for command in first_steps():
        done = subprocess.run(
            [sys.executable, "-m", *command.split()],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}: {done.stderr}"
        printed[command] = done.stdout
    snapshot = finished_demo.summary.snapshot
    assert snapshot is not None
    assert f"A5: {snapshot.rows['A5']:,} rows" in printed["backtrans status demo/demo.yaml"]
    pairs = (tmp_path / "a5.jsonl").read_bytes().splitlines()
    assert len(pairs) == snapshot.rows["A5"]
    assert [m["role"] for m in orjson.loads(pairs[0])["messages"]] == ["user", "assistant"]
    page = (tmp_path / "report.html").read_text()
    assert f"A5: 25 of {snapshot.rows['A5']} pair(s)" in page
    assert "world-20002" in page
    own = printed["backtrans run examples/local-scripted.yaml"]
    assert "2 rows in, 1 kept, 1 rejected" in own
    assert "too_short" in printed["backtrans rejects examples/local-scripted.yaml"]
    assert "too_short" in (tmp_path / "own.html").read_text()
