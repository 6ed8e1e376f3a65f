"""Prefix caching of the judge's prompt, on and off: the rubric is first, so that it is read once.

    python -m bench.prefix [--pairs 500] [--rounds 7]

Two vLLM engines on the micro-world's M_0, alike but for `enable_prefix_caching`, are asked for the
digit of the same pairs, in turns whose order changes. Each round has other pairs, so what is shared
is the rubric and nothing else. Beside it, on the engine that caches, the same words with the rubric
behind the pair, where nothing is shared: what the order is worth. What is gained hangs on the share
of the rubric in the prompt, which is printed: pages of the web are longer than this world's.
"""

import argparse
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backtrans.dialogue import Message
from backtrans.engines.prompt import Prompter
from backtrans.microworld.adapt import adapters
from backtrans.microworld.merge import merge
from backtrans.microworld.world import RatedPair, World
from backtrans.roles.score import ASK_DIGIT, DIGITS, RUBRIC, render
from bench import book
from bench.book import Figure

SEED = 64_001
WAYS = ("cached", "not cached", "rubric behind, cached")


def first(pair: RatedPair) -> tuple[Message, ...]:
    """Return the recipe's prompt."""
    return render(pair.instruction, pair.output, "constrained")


def behind(pair: RatedPair) -> tuple[Message, ...]:
    """Return the same words with the rubric behind the pair."""
    user, opened = first(pair)
    head = f"{RUBRIC}\n{ASK_DIGIT}\n\n"
    return (Message("user", f"{user.content.removeprefix(head)}\n\n{head.strip()}"), opened)


def opened(model: Path, caching: bool) -> Any:
    """Open an engine, with what a run on a CPU gives it."""
    from vllm import LLM

    return LLM(
        model=str(model),
        dtype="float32",
        max_model_len=1024,
        max_num_batched_tokens=4096,
        max_num_seqs=256,
        enforce_eager=True,
        enable_prefix_caching=caching,
        logprobs_mode="raw_logprobs",
    )


def ask(llm: Any, prompts: Sequence[tuple[list[int], list[int]]]) -> tuple[float, int, int]:
    """Return the seconds that all prompts take, their tokens, and those read from the cache."""
    from vllm import SamplingParams

    digits = prompts[0][1]
    params = SamplingParams(
        temperature=0.0, max_tokens=1, logprob_token_ids=digits, detokenize=False
    )
    asked = [{"prompt_token_ids": ids} for ids, _ in prompts]
    began = time.monotonic()
    outputs = llm.generate(asked, params, use_tqdm=False)
    seconds = time.monotonic() - began
    tokens = sum(len(each.prompt_token_ids) for each in outputs)
    return seconds, tokens, sum(each.num_cached_tokens or 0 for each in outputs)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--cache", type=Path, help="Where the adapters are kept.")
    asked = book.asked(parser)
    warnings.simplefilter("ignore")  # of what vLLM and torch warn while they load
    for name, value in (
        ("VLLM_NO_USAGE_STATS", "1"),
        ("VLLM_LOGGING_LEVEL", "WARNING"),
        ("VLLM_CPU_KVCACHE_SPACE", "1"),
        ("TORCHDYNAMO_DISABLE", "1"),
    ):
        os.environ.setdefault(name, value)
    pairs = World(SEED).rated_pairs(asked.pairs * (asked.rounds + 1), split="heldout")
    rates: dict[str, list[float]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory(prefix="backtrans-bench-") as folder:
        trained = adapters(asked.cache or Path(folder) / "models")
        model = merge(trained.base, trained.forward, Path(folder) / "merged-forward")
        engines = {caching: opened(model, caching) for caching in (True, False)}
        prompter = Prompter(engines[True].get_tokenizer())
        seen = {}
        for number in range(asked.rounds + 1):
            drawn = pairs[number * asked.pairs : (number + 1) * asked.pairs]
            turn = number % len(WAYS)
            for way in (*WAYS[turn:], *WAYS[:turn]):
                render_pair = behind if way == WAYS[2] else first
                prompts = [prompter.choice(render_pair(pair), DIGITS) for pair in drawn]
                seconds, tokens, cached = ask(engines[way != "not cached"], prompts)
                if number:  # the first is to warm up
                    rates[way].append(len(drawn) / seconds)
                    seen[way] = tokens / len(drawn), cached / tokens
    for way, each in rates.items():
        print(
            f"{way:22} {statistics.median(each):7.1f} rows/s"
            f" ({min(each):.1f} to {max(each):.1f}), {seen[way][0]:.0f} tokens a prompt,"
            f" {seen[way][1]:.1%} of them from the cache"
        )
    beside = {"not cached": "caching off", WAYS[2]: "the rubric behind the pair"}
    figures = []
    for way, said in beside.items():
        ratios = [a / b for a, b in zip(rates["cached"], rates[way], strict=True)]
        figures.append(Figure.over("rubric first, caching on: rows/s", ratios, "", said))
        print(
            f"cached / {way}: {statistics.median(ratios):.2f} of the rows/s"
            f" ({min(ratios):.2f} to {max(ratios):.2f})"
        )
    share = Figure("of a prompt read from the cache", 100 * seen["cached"][1], "%")
    book.record(asked, *figures, share)


if __name__ == "__main__":
    main()
