"""What rewriting gives besides the splits: preferences for DPO, and the model's own answers."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from backtrans.custody import write_export
from backtrans.errors import ConfigError
from backtrans.export import PREFERENCE, export
from backtrans.pipeline import Pipeline
from backtrans.records import SHARD_CHARS
from backtrans.snapshots import PUBLISHED
from tests.engines.tiny_model import save_model
from tests.jobs import Silent, config, configuration, published
from tests.lakes import row
from tests.test_choose import KEEP, MODEL, run, write_spoilt
from tests.test_cli import called
from tests.test_export import AUGMENTED_TAG, out, read

__all__ = ["out"]

WRITTEN: dict[str, Any] = {
    "recipe__curate": KEEP,
    "recipe__models__rewrite": MODEL,
    "recipe__rewrite": {"enabled": True, "rescore": True},
}


def pairs(*changes: dict[str, Any]) -> list[pa.Table]:
    """Return a split of pairs that were rewritten, and scored 3 before, but for these changes."""
    written = {"response_from": "rewritten", "original_response": "raw", "original_score": 3.0}
    rows = [{**row(k), **written, **change} for k, change in enumerate(changes)]
    return [pa.Table.from_pylist(rows, schema=PUBLISHED)]


def prompts(out: Path) -> Sequence[str]:
    return [each["prompt"] for each in read(out)]


def test_a_rewrite_is_preferred_to_its_original(out: Path) -> None:
    assert export(pairs({}), PREFERENCE, out, tags=False) == 1
    assert read(out) == [
        {"prompt": f"{row(0)['instruction']}\n\n", "chosen": row(0)["response"], "rejected": "raw"}
    ]
    export(pairs({}), PREFERENCE, out, tags=True)
    assert prompts(out) == [f"{row(0)['instruction']} {AUGMENTED_TAG}\n\n"]


def test_only_a_rewrite_that_was_taken_and_scored_no_worse_is_preferred(out: Path) -> None:
    split = pairs(
        {},
        {"rewrite_score": 3.1},
        {"rewrite_score": 3.0},
        {"response_from": "original", "original_response": None, "rewrite_score": 2.0},
        {"response_from": None, "original_response": None, "original_score": None},
    )
    assert export(split, PREFERENCE, out, tags=False) == 2
    assert prompts(out) == [f"{row(k)['instruction']}\n\n" for k in (0, 1)]


def test_a_seed_has_nothing_to_prefer(out: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing to prefer"):
        export(pairs({}), PREFERENCE, out, tags=True, seed=tmp_path / "seed.jsonl")
    assert not out.exists()


@pytest.mark.slow
def test_a_job_exports_its_preferences_and_says_which_pairs_they_are_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_spoilt(tmp_path)
    path = configuration(tmp_path, **WRITTEN)
    pipeline = run(tmp_path, **WRITTEN)
    to = tmp_path / "dpo.jsonl"
    arguments = ("export", path, "--out", to, "--split", "A4", "--form", "preference", "--no-tags")
    code, said, _ = called(*arguments, capsys=capsys)
    better = [r for r in published(pipeline) if r["response_from"] == "rewritten"]
    assert 0 < len(better) < 24
    assert (code, said.splitlines()[0]) == (0, f"{to}: {len(better)} rows")
    assert "of 24 pairs of A4" in said
    assert "scored higher than its original" in said
    assert read(to) == [
        {
            "prompt": f"{r['instruction']}\n\n",
            "chosen": r["response"],
            "rejected": r["original_response"],
        }
        for r in better
    ]


@pytest.mark.slow
def test_a_models_own_answers_stand_in_the_places_of_responses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_spoilt(tmp_path)
    model = {**MODEL, "path": "scripted:tests.test_choose:forgets"}
    changed = {
        "recipe__curate": KEEP,
        "recipe__models__distill": model,
        "recipe__distill": {"enabled": True},
    }
    pipeline = run(tmp_path, **changed)
    answers = {r["id"]: r["answer"] for r in pipeline.rows("distill") if r["answer"]}
    assert 0 < len(answers) < 24
    to = tmp_path / "own.jsonl"
    path = configuration(tmp_path, **changed)
    arguments = ("--out", to, "--split", "A4", "--responses", "distilled", "--no-tags")
    code, said, _ = called("export", path, *arguments, capsys=capsys)
    assert (code, said.splitlines()[0]) == (0, f"{to}: {len(answers)} rows")
    assert "of 24 pairs of A4: those that the model answered" in said
    rows = [r for r in published(pipeline) if r["id"] in answers]
    assert [each["messages"] for each in read(to)] == [
        [
            {"role": "user", "content": r["instruction"]},
            {"role": "assistant", "content": answers[r["id"]]},
        ]
        for r in rows
    ]
    # A shard that was never asked about, as where a budget ended, takes no other's answers along.
    first, ledger = rows[0]["id"][:SHARD_CHARS], pipeline.ledger
    (key,) = [c.key for c in ledger.commits("distill") if c.shard.startswith(first)]
    with ledger.epochs.changing():
        ledger.retract("distill", key)
    left = write_export(pipeline, "A4", "messages", to, tags=False, own_answers=True)
    assert left == sum(not name.startswith(first) for name in answers)
    run(tmp_path, **changed)
    # The better half is a part of it, over the same shards.
    a5 = write_export(pipeline, "A5", "messages", to, tags=False, own_answers=True)
    assert a5 == sum(r["id"] in answers for r in published(pipeline, "A5"))


@pytest.mark.slow
def test_what_a_snapshot_does_not_have_is_an_error_that_says_so(tmp_path: Path, out: Path) -> None:
    write_spoilt(tmp_path)
    pipeline = run(tmp_path)
    with pytest.raises(ConfigError, match="no split all: its recipe filters"):
        write_export(pipeline, "all", "messages", out, tags=True)
    with pytest.raises(ConfigError, match="no distilled answers"):
        write_export(pipeline, "A4", "messages", out, tags=True, own_answers=True)
    with pytest.raises(ConfigError, match="between a rewrite and its original"):
        write_export(pipeline, "A4", PREFERENCE, out, tags=True, own_answers=True)
    assert write_export(pipeline, "A4", PREFERENCE, out, tags=True) == 0
    unfiltered = Pipeline(config(tmp_path, recipe__curate__filter=False))
    unfiltered.run(Silent())
    assert write_export(unfiltered, "all", "messages", out, tags=True) == 24


@pytest.mark.slow
def test_trl_takes_a_step_of_dpo_on_an_export_as_it_is(tmp_path: Path) -> None:
    import datasets
    from trl import DPOConfig, DPOTrainer

    to = tmp_path / "dpo.jsonl"
    export(pairs(*[{}] * 4), PREFERENCE, to, tags=True)
    assert list(json.loads(to.read_text().splitlines()[0])) == ["prompt", "chosen", "rejected"]
    rows = datasets.load_dataset(
        "json", data_files=str(to), split="train", cache_dir=str(tmp_path / "cache")
    )
    save_model(tmp_path / "model")
    settings = DPOConfig(
        output_dir=str(tmp_path / "trained"),
        max_steps=1,
        per_device_train_batch_size=2,
        use_cpu=True,
        bf16=False,
        report_to="none",
        save_strategy="no",
        gradient_checkpointing=False,
    )
    trainer = DPOTrainer(model=str(tmp_path / "model"), args=settings, train_dataset=rows)
    done = trainer.train()
    assert done.global_step == 1
    # Before the first step the model and its reference agree: the loss is log 2.
    assert done.training_loss == pytest.approx(0.693, abs=0.01)
