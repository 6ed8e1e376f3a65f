"""Every command that a document names is run: here, over a small run, or in another test."""

import json
import shlex
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from backtrans.calibration.labels import read_sheet, write_sample
from backtrans.calibration.pool import scored_of
from backtrans.calibration.sample import draw
from backtrans.config import load
from backtrans.pipeline import Pipeline
from tests.documents import DOCUMENTS, ROOT, commands, first_steps
from tests.evaluation.judges import outputs, write_evaluation, write_rows
from tests.jobs import Silent, configuration, document, write_corpus, write_jsonl
from tests.judge.judges import pairs, write_judge, write_pairs
from tests.test_cli import called
from tests.test_fitting import LLAMA_8B

COMMANDS = sorted(
    {
        line
        for each in DOCUMENTS
        if each.name != "commands.md"
        for line in commands(each.read_text(encoding="utf-8"))
    }
    - set(first_steps())  # tests/test_first_steps.py takes these
)

ELSEWHERE = {
    "backtrans submit ": "tests/runtime/test_submission.py",  # a job server
    "backtrans calibrate label ": "tests/calibration/test_labelling.py",  # a keyboard
    "backtrans train ": "tests/training/test_run.py",  # trained models
    "backtrans run run.yaml --rounds ": "tests/test_rounds.py",  # the same
    "backtrans rounds ": "tests/test_rounds.py",
}
"""What needs more than files, and the test that has it."""

MADE_BY = {
    "--calibration": "calibrate report labels.csv --json",
    "--audit": "audit judge.yaml pairs.jsonl --json",
}
"""Which command wrote the file that an option names."""


def where(command: str) -> str | None:
    return next((test for part, test in ELSEWHERE.items() if part in command), None)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with every file that the documents name, and a run with two snapshots."""
    folder = tmp_path_factory.mktemp("commands")
    write_corpus(folder, files=4)
    run = configuration(folder, placement__lake={"uri": "lake"})
    Pipeline(load(run)).run(Silent())
    write_jsonl(folder / "corpus/part-9.jsonl.gz", [document(k) for k in range(200, 208)])
    last = Pipeline(load(run))
    last.run(Silent())
    (folder / "models/base").mkdir(parents=True)
    (folder / "models/base/config.json").write_text(json.dumps(LLAMA_8B))
    _label(last, folder / "labels.csv")
    rows = pairs([f"cheap={1 + number % 5}" for number in range(30)])
    write_pairs(folder / "pairs.jsonl", rows)
    answers = [{"instruction": r["instruction"], "answer": r["generation"]} for r in rows]
    pq.write_table(pa.Table.from_pylist(answers), folder / "pairs.parquet")
    sets = [{"instruction": r["instruction"], "output": r["generation"]} for r in rows]
    (folder / "sharegpt").mkdir()
    for name in ("other.jsonl", "alpaca.jsonl", "sharegpt/1.jsonl"):
        write_pairs(folder / name, sets)
    write_judge(folder)
    write_evaluation(folder, "likes_length")
    for name in ("ours", "theirs"):
        write_rows(folder / f"{name}.json", outputs(name, [f"{name} {k}" for k in range(10)]))
    (folder / "evaluation.yaml").write_bytes((folder / "evaluate.yaml").read_bytes())
    (folder / "examples").mkdir()
    for name in ("judge.yaml", "evaluate.yaml", "ours.json", "theirs.json"):
        shutil.copy(folder / name, folder / "examples" / name)
    shutil.copy(ROOT / "examples/local-scripted.yaml", folder / "examples")
    return folder


def _label(pipeline: Pipeline, path: Path) -> None:
    """Label a sheet as someone would who thinks what the judge thinks."""
    sample = draw(scored_of(pipeline.ledger, pipeline.standing()), 60, seed=0)
    write_sample(sample, path, source="run.yaml", seed=0)
    scores = {pair.id: pair.judgement["score"] for pair, _ in sample.pairs}
    middle = sorted(scores.values())[len(scores) // 2]
    sheet = read_sheet(path)
    for row in range(len(sheet.rows)):
        sheet.label(row, "y" if scores[sheet.cell(row, "id")] >= middle else "n")
    sheet.save()


@pytest.mark.slow
@pytest.mark.parametrize("command", [line for line in COMMANDS if where(line) is None])
def test_a_command_of_the_documents_runs(
    command: str,
    finished: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "here"
    shutil.copytree(finished, folder)
    monkeypatch.chdir(folder)
    _, *words = shlex.split(command)
    for option in MADE_BY.keys() & set(words):
        made = called(*MADE_BY[option].split(), words[words.index(option) + 1], capsys=capsys)
        assert made[0] == 0, made
    written = [words[words.index(name) + 1] for name in ("--out", "--json") if name in words]
    for name in written:
        Path(name).unlink(missing_ok=True)
    code, _, said = called(*words, capsys=capsys)
    assert code == 0, said
    for name in written:
        assert Path(name).stat().st_size > 0


@pytest.mark.parametrize("command", [line for line in COMMANDS if where(line) is not None])
def test_a_command_that_needs_more_is_run_by_another_test(command: str) -> None:
    test = where(command)
    assert test is not None
    _, name, *_ = command.split()
    assert name in (ROOT / test).read_text(encoding="utf-8")
