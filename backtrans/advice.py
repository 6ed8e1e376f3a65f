"""What is allowed in a configuration, and yet better otherwise.

Promises: asks no hub and opens no file; each line names the setting and what to write.

Does not know: what is wrong, which is an error where it is found.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from backtrans.placement import Placement
from backtrans.recipe import Model

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
"""Source: git's names of commits, by SHA-1 and by SHA-256."""


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing that would be better: what it is about, how it is, what to write."""

    about: str
    found: str
    better: str


def advice(models: Mapping[str, Model], placement: Placement) -> Iterator[Advice]:
    """Yield what would be better of models by their parts, and of where they run."""
    for part, model in models.items():
        if model.engine != "vllm" or not model.revision or Path(model.path).is_dir():
            continue
        if not _COMMIT.fullmatch(model.revision):
            yield Advice(
                f"recipe.models.{part}.revision",
                f"{model.revision!r} of {model.path} is a branch or a tag, which may move",
                "pin it: name the commit by its 40 digits",
            )
    if placement.engine.trust_remote_code:
        yield Advice(
            "placement.engine.trust_remote_code",
            "code that comes with a model runs on every worker, with all that the run may do",
            "leave it out unless a model needs it, and read that code",
        )
