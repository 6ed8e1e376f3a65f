"""The pipeline's tokens a second, beside those of its peers: same model, prompts, engine arguments.

    python -m bench.throughput [--rows 3000] [--rounds 3] [--only NAME ...]

The backward role asks for the instruction of each page of the micro-world, greedily, by one vLLM on
the CPUs of this machine. Set-ups, each in a process of its own, in turn, in each round:

- vllm: `LLM.generate` of all prompts in one call, and nothing else: no reads, no commits.
- backtrans: the stage as a run has it on Ray, from committed segments to committed parts.
- ray.data.llm: its processor over the pages, on Ray, on a placement of CPUs.
- distilabel: a RayPipeline of one TextGeneration step, its rows gathered into a Distiset; in
  batches of 50, its own default, and (distilabel-512) of 512, which keep a tiny vLLM busy.

A rate is of tokens read and written, by the model's own count, from the moment at which the engine
is ready: for `backtrans` to the last commit, for `vllm` to the end of the call. Peers do not say
when theirs is ready, so theirs is the slope of tokens over time between the first batch that came
out and the last, and `backtrans` is set beside them by its own slope. Ratios are of one round;
their median is printed. What is before the first token is the start, apart.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from bench import book
from bench.book import Figure
from bench.setups import BATCHED_TOKENS, SEQUENCES, SETUPS, Run

SEED = 52_001
SHARD_ROWS = 250
"""Smaller than a recipe's 1,024, for a slope of some points; three of them hold more rows than the
engine is given at once."""


def prepare(folder: Path, rows: int, cache: Path) -> None:
    """Write the model, the configuration, the committed segments and their texts."""
    import yaml

    from backtrans.config import load
    from backtrans.demo import configuration
    from backtrans.microworld.adapt import adapters
    from backtrans.microworld.corpus import write_corpus
    from backtrans.microworld.merge import merge
    from backtrans.microworld.world import World
    from backtrans.pipeline import Pipeline
    from backtrans.records import is_kept
    from backtrans.retry import NO_RETRY
    from backtrans.runtime.opening import open_runtime

    write_corpus(World(SEED), folder, rows)
    trained = adapters(cache)
    model = merge(trained.base, trained.backward, folder / "model")
    recipe = yaml.safe_load(configuration(model, model))
    recipe["recipe"]["corpus"]["shard_rows"] = SHARD_ROWS
    recipe["placement"]["engine"] |= {
        "max_batched_tokens": BATCHED_TOKENS,
        "max_sequences": SEQUENCES,
    }
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    pipeline = Pipeline(load(path))
    standing = pipeline.standing()
    work = pipeline.works.select_work("bench", NO_RETRY, standing.withdrawn)
    settings = pipeline.works.runtime_settings("bench", pipeline.config.placement.readers)
    with open_runtime("local") as runtime:
        unread = [standing.whole(found) for found in standing.objects]
        assert all(each.outcome == "done" for each in runtime.map(work, unread, settings))
    texts = [json.dumps(row["text"]) for row in pipeline.rows("select") if is_kept(row)]
    (folder / "texts.jsonl").write_text("\n".join(texts), encoding="utf-8")


def run_once(name: str, folder: Path) -> Run:
    """Run one set-up in a process of its own. Raises: RuntimeError with the end of its log."""
    for left in ("out/commits/backtranslate", "out/parts/backtranslate"):
        subprocess.run(["rm", "-rf", str(folder / left)], check=True)
    for left in ("ready", "ray", "distilabel"):
        (folder / left).unlink(missing_ok=True)
    command = [sys.executable, "-m", "bench.throughput", "--run", name, "--folder", str(folder)]
    given = {
        "RAY_worker_niceness": "0",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "TORCHDYNAMO_DISABLE": "1",
        "VLLM_LOGGING_LEVEL": "WARNING",
        "RAY_AUTH_MODE": "disabled",
    }
    log = folder / f"{name}.log"
    with log.open("w", encoding="utf-8") as file:
        done = subprocess.run(
            command, check=False, env=os.environ | given, stdout=file, stderr=file
        )
    result = folder / f"{name}.json"
    if done.returncode or not result.exists():
        raise RuntimeError(f"{name} ended with {done.returncode}:\n{log.read_text()[-3000:]}")
    found = json.loads(result.read_text(encoding="utf-8"))
    result.unlink()
    return Run(found["began"], found["ready"], found["ended"], [tuple(b) for b in found["batches"]])


GOALS = {"vllm": 1.0, "ray.data.llm": 1.0, "distilabel": 1.3, "distilabel-512": 1.3}


def ratios(rounds: Sequence[dict[str, Run]], peer: str) -> list[float]:
    """Return the pipeline's tokens a second against a peer's, of each round."""
    found = []
    for each in rounds:
        own, other = each["backtrans"], each[peer]
        pair = (own.rate, other.rate) if other.rate else (own.slope, other.slope)
        found.append((pair[0] or 0.0) / (pair[1] or float("inf")))
    return found


def figures(rounds: Sequence[dict[str, Run]]) -> list[Figure]:
    """Return the rates, and the ratios with their goals."""
    against = [name for name in rounds[0] if "backtrans" in rounds[0] and name in GOALS]
    rates = {
        name: [each[name].rate or each[name].slope or 0.0 for each in rounds] for name in rounds[0]
    }
    return [
        *(
            Figure.over("backtrans: tokens/s", ratios(rounds, name), "", name, at_least=GOALS[name])
            for name in against
        ),
        *(Figure.over(name, each, "tokens/s") for name, each in rates.items()),
    ]


def shown(rounds: Sequence[dict[str, Run]]) -> list[str]:
    """Return the table, and the ratios of each round."""
    lines = ["| set-up | tokens/s | start | tokens | backtrans against it |", "|" + " --- |" * 5]
    for name in rounds[0]:
        mine = [each[name] for each in rounds]
        rates = [run.rate or run.slope or 0.0 for run in mine]
        against = "-"
        if name != "backtrans" and "backtrans" in rounds[0]:
            found = ratios(rounds, name)
            against = f"{statistics.median(found):.2f} ({min(found):.2f} to {max(found):.2f})"
        lines.append(
            f"| {name} | {statistics.median(rates):,.0f} ({min(rates):,.0f} to {max(rates):,.0f})"
            f" | {statistics.median(run.start for run in mine):.0f} s"
            f" | {mine[0].tokens:,} | {against} |"
        )
    return lines


def main() -> None:
    """Run each set-up in each round, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=SETUPS, default=list(SETUPS))
    parser.add_argument("--cache", type=Path, help="Where the micro-world's adapters are kept.")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--run", choices=SETUPS, help=argparse.SUPPRESS)
    asked = book.asked(parser)
    if asked.run:
        found = SETUPS[asked.run](asked.folder)
        said = {field.name: getattr(found, field.name) for field in fields(Run)}
        (asked.folder / f"{asked.run}.json").write_text(json.dumps(said), encoding="utf-8")
        return
    with tempfile.TemporaryDirectory(prefix="backtrans-throughput-") as name:
        folder = Path(name)
        prepare(folder, asked.rows, asked.cache or folder / "models")
        rounds = []
        for number in range(asked.rounds):
            rounds.append({})
            for setup in asked.only:
                rounds[-1][setup] = run = run_once(setup, folder)
                print(
                    f"round {number + 1}: {setup}: {run.rate or run.slope or 0:,.0f} tokens/s,"
                    f" start {run.start:.0f} s",
                    flush=True,
                )
        for line in shown(rounds):
            print(line)
    book.record(asked, *figures(rounds))


if __name__ == "__main__":
    main()
