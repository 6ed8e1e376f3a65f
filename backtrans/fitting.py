"""How many replicas of a model fit on some GPUs, and how each is spread: the arithmetic of it.

    memory x fraction = weights / TP + activations + reserve + KV cache

Promises: what is chosen fits by this arithmetic; more GPUs never hold fewer sequences; what cannot
fit is refused with the figures.

Does not know: whether an engine of some version needs more: it measures its activations itself when
it starts, and gives what is left to the cache.
"""

from dataclasses import dataclass
from typing import Literal

from backtrans.engines.model_shape import Shape
from backtrans.errors import ConfigError
from backtrans.gpus import Gpu

Weights = Literal["bf16", "fp8"]

MEMORY_FRACTION = 0.9
"""Source: vLLM's default, and this project's (`placement.engine.memory_fraction`)."""

RESERVE_BYTES = 3e9
"""Of each GPU: the driver's context, NCCL's buffers, CUDA graphs. Source: this project's choice."""

MAX_TENSOR_PARALLEL = 8
"""Source: the GPUs of one HGX board, which NVLink joins; beyond it, traffic decides."""

ENOUGH_SEQUENCES = 64
"""Of full length, beside each other in one replica: more are not worth splitting a model for.
Source: a quarter of vLLM's 256, since a segment with its prompt takes about a quarter of the
default context of 4,096 tokens."""

MAX_SEQUENCES = 256
BATCHED_TOKENS = (8192, 4096, 2048)
"""Source: the placement's defaults; a smaller step where that alone makes a model fit."""

USUAL_LENGTH_SHARE = 0.25
"""Of the context, as above."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A placement of one model: bytes are of one GPU."""

    gpus: int
    tensor_parallel: int
    replicas: int
    weights: Weights
    max_model_tokens: int
    max_batched_tokens: int
    max_sequences: int
    usable_bytes: float
    weight_bytes: float
    activation_bytes: float
    kv_bytes_per_token: float
    kv_tokens: int
    """What the cache of one replica holds."""

    @property
    def full_sequences(self) -> int:
        """Sequences of the whole context that one replica holds at once."""
        return self.kv_tokens // self.max_model_tokens

    @property
    def worth(self) -> int:
        """Full sequences over all replicas, as far as they are worth having."""
        return self.replicas * min(self.full_sequences, ENOUGH_SEQUENCES)

    @property
    def needed_bytes(self) -> float:
        """What one GPU holds with a full cache."""
        cache = self.kv_tokens * self.kv_bytes_per_token
        return self.weight_bytes + self.activation_bytes + RESERVE_BYTES + cache

    def lines(self, gpu: Gpu) -> list[str]:
        """Say why, in figures."""
        return [
            f"of {gpu.memory_bytes / 1e9:,.0f} GB, {self.usable_bytes / 1e9:,.1f} may be used:"
            f" weights {self.weight_bytes / 1e9:,.1f}, activations"
            f" {self.activation_bytes / 1e9:,.1f}, reserve {RESERVE_BYTES / 1e9:,.1f}, which"
            f" leaves {self.kv_tokens * self.kv_bytes_per_token / 1e9:,.1f} for the KV cache",
            f"KV cache: {self.kv_bytes_per_token / 1024:,.0f} KiB a token and GPU, so a replica"
            f" holds {self.kv_tokens:,} tokens: {self.full_sequences:,} sequences of"
            f" {self.max_model_tokens:,}",
            f"{self.replicas} replica(s) of {self.tensor_parallel} GPU(s):"
            f" {self.replicas * self.tensor_parallel} of {self.gpus} GPU(s) used",
        ]

    def yaml(self) -> str:
        """Write the placement's part of a configuration."""
        return (
            "placement:\n"
            f"  engines: {{min: {self.replicas}, max: {self.replicas}}}\n"
            "  engine:\n"
            f"    tensor_parallel: {self.tensor_parallel}\n"
            f"    max_batched_tokens: {self.max_batched_tokens}\n"
            f"    max_sequences: {self.max_sequences}\n"
            f"    memory_fraction: {MEMORY_FRACTION}\n"
        )


def fit(
    shape: Shape, gpu: Gpu, gpus: int, max_model_tokens: int, weights: Weights | None = None
) -> Fit:
    """Return the placement that holds most sequences; of those alike the least split one.

    Without `weights`, bf16 where that fits, since fp8 is another model; else fp8 where the GPU has
    it. Raises: ConfigError with the arithmetic where nothing fits.
    """
    if shape.max_tokens and max_model_tokens > shape.max_tokens:
        raise ConfigError(
            f"--max-model-tokens {max_model_tokens:,}: the model has {shape.max_tokens:,} positions"
        )
    stored: list[Weights] = ["fp8"] if shape.weight_bytes <= 1 else ["bf16", "fp8"]
    tried: list[Fit] = []
    for each in [weights] if weights else stored:
        if each == "fp8" and gpu.fp8_flops is None:
            continue
        found = [
            fitted(shape, gpu, gpus, size, each, max_model_tokens, batched)
            for size in sizes(shape, gpus)
            for batched in BATCHED_TOKENS
        ]
        if good := [one for one in found if one.full_sequences >= 1]:
            return max(good, key=lambda f: (f.worth, -f.tensor_parallel, f.max_batched_tokens))
        tried += found
    if not tried:
        raise ConfigError(f"{gpu.name} has no FP8 arithmetic")
    best = max(tried, key=lambda f: f.usable_bytes - f.weight_bytes - f.activation_bytes)
    needed = best.weight_bytes + best.activation_bytes + RESERVE_BYTES
    needed += max_model_tokens * best.kv_bytes_per_token
    raise ConfigError(
        f"does not fit on {gpus} {gpu.name}: with {best.weights} weights over"
        f" {best.tensor_parallel} GPU(s), each needs {needed / 1e9:,.1f} GB (weights"
        f" {best.weight_bytes / 1e9:,.1f}, activations {best.activation_bytes / 1e9:,.1f}, reserve"
        f" {RESERVE_BYTES / 1e9:,.1f}, one sequence of {max_model_tokens:,} tokens"
        f" {max_model_tokens * best.kv_bytes_per_token / 1e9:,.1f}) and may use"
        f" {best.usable_bytes / 1e9:,.1f}"
    )


def sizes(shape: Shape, gpus: int) -> list[int]:
    """Return the tensor parallel sizes that a model can be split into.

    A size divides the heads, and either divides the KV heads or is a multiple of them: then they
    are held more than once. Source: vLLM's own terms.
    """
    return [
        size
        for size in range(1, min(gpus, MAX_TENSOR_PARALLEL) + 1)
        if shape.heads % size == 0
        and (shape.kv_heads % size == 0 or size % shape.kv_heads == 0)
        and shape.mlp % size == 0
    ]


def fitted(
    shape: Shape,
    gpu: Gpu,
    gpus: int,
    size: int,
    weights: Weights,
    max_model_tokens: int,
    batched: int,
) -> Fit:
    """Return the arithmetic of one way to place a model, whether it fits or not."""
    usable = gpu.memory_bytes * MEMORY_FRACTION
    held = shape.parameters * (1.0 if weights == "fp8" else 2.0) / size
    # Keys and values of a head lie on one GPU, or on several.
    kv = shape.kv_bytes() / shape.kv_heads * max(shape.kv_heads / size, 1)
    activations = activation_bytes(shape, size, batched, MAX_SEQUENCES)
    room = usable - held - activations - RESERVE_BYTES
    tokens = max(0, int(room // kv))
    usual = max(1, int(max_model_tokens * USUAL_LENGTH_SHARE))
    sequences = max(1, min(MAX_SEQUENCES, tokens // usual))
    return Fit(
        gpus, size, gpus // size, weights, max_model_tokens, batched, sequences, usable, held,
        activations, kv, tokens,
    )  # fmt: skip


def activation_bytes(shape: Shape, size: int, batched: int, sequences: int) -> float:
    """Return the most that a step holds beside weights and cache, on one GPU.

    Source: this project's count of what is alive at once: six tensors of the hidden size (the
    stream, its norm, queries to values, the outcome, a sum over GPUs) and three of the MLP's, in
    bf16; for each sequence its logits, sorted, and as probabilities, in fp32.
    """
    layer = batched * 2 * (6 * shape.hidden + 3 * shape.mlp / size)
    return layer + sequences * shape.vocabulary * 4 * 3
