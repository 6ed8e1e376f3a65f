"""What a job will take, told before it is run; and how far that is from what it took."""

import gzip
import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import backtrans
from backtrans import sampled
from backtrans.accounts import Estimate
from backtrans.engines.model_shape import shape_from
from backtrans.errors import BudgetSpent, InputError
from backtrans.gpus import gpu_of
from backtrans.pipeline import Pipeline
from backtrans.roofline import EFFICIENCY, floor_seconds
from tests.jobs import Silent, config, configuration, document, write_jsonl
from tests.test_cli import called
from tests.test_fitting import LLAMA_8B


def write_mixed(folder: Path, seed: int, files: int = 4, each: int = 30) -> None:
    """Write files of documents of 5 to 800 words, of which some are too short or too long."""
    dice = random.Random(seed)
    for number in range(files):
        documents = [
            document(seed * 10_000 + number * each + k, words=int(5 * 160 ** dice.random()))
            for k in range(each)
        ]
        write_jsonl(folder / f"corpus/part-{number}.jsonl.gz", documents)


def tokens(pipeline: Pipeline) -> dict[str, tuple[int, int]]:
    return {
        each.stage: (each.prompt_tokens, each.output_tokens)
        for each in pipeline.status().stages
        if each.requests
    }


def estimated(estimate: Estimate) -> dict[str, tuple[int, int]]:
    return {each.stage: (each.prompt_tokens, each.output_tokens) for each in estimate.stages}


@pytest.mark.parametrize("seed", [1, *(pytest.param(k, marks=pytest.mark.slow) for k in (2, 3))])
def test_a_sample_of_half_the_corpus_tells_the_tokens_within_a_quarter(
    tmp_path: Path, seed: int
) -> None:
    write_mixed(tmp_path, seed)
    pipeline = Pipeline(config(tmp_path))
    estimate = pipeline.estimate(60)
    assert not (tmp_path / "out").exists()
    pipeline.run(Silent())
    said, actual = estimated(estimate), tokens(pipeline)
    assert said.keys() == actual.keys()
    for stage in actual:
        assert sum(said[stage]) == pytest.approx(sum(actual[stage]), rel=0.25)
    assert estimate.segments == pytest.approx(pipeline.status().stages[0].kept, rel=0.25)
    assert estimate.documents == pytest.approx(120, rel=0.25)


def test_a_pilot_that_a_budget_ended_tells_what_is_written_too(tmp_path: Path) -> None:
    write_mixed(tmp_path, 4)
    changes: dict[str, Any] = {"recipe__corpus__shard_rows": 10, "recipe__models": WRITERS}
    changes |= {"recipe__rewrite": {"enabled": True}, "recipe__distill": {"enabled": True}}
    budget = {"tokens": 60_000}
    with pytest.raises(BudgetSpent):
        Pipeline(config(tmp_path, placement__budget=budget, **changes)).run(Silent())
    pipeline = Pipeline(config(tmp_path, **changes))
    estimate = pipeline.estimate(60)
    pipeline.run(Silent())
    said, actual = estimated(estimate), tokens(pipeline)
    assert said.keys() == actual.keys() >= {"rewrite", "distill"}
    for stage in ("backtranslate", "score"):
        assert said[stage] == pytest.approx(actual[stage], rel=0.25)


SCRIPTED = {"path": "scripted:default", "engine": "scripted"}
WRITERS = {"backward": SCRIPTED, "forward": SCRIPTED, "rewrite": SCRIPTED, "distill": SCRIPTED}


def test_a_job_that_is_done_is_estimated_as_what_it_took(tmp_path: Path) -> None:
    write_mixed(tmp_path, 5)
    pipeline = Pipeline(config(tmp_path))
    pipeline.run(Silent())
    estimate = pipeline.estimate(60)
    assert estimated(estimate) == tokens(pipeline)
    assert estimate.documents == 120
    assert all(each.done_tokens == each.tokens for each in estimate.stages)


def test_the_floor_is_arithmetic_for_long_prompts_and_bandwidth_for_long_answers() -> None:
    shape, gpu = shape_from(LLAMA_8B), gpu_of("H100")
    read = floor_seconds(shape, gpu, 1e9, 0, 1000, 256)
    assert read == pytest.approx(2 * shape.active * 1e9 / gpu.bf16_flops)
    written = floor_seconds(shape, gpu, 0, 1e9, 1000, 64)
    moved = 1e9 / 64 * shape.parameters * 2 + 1e9 * 1000 * shape.kv_bytes()
    assert written == pytest.approx(moved / gpu.bytes_per_second)
    assert floor_seconds(shape, gpu, 0, 1e9, 1000, 256) < written


def test_a_model_of_vllms_is_counted_by_its_own_tokenizer_and_costs_gpu_hours(
    tmp_path: Path,
) -> None:
    write_mixed(tmp_path, 6, files=1)
    base = Path(backtrans.__file__).parent / "microworld/base"
    model = {"path": str(base), "max_model_tokens": 512}
    pipeline = Pipeline(
        config(
            tmp_path,
            recipe__models={"backward": model, "forward": model},
            placement__prices={"gpu_hour": 2.0},
        )
    )
    estimate = pipeline.estimate(30, gpu_of("H100"))
    for each in estimate.stages:
        assert each.floor_gpu_hours is not None
        assert each.gpu_hours == pytest.approx(each.floor_gpu_hours / EFFICIENCY)
        assert "tokens of" in each.source
    assert estimate.money == pytest.approx(2.0 * (estimate.gpu_hours or 0))


def test_plan_shows_an_estimate_and_a_run_that_began_with_one_is_held_against_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_mixed(tmp_path, 7)
    path = configuration(tmp_path)
    _, out, _ = called("plan", path, "--estimate", "--sample", 60, capsys=capsys)
    assert "60 documents sampled" in out
    assert "in all " in out
    code, out, _ = called("run", path, "--estimate", capsys=capsys)
    assert code == 0
    _, out, _ = called("status", path, capsys=capsys)
    assert "against the estimate:" in out
    assert json.loads(next((tmp_path / "out/runs").glob("*.json")).read_text())["estimate"]


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".parquet"])
def test_the_head_of_a_large_object_tells_how_many_documents_it_holds(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampled, "COUNTED_BYTES", 2**17)
    documents = [document(k, words=20 + k * 37 % 100) for k in range(2000)]
    path = tmp_path / f"corpus/part{suffix}"
    if suffix == ".parquet":
        path.parent.mkdir()
        table = pa.Table.from_pylist([d | {"metadata": "{}"} for d in documents])
        pq.write_table(table, path, row_group_size=50)  # a group ends where the sample does
    else:
        write_jsonl(path, documents)
    if suffix == ".jsonl":
        path.write_bytes(gzip.decompress(path.read_bytes()))
    estimate = Pipeline(config(tmp_path)).estimate(50)
    assert estimate.sampled == 50
    assert estimate.documents == pytest.approx(2000, rel=0.05)


def test_an_object_that_cannot_be_read_is_left_out_of_a_sample(tmp_path: Path) -> None:
    write_mixed(tmp_path, 8)
    (tmp_path / "corpus/broken.parquet").write_bytes(b"not parquet at all")
    assert Pipeline(config(tmp_path)).estimate(60).sampled > 0
    for good in (tmp_path / "corpus").glob("*.gz"):
        good.unlink()
    with pytest.raises(InputError, match="broken"):
        Pipeline(config(tmp_path)).estimate(60)


def test_models_that_others_serve_cost_their_endpoints_prices_and_no_gpu(tmp_path: Path) -> None:
    write_mixed(tmp_path, 9)
    model = {"path": "judge", "engine": "openai", "revision": "1"}
    endpoint = {"base_url": "http://127.0.0.1:1/v1", "prompt_price": 2.0, "output_price": 10.0}
    models = {"backward": model, "forward": model}
    engine = {"endpoints": {"judge": endpoint}}
    job = config(tmp_path, recipe__models=models, placement__engine=engine)
    estimate = Pipeline(job).estimate(60, gpu_of("H100"))
    read = sum(each.prompt_tokens for each in estimate.stages)
    written = sum(each.output_tokens for each in estimate.stages)
    assert estimate.gpu_hours == 0
    assert estimate.money == pytest.approx((2.0 * read + 10.0 * written) / 1e6)


def test_prompts_that_the_context_refuses_cost_nothing(tmp_path: Path) -> None:
    write_mixed(tmp_path, 10)
    short = SCRIPTED | {"max_model_tokens": 500}  # 256 of them are kept for the answer
    pipeline = Pipeline(config(tmp_path, recipe__models={"backward": short, "forward": SCRIPTED}))
    said = pipeline.estimate(120)
    pipeline.run(Silent())
    stage = pipeline.status().stages[2]
    assert stage.rejects["prompt_too_long"] > 5
    assert said.stages[0].prompt_tokens == stage.prompt_tokens
