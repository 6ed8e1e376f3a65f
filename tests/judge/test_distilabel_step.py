"""The judge as a step of a real distilabel pipeline, in a process of distilabel's own."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.judge.judges import judge, pairs, write_judge


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Put back the root logger: distilabel leaves it a handler whose queue it has closed."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.slow
def test_a_distilabel_pipeline_scores_its_rows_by_a_judges_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distilabel.pipeline import Pipeline
    from distilabel.steps import LoadDataFromDicts

    from backtrans.judge.distilabel_step import OUTPUTS, InstructionBacktranslationStep

    # distilabel keeps what it made in the home folder, unless it is told another.
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "datasets"))
    path = write_judge(tmp_path, judge(score={"form": "reasoned"}))
    rows = pairs([f"cheap={1 + number % 5}" for number in range(11)])
    rows += [{"instruction": "Summarize the passage above.", "generation": "So.", "source": "x"}]
    with Pipeline("scoring", cache_dir=tmp_path / "cache") as pipeline:
        load = LoadDataFromDicts(data=rows, batch_size=5)
        load >> InstructionBacktranslationStep(judge=str(path), input_batch_size=4)
    found = pipeline.run(use_cache=False)["default"]["train"]
    assert found["instruction"] == [row["instruction"] for row in rows]
    assert found["score"] == [*(1 + number % 5 for number in range(11)), None]
    assert found["reason"][1] == "It is so.\nScore: 2"
    assert found["reject_reason"] == [None] * 11 + ["instruction_refers"]
    assert set(OUTPUTS) <= set(found.column_names)
    assert found["distribution"][1] == [0, 1, 0, 0, 0]
