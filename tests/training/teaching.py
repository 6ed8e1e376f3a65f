"""Trainings for tests: a tiny base, few pairs, and a worker in this process."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backtrans import errors, models
from backtrans.store import Store, StoreSettings
from backtrans.training import train as training
from backtrans.training.job import Job
from backtrans.training.pairs import RoleName, TrainingPair, gathered
from backtrans.training.room import Room
from backtrans.training.settings import LoraSettings, Spread, TrainingSettings

PAIRS = [
    TrainingPair(f"How do I bake {k} loaves?", f"Mix flour and water {k} times, and wait.")
    for k in range(24)
]
SETTINGS = TrainingSettings(
    steps=6,
    batch_examples=4,
    learning_rate=1e-2,
    max_tokens=400,
    dtype="float32",
    lora=LoraSettings(rank=4, alpha=8, dropout=0.1),
)
SPREAD = Spread(checkpoint_steps=2, examples_each=2)


def launch_here(job: Job, *, on_ray: bool, say: Callable[[str], None]) -> None:
    """Train in this process, which has torch loaded already."""
    from backtrans.training.sft import work

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what torch and TRL warn of is not ours
        work(job)
    failure = Room(Store(job.store), job.fingerprint).failure(job.launch)
    if failure is not None:
        raise getattr(errors, failure.kind)(failure.message)


def train_here(
    base: Path,
    root: Path,
    role: RoleName = "backward",
    pairs: list[TrainingPair] = PAIRS,
    spread: Spread = SPREAD,
    **changes: Any,
) -> models.Registered:
    """Train on a local root with one worker in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "launch", launch_here)
        return training.train(
            role,
            gathered(pairs),
            replace(SETTINGS, **changes),
            training.Base(str(base)),
            StoreSettings(str(root)),
            spread=spread,
        )


def folder_of(root: Path, model: models.Registered) -> Path:
    """Return the folder of a registered model."""
    return models.Registry(Store(StoreSettings(str(root)))).fetch(model.fingerprint, root / "cache")
