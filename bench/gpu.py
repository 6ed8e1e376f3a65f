"""The engine alone on a GPU: how near does it come to what its arithmetic and memory allow?

    python -m bench.gpu [--gpu H100] [--requests 2000] [--small]

vLLM holds a model of Llama-3.1-8B's shape with random weights (`load_format="dummy"`): speed does
not depend on what they say, and nothing has to be fetched. Random tokens are asked in the shapes of
the three prompts: an instruction for a segment (read much, write little), a digit for a pair after
a rubric that all of them share (the prefix cache's case), a rewrite (read much, write much). Every
request writes its full length.

Printed are, for each shape, tokens a second, the floor by `backtrans.roofline` for the tokens that
were computed, and the fraction of the floor's speed that was reached: what `EFFICIENCY` there
assumes. `--small` holds a small model, to see that this runs on a machine without a GPU; its
fractions are of the GPU that is named, and say nothing.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backtrans.engines.model_shape import shape_of
from backtrans.gpus import GPUS, Gpu, gpu_of
from backtrans.roofline import EFFICIENCY, floor_seconds
from bench import book
from bench.book import Figure

LLAMA_8B = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 128256,
    "max_position_embeddings": 8192,
    "rms_norm_eps": 1e-5,
    "rope_theta": 500000.0,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "bos_token_id": 128000,
    "eos_token_id": 128001,
}
"""Source: the model card of Llama-3.1-8B."""

SMALL = LLAMA_8B | {
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "vocab_size": 1024,
    "bos_token_id": 1,
    "eos_token_id": 2,
}

SEQUENCES = 256
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Shape:
    """Tokens of a request: those that all share, its own, and those that it writes."""

    name: str
    shared: int
    own: int
    written: int


SHAPES = (
    Shape("backtranslate", 30, 620, 30),
    Shape("score", 230, 680, 1),
    Shape("rewrite", 160, 680, 570),
)
"""Source: segments of 600 tokens and more, instructions of 30 (2308.06259 table 1), rewrites of 567
(2408.04614 table 6), and this project's prompts."""


def the_gpu() -> str | None:
    """Return the name of the GPU of this machine, as `backtrans.gpus` has it, if it is known."""
    try:
        query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        found = subprocess.run(query, check=True, capture_output=True, text=True).stdout.upper()
    except (OSError, subprocess.CalledProcessError):
        return None
    return next((name for name in sorted(GPUS, key=len, reverse=True) if name in found), None)


def asked(shape: Shape, count: int, vocabulary: int, seed: int) -> list[dict[str, list[int]]]:
    """Draw prompts: one beginning, then tokens of each one's own."""
    dice = random.Random(f"{shape.name} {seed}")
    head = [dice.randrange(10, vocabulary) for _ in range(shape.shared)]
    return [
        {"prompt_token_ids": head + [dice.randrange(10, vocabulary) for _ in range(shape.own)]}
        for _ in range(count)
    ]


def measure(llm: Any, shape: Shape, count: int, vocabulary: int) -> tuple[float, int, int]:
    """Return the median seconds of a round, and the tokens that were computed and written."""
    from vllm import SamplingParams

    params = SamplingParams(
        temperature=0.0, max_tokens=shape.written, ignore_eos=True, detokenize=False
    )
    seconds, computed = [], 0
    for number in range(ROUNDS + 1):  # the first one warms up
        prompts = asked(shape, count, vocabulary, number)
        began = time.monotonic()
        outputs = llm.generate(prompts, params, use_tqdm=False)
        seconds.append(time.monotonic() - began)
        computed = sum(len(o.prompt_token_ids) - (o.num_cached_tokens or 0) for o in outputs)
    return statistics.median(seconds[1:]), computed, count * shape.written


def main() -> None:
    """Print a line for each shape."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gpu", help="As `backtrans fit` names it; else this machine's.")
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--small", action="store_true")
    given, figures = book.asked(parser), []
    name = given.gpu or the_gpu()
    if name is None:
        parser.error("no NVIDIA GPU that backtrans knows is here: say --gpu, or --small with it")
    gpu: Gpu = gpu_of(name)
    config = SMALL if given.small else LLAMA_8B
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    with tempfile.TemporaryDirectory(prefix="backtrans-gpu-") as folder:
        Path(folder, "config.json").write_text(json.dumps(config), encoding="utf-8")
        sizes = shape_of(folder)
        from vllm import LLM

        began = time.monotonic()
        llm = LLM(
            model=folder,
            load_format="dummy",
            skip_tokenizer_init=True,
            max_model_len=2048,
            max_num_seqs=SEQUENCES,
            enforce_eager=given.small,
            enable_prefix_caching=True,
        )
        print(
            f"{sizes.parameters / 1e9:.2f}B parameters on {gpu.name}"
            f" ({gpu.source}), engine ready in {time.monotonic() - began:.0f} s",
            flush=True,
        )
        print("| shape | tokens/s | computed/s | floor | took | of the floor's speed |")
        print("|" + " --- |" * 6)
        for shape in SHAPES:
            seconds, computed, written = measure(llm, shape, given.requests, sizes.vocabulary)
            length = shape.shared + shape.own + shape.written
            floor = floor_seconds(sizes, gpu, computed, written, length, SEQUENCES)
            whole = given.requests * length
            share = 100 * floor / seconds
            figures.append(
                Figure(shape.name, share, "%", "the floor's speed", runs=f"{ROUNDS} rounds")
            )
            print(
                f"| {shape.name} | {whole / seconds:,.0f} | {(computed + written) / seconds:,.0f}"
                f" | {floor:.2f} s | {seconds:.2f} s | {floor / seconds:.0%} |",
                flush=True,
            )
        print(f"an estimate assumes {EFFICIENCY:.0%} until a job's own figure is known")
    if not given.small:
        book.record(given, *figures)


if __name__ == "__main__":
    main()
