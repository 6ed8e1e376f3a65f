"""How a model is fine-tuned: settings with their sources, and named presets.

Promises: `TrainingSettings` holds all that decides a training besides its data and its base, and
enters its fingerprint whole; `Spread` says where and how it runs, and enters none.

Does not know: torch, data, the configuration file.
"""

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

from backtrans.errors import ConfigError


@dataclass(frozen=True, slots=True)
class LoraSettings:
    """A low-rank adapter.

    Source: rank 16 and alpha twice that are PEFT's common choice; 2106.09685 finds small ranks
    enough, 2305.14314 that all linear layers matter more than the rank.
    """

    rank: int = 16  # of the two factors
    alpha: int = 32  # the change counts alpha / rank
    dropout: float = 0.05  # of what goes into the adapter
    modules: tuple[str, ...] = ()  # last names, such as q_proj; empty: every linear layer

    def __post_init__(self) -> None:
        if self.rank < 1 or self.alpha < 1 or not 0 <= self.dropout < 1:
            raise ConfigError(f"rank {self.rank}, alpha {self.alpha}, dropout {self.dropout}")


@dataclass(frozen=True, slots=True)
class StepsFor:
    """So many steps where there are at least so many examples."""

    examples: int
    steps: int


HUMPBACK_STEPS = (
    StepsFor(0, 500),
    StepsFor(6_400, 600),
    StepsFor(25_600, 1_200),
    StepsFor(51_200, 1_600),
)
"""Source: 2308.06259 appendix: 3.2k examples 500 steps, 6.4k and 12.8k 600, 25.6k 1,200, 51.2k
1,600. What lies between two counts takes the lower one's steps."""


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """What decides a training, besides its data and its base. Counts of steps are of updates.

    Source of the defaults: rates of 1e-4 to 2e-4 are usual for LoRA (2305.14314: 2e-4 up to 13B);
    betas and clipping are 2307.09288's (Llama 2).
    """

    method: Literal["lora", "full"] = "lora"  # an adapter, or all weights
    lora: LoraSettings = LoraSettings()
    learning_rate: float = 1e-4  # at its highest
    final_rate_share: float = 0.0  # of the learning rate, where the schedule ends
    schedule: Literal["cosine", "linear", "constant"] = "cosine"  # of the learning rate
    warmup_share: float = 0.03  # of the steps. Source: 2305.14314
    weight_decay: float = 0.0  # AdamW's
    dropout: float = 0.0  # of a full fine-tuning: attention dropout
    betas: tuple[float, float] = (0.9, 0.95)
    max_grad_norm: float = 1.0  # longer gradients are clipped
    batch_examples: int = 32  # of one update, over all workers
    small_batch_examples: int | None = None  # below `small_data_examples`
    small_data_examples: int = 3_000
    steps: int | None = None  # else by `steps_for`, else by `epochs`
    steps_for: tuple[StepsFor, ...] = ()
    epochs: float = 1.0  # times that each example is seen, where no steps are named
    max_tokens: int = 2048
    """Of prompt and target together. What is longer is left out and counted, never cut."""
    replay_share: float = 0.0  # of all examples
    packing: bool = False  # then a batch counts rows of max_tokens, each of several examples
    seed: int = 0  # of the order of examples, dropout and an adapter's first weights
    dtype: Literal["float32", "bfloat16"] = "bfloat16"
    """Of the arithmetic. bfloat16: weights that learn are held in float32 beside it."""

    def __post_init__(self) -> None:
        for name in ("learning_rate", "batch_examples", "max_tokens", "epochs", "max_grad_norm"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} {getattr(self, name)} is not positive")
        for name in ("final_rate_share", "warmup_share", "dropout", "replay_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} {getattr(self, name)} is no share between 0 and 1")
        if self.packing and self.steps is None and not self.steps_for:
            raise ConfigError(
                "packing: name steps: epochs count examples, and a batch counts packed rows"
            )
        if self.replay_share == 1:
            raise ConfigError("replay_share 1 leaves nothing to learn")
        if self.weight_decay < 0 or (self.steps is not None and self.steps < 1):
            raise ConfigError(f"weight_decay {self.weight_decay}, steps {self.steps}")

    def batch_for(self, examples: int) -> int:
        """Return the examples of one update, over all workers."""
        if self.small_batch_examples is not None and examples < self.small_data_examples:
            return self.small_batch_examples
        return self.batch_examples

    def steps_of(self, examples: int) -> int:
        """Return the number of updates for so many examples."""
        if self.steps is not None:
            return self.steps
        reached = [each.steps for each in self.steps_for if each.examples <= examples]
        if reached:
            return reached[-1]
        return max(1, math.ceil(examples * self.epochs / self.batch_for(examples)))


@dataclass(frozen=True, slots=True)
class Spread:
    """Where and how a training runs. `examples_each` is what one worker takes at once: the rest of
    a batch is accumulated.
    """

    workers: int = 1
    gpus_each: float = 0.0
    examples_each: int = 8
    checkpoint_steps: int = 100  # 0: none, and a kill begins anew
    sharded: bool = False  # FSDP: each worker holds a share of weights, gradients and moments
    recompute: bool = False  # activations in the backward pass, for memory
    max_failures: int = 3  # how often lost workers are started anew

    def __post_init__(self) -> None:
        if self.sharded and self.gpus_each == 0:
            # accelerate would train unsharded there, and not say so.
            raise ConfigError("a sharded training (FSDP) needs GPUs")


@dataclass(frozen=True, slots=True)
class Preset:
    """Named settings, and whether a model of that size must be sharded."""

    settings: TrainingSettings
    sharded: bool = False
    recompute: bool = False


_HUMPBACK = TrainingSettings(
    method="full",
    learning_rate=1e-5,
    final_rate_share=0.9,
    schedule="linear",
    warmup_share=0.0,
    weight_decay=0.1,
    dropout=0.1,
    batch_examples=32,
    small_batch_examples=8,
    small_data_examples=3_000,
    steps_for=HUMPBACK_STEPS,
    max_tokens=2048,
)
"""Source: 2308.06259 section 3.1 and appendix: learning rate 1e-5, linearly down to 9e-6; weight
decay 0.1; dropout 0.1; batch 32, and 8 below 3k examples; steps as above; 2,048 is LLaMA's context.
The paper names no warm-up and no betas: none, and LLaMA's. Its dropout has no place but the
attention in today's Llama, so it is there."""

PRESETS = {
    "humpback-7b": Preset(_HUMPBACK, sharded=True, recompute=False),
    "humpback-70b": Preset(_HUMPBACK, sharded=True, recompute=True),
}
"""Source of sharding: full fine-tuning with Adam takes 16 bytes a parameter (weights, gradient and
two moments in float32): 112 GB at 7B, 1.1 TB at 70B. Recomputing 70B's activations is this
project's choice: 80 layers of width 8,192 take tens of GB an example without it."""


def settings_of(preset: str | None, changes: dict[str, Any]) -> TrainingSettings:
    """Return a preset's settings, or the defaults, with changes. Raises: ConfigError."""
    found = PRESETS[preset].settings if preset else TrainingSettings()
    return replace(found, **changes)
