"""The whole job on its real parts: vLLM, Ray Data, an S3 server, real web documents."""

import io
import itertools
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from backtrans.config import load
from backtrans.pipeline import Pipeline
from tests.finished import DOCUMENTS, FinishedDemo
from tests.jobs import DEDUPLICATING, Silent, config, configuration, published, write_corpus

DOLMA = Path(__file__).parent.parent.parent / "shared/data/dolma/cc_en_head-0091.jsonl.gz"


def by_id(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: row["id"])


@pytest.mark.slow
@pytest.mark.ray
def test_a_run_over_ray_gives_what_a_run_in_this_process_gives(tmp_path: Path) -> None:
    write_corpus(tmp_path, files=3)
    here = Pipeline(config(tmp_path, placement__root="here"))
    here.run(Silent())
    there = Pipeline(config(tmp_path, placement__root="there", placement__runtime="ray"))
    watching = Silent()
    there.run(watching)
    assert [name for name, _ in watching.phases] == [
        "select",
        *(name for name, _ in DEDUPLICATING),
        "deduplicate",
        "backtranslate+score",
        "curate",
    ]
    assert by_id(published(there)) == by_id(published(here))
    again = Silent()
    Pipeline(there.config).run(again)
    assert again.phases == []


def microworld_models(adapters: Any) -> dict[str, Any]:
    base = {"path": str(adapters.base), "max_model_tokens": 1024, "dtype": "float32"}
    return {
        "backward": {**base, "adapter": str(adapters.backward)},
        "forward": {**base, "adapter": str(adapters.forward)},
    }


def dolma_changes(adapters: Any) -> dict[str, Any]:
    return {
        "recipe__corpus": {"paths": [str(DOLMA)], "shard_rows": 4},
        "recipe__select": {"min_chars": 1, "max_chars": 100_000},
        "recipe__models": microworld_models(adapters),
        "recipe__backtranslate": {"max_tokens": 48},
        "placement__engine": {"device": "cpu", "eager": True, "max_batched_tokens": 4096},
    }


@pytest.mark.slow
@pytest.mark.vllm
@pytest.mark.skipif(not DOLMA.exists(), reason="the ten real Dolma documents are not there")
def test_ten_real_web_documents_are_all_accounted_for_on_disk_and_in_s3(
    tmp_path: Path, adapters: Any, one_s3_settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    roots = [
        {"placement__root": "out"},
        {
            "placement__root": one_s3_settings.root,
            "placement__store": {
                "endpoint_url": one_s3_settings.endpoint_url,
                "region": one_s3_settings.region,
                "addressing": one_s3_settings.addressing,
            },
        },
    ]
    for number, root in enumerate(roots):
        path = configuration(tmp_path, f"{number}.yaml", **dolma_changes(adapters), **root)
        pipeline = Pipeline(load(path))
        pipeline.run(Silent())
        stages = pipeline.status().stages
        assert stages[0].rows_in == 10
        assert stages[0].kept == 10
        for before, after in itertools.pairwise(stages):
            assert after.rows_in == before.kept
            assert after.kept + sum(after.rejects.values()) == after.rows_in
        # One document has 65,846 characters: no prompt of 1,024 tokens holds it.
        assert stages[2].rejects.get("prompt_too_long", 0) >= 1
        long = max(pipeline.rows("select"), key=lambda row: len(row["text"]))
        refused = {row["id"]: row for row in pipeline.rows("backtranslate")}[long["id"]]
        assert refused["reject_reason"] == "prompt_too_long"
        assert "tokens" in refused["reject_detail"]
        assert len(published(pipeline)) == stages[-1].kept
        again = Silent()
        pipeline.run(again)
        assert again.phases == []


@pytest.mark.slow
@pytest.mark.vllm
@pytest.mark.ray
def test_the_demo_checks_itself_by_the_truth_and_asks_nothing_twice(
    finished_demo: FinishedDemo,
) -> None:
    from backtrans.demo import run_demo

    first, found = finished_demo.summary, finished_demo.verdict
    assert "verifies the machinery" in finished_demo.printed
    assert first.snapshot is not None
    assert set(first.made) == {"select", "backtranslate", "score", "curate"}
    # The goals of the demo's default, on a world that chose nothing.
    assert found.base_rate is not None
    assert found.base_rate <= 0.4
    assert found.seen_names.f1 is not None
    assert found.seen_names.f1 >= 0.95
    assert found.floored_auc is not None
    assert found.floored_auc >= 0.95
    assert found.floored.precision is not None
    assert found.floored.precision >= 0.90
    assert found.floored.recall is not None
    assert found.floored.recall >= 0.5
    second, again = run_demo(finished_demo.folder, DOCUMENTS, Console(width=200))
    assert second.made == {}
    assert second.snapshot == first.snapshot
    assert again == found
    rows = 0
    for key in first.snapshot.files["A5"]:
        part = finished_demo.folder / "out" / key
        rows += pq.read_table(io.BytesIO(part.read_bytes())).num_rows
    assert rows == first.snapshot.rows["A5"] == found.floored.selected


@pytest.mark.slow
@pytest.mark.vllm
@pytest.mark.ray
def test_an_estimate_tells_the_tokens_of_real_engines_within_a_quarter(
    finished_demo: FinishedDemo,
) -> None:
    done = load(finished_demo.run)
    nowhere = done.placement.model_copy(update={"root": str(finished_demo.folder / "not-run")})
    estimate = Pipeline(done.model_copy(update={"placement": nowhere})).estimate(200)
    assert all("a sample of" in each.source for each in estimate.stages)  # no commit was looked at
    shares = estimate.shares(Pipeline(done).status().stages)
    assert set(shares) == {"backtranslate", "score", "whole"}
    for stage, share in shares.items():
        assert 1.0 / share == pytest.approx(1.0, abs=0.25), stage  # estimated, of the actual tokens
