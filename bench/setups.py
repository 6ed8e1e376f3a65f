"""Set-ups of `bench.throughput`: one vLLM is asked for the instruction of every page of a folder.

A folder holds the model, the pages' texts, and what a run of the pipeline needs.
"""

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

from bench.opened import note, noted

MAX_MODEL_TOKENS, MAX_TOKENS = 1024, 48
BATCHED_TOKENS, SEQUENCES = 4096, 256
DEFAULT_BATCH, LARGE_BATCH = 50, 512
"""Rows that distilabel hands its engine at once."""

ENGINE = {
    "dtype": "float32",
    "max_model_len": MAX_MODEL_TOKENS,
    "max_num_batched_tokens": BATCHED_TOKENS,
    "max_num_seqs": SEQUENCES,
    "enforce_eager": True,
    "enable_prefix_caching": True,
    "seed": 0,
}

LOCAL_RAY: dict[str, Any] = {
    "num_cpus": 16,
    "include_dashboard": False,
    "_node_ip_address": "127.0.0.1",
    "log_to_driver": False,
}
"""A peer's actors take a CPU each, and wait for ever where there are fewer: Ray is told of more
than there are."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one set-up did: batches as they came out, each with the time and its tokens."""

    began: float
    ready: float | None
    ended: float
    batches: list[tuple[float, int]]

    @property
    def tokens(self) -> int:
        return sum(tokens for _, tokens in self.batches)

    @property
    def rate(self) -> float | None:
        """Tokens a second since the engine was ready; None where nothing says when it was."""
        return None if self.ready is None else self.tokens / (self.ended - self.ready)

    @property
    def slope(self) -> float | None:
        """Tokens a second while batches came out; None of one batch."""
        done, points = 0, []
        for moment, tokens in sorted(self.batches):
            done += tokens
            points.append((moment, done))
        if len(points) < 2:
            return None
        return statistics.linear_regression(*zip(*points, strict=True)).slope

    @property
    def start(self) -> float:
        """Seconds until the engine was ready, or about so: until tokens began to flow."""
        if self.ready is not None:
            return self.ready - self.began
        first, tokens = min(self.batches)
        return first - self.began - tokens / (self.slope or float("inf"))


def prompts(folder: Path) -> list[str]:
    """Return the text of each page that is asked about."""
    lines = (folder / "texts.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def messages(text: str) -> list[dict[str, str]]:
    """Return what the backward role says of a page, in OpenAI's shape."""
    from backtrans.roles.backtranslate import render

    return [{"role": each.speaker, "content": each.content} for each in render(text)]


def raw(folder: Path) -> Run:
    """Ask by `LLM.generate`."""
    from vllm import LLM, SamplingParams

    began = time.time()
    llm = LLM(model=str(folder / "model"), disable_log_stats=True, **ENGINE)
    tokenizer = llm.get_tokenizer()
    params = SamplingParams(temperature=0.0, max_tokens=MAX_TOKENS)
    texts = prompts(folder)
    ready = time.time()
    rendered = [
        tokenizer.apply_chat_template(messages(text), tokenize=False, add_generation_prompt=True)
        for text in texts
    ]
    ids = [{"prompt_token_ids": tokenizer.encode(r, add_special_tokens=False)} for r in rendered]
    outputs = llm.generate(ids, params, use_tqdm=False)
    ended = time.time()
    tokens = sum(len(o.prompt_token_ids) + len(o.outputs[0].token_ids) for o in outputs)
    return Run(began, ready, ended, [(ended, tokens)])


def ours(folder: Path) -> Run:
    """Ask by the pipeline's own stage, on Ray."""
    from backtrans.config import load
    from backtrans.pipeline import Pipeline
    from backtrans.retry import NO_RETRY
    from backtrans.runtime.opening import open_runtime
    from backtrans.stages.ask import AskWork
    from bench.opened import NotedWork

    pipeline = Pipeline(load(folder / "run.yaml"))
    standing = pipeline.standing()
    shards, _ = standing.shards()
    (work, *_) = pipeline.works.ask_works("bench", NO_RETRY)
    given = {field.name: getattr(work, field.name) for field in fields(AskWork)}
    given["stages"] = work.stages[:1]  # both roles have one model here, and so one engine
    marked = NotedWork(**given, ready_file=str(folder / "ready"))
    settings = pipeline.works.runtime_settings("bench", pipeline.config.placement.engines)
    batches: list[tuple[float, int]] = []
    began = time.time()
    with open_runtime("ray") as runtime:
        for receipt in runtime.map(marked, shards, settings):
            assert receipt.outcome == "done", receipt.error
            (commit,) = receipt.commits
            place = folder / "out" / "commits" / commit.stage / f"{commit.key}.json"
            batches.append(
                (place.stat().st_mtime, commit.usage.prompt_tokens + commit.usage.output_tokens)
            )
    ended = max(moment for moment, _ in batches)
    ready = float((folder / "ready").read_text(encoding="utf-8"))
    return Run(began, ready, ended, batches)


def ray_data_llm(folder: Path) -> Run:
    """Ask by ray.data.llm's processor."""
    import ray
    from ray.data.llm import build_processor, vLLMEngineProcessorConfig

    began = time.time()
    ray.init(**LOCAL_RAY)
    config = vLLMEngineProcessorConfig(
        model_source=str(folder / "model"),
        engine_kwargs=ENGINE,
        batch_size=64,
        concurrency=1,
        max_concurrent_batches=8,
        placement_group_config={"bundles": [{"CPU": 1}]},
        log_engine_metrics=False,
    )
    place = folder / "ray"
    sampling = {"temperature": 0.0, "max_tokens": MAX_TOKENS}

    def after(row: dict[str, Any]) -> dict[str, Any]:
        note(place, row["num_input_tokens"] + row["num_generated_tokens"])
        return {"instruction": row["generated_text"]}

    processor = build_processor(
        config,
        preprocess=lambda row: {"messages": messages(row["text"]), "sampling_params": sampling},
        postprocess=after,
    )
    pages = ray.data.from_items([{"text": text} for text in prompts(folder)])
    processor(pages.repartition(target_num_rows_per_block=64)).write_parquet(str(folder / "rayout"))
    return Run(began, None, time.time(), noted(place))


def distilabel(folder: Path, batch: int = DEFAULT_BATCH) -> Run:
    """Ask by distilabel's RayPipeline."""
    from distilabel.pipeline import RayPipeline

    from bench.distilabel_step import NotedGeneration, PresentVllm

    began = time.time()
    engine = {key: value for key, value in ENGINE.items() if key not in ("dtype", "seed")}
    llm = PresentVllm(
        model=str(folder / "model"),
        dtype="float32",
        extra_kwargs=engine,
        generation_kwargs={"max_new_tokens": MAX_TOKENS, "temperature": 0.0, "top_p": 1.0},
    )
    # It places no vLLM without a GPU of Ray's; this one is in name alone.
    asked = [{"instruction": messages(text)[0]["content"]} for text in prompts(folder)]
    with RayPipeline(
        "bench", cache_dir=folder / "cache", ray_init_kwargs=LOCAL_RAY | {"num_gpus": 1}
    ) as pipeline:
        NotedGeneration(
            llm=llm,
            input_batch_size=batch,
            place=str(folder / "distilabel"),
            use_default_structured_output=False,
        )
    pipeline.run(dataset=asked, dataset_batch_size=batch, use_cache=False)
    return Run(began, None, time.time(), noted(folder / "distilabel"))


SETUPS: dict[str, Callable[[Path], Run]] = {
    "vllm": raw,
    "backtrans": ours,
    "ray.data.llm": ray_data_llm,
    "distilabel": distilabel,
    "distilabel-512": partial(distilabel, batch=LARGE_BATCH),
}
