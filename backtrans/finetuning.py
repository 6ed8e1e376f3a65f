"""The training part of a recipe: what models are made of, and how. All of it decides the result.

Promises: a value that is not named is the preset's, or the default of `training/settings.py`, where
each has its source.

Does not know: data, torch, where a training runs.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from backtrans.section import Section
from backtrans.training.settings import LoraSettings, TrainingSettings, settings_of


class Seed(Section):
    """The pairs that training begins with. Source: 2308.06259 section 3.1: 3,200 of them."""

    paths: Annotated[list[str], Field(min_length=1)]
    """JSON Lines (plain, .gz, .zst) or Parquet; relative ones from the folder of this file."""
    format: Literal["auto", "pairs", "oasst"] = "auto"
    """oasst: OpenAssistant's conversation trees. auto: told by a file's first row."""
    columns: dict[Literal["instruction", "output"], str] = {}
    """Our name -> your column or key, where the names differ."""
    language: str = "en"
    """Of conversation trees."""
    max_chars: Annotated[int, Field(gt=0)] | None = None
    """Longer instructions and outputs are left out, and counted."""


class Replay(Section):
    """Ready exchanges that the forward model is trained on too, such as ratings: else it forgets
    how to rate. Rows have `prompt` and `completion`, or `messages`.
    """

    paths: Annotated[list[str], Field(min_length=1)]
    """JSON Lines (plain, .gz, .zst) or Parquet; relative ones from the folder of this file."""
    share: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """Of all its examples. Source: the micro-world's: 30% ratings kept 99.8% of them readable."""


_LORA = LoraSettings()


class Lora(Section):
    """A low-rank adapter; sources in training/settings.py."""

    rank: Annotated[int, Field(gt=0)] = _LORA.rank
    alpha: Annotated[int, Field(gt=0)] = _LORA.alpha
    dropout: Annotated[float, Field(ge=0, lt=1)] = _LORA.dropout
    modules: list[str] = []
    """Last names, such as q_proj; none: every linear layer."""


class Finetune(Section):
    """How a role's model is trained: a preset or the defaults of training/settings.py, where each
    has its source, and what is named here instead.
    """

    preset: Literal["humpback-7b", "humpback-70b"] | None = None
    """Named settings; the table below has them."""
    method: Literal["lora", "full"] | None = None
    lora: Lora | None = None
    learning_rate: float | None = None
    final_rate_share: float | None = None
    schedule: Literal["cosine", "linear", "constant"] | None = None
    warmup_share: float | None = None
    weight_decay: float | None = None
    dropout: float | None = None
    max_grad_norm: float | None = None
    batch_examples: int | None = None
    steps: int | None = None
    epochs: float | None = None
    max_tokens: int | None = None
    packing: bool | None = None
    seed: Annotated[int, Field(ge=0)] | None = None
    dtype: Literal["float32", "bfloat16"] | None = None

    @model_validator(mode="after")
    def _possible(self) -> "Finetune":
        self.settings()
        return self

    def settings(self) -> TrainingSettings:
        """Return the settings that this comes to. Raises: ConfigError."""
        said = self.model_dump(exclude_none=True, exclude={"preset", "lora"})
        if "batch_examples" in said:
            said["small_batch_examples"] = None
        if "epochs" in said:
            said["steps_for"] = ()
        if self.lora is not None:
            lora = self.lora
            modules = tuple(sorted(lora.modules))
            said["lora"] = LoraSettings(lora.rank, lora.alpha, lora.dropout, modules)
        return settings_of(self.preset, said)


class Training(Section):
    """How models with `trained: true` are made of their base."""

    seed: Seed
    replay: Replay | None = None
    backward: Finetune = Finetune()
    forward: Finetune = Finetune()
