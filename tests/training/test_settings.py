"""How models are trained: the paper's figures, and settings that cannot be are refused."""

import json
from dataclasses import asdict
from typing import Any

import pytest
from pydantic import ValidationError

from backtrans.errors import ConfigError
from backtrans.finetuning import Finetune
from backtrans.recipe import Recipe
from backtrans.store import StoreSettings
from backtrans.training.job import Job
from backtrans.training.settings import PRESETS, LoraSettings, Spread, TrainingSettings


@pytest.mark.parametrize(
    ("examples", "steps", "batch"),
    [
        (2_999, 500, 8),
        (3_200, 500, 32),
        (6_400, 600, 32),
        (12_800, 600, 32),
        (25_600, 1_200, 32),
        (51_200, 1_600, 32),
        (60_000, 1_600, 32),
    ],
)
def test_the_presets_have_the_papers_steps_and_batches(
    examples: int, steps: int, batch: int
) -> None:
    for preset in PRESETS.values():
        settings = preset.settings
        assert (settings.steps_of(examples), settings.batch_for(examples)) == (steps, batch)
        assert settings.learning_rate * settings.final_rate_share == pytest.approx(9e-6)
        assert (settings.method, settings.weight_decay, settings.dropout) == ("full", 0.1, 0.1)


def test_without_a_table_steps_follow_from_epochs() -> None:
    settings = TrainingSettings(epochs=2.0, batch_examples=32)
    assert settings.steps_of(100) == 7
    assert TrainingSettings(steps=5).steps_of(100) == 5


def test_a_section_changes_what_it_names_and_leaves_the_rest_of_the_preset() -> None:
    found = Finetune(preset="humpback-7b", learning_rate=2e-5, epochs=3.0, batch_examples=64)
    settings = found.settings()
    assert settings.learning_rate == 2e-5
    assert settings.weight_decay == 0.1
    assert settings.steps_of(640) == 30
    assert settings.batch_for(640) == 64


def test_the_defaults_of_the_file_are_those_of_the_settings() -> None:
    assert Finetune().settings() == TrainingSettings()
    section = Finetune.model_validate_json('{"lora": {"rank": 8, "modules": ["v_proj", "q_proj"]}}')
    assert section.settings().lora == LoraSettings(rank=8, modules=("q_proj", "v_proj"))


@pytest.mark.parametrize(
    "change",
    [
        {"learning_rate": 0.0},
        {"warmup_share": 1.5},
        {"steps": 0},
        {"dropout": -0.1},
        {"packing": True},  # what an epoch is, then, nobody can say
    ],
)
def test_what_cannot_be_is_refused_where_it_is_written(change: dict[str, Any]) -> None:
    with pytest.raises((ConfigError, ValidationError)):
        Finetune.model_validate_json(json.dumps(change))


def recipe(**models: Any) -> str:
    raw = {"corpus": {"paths": ["x"]}, "models": {"backward": {"path": "m"}, "forward": models}}
    return json.dumps(raw)


def test_a_trained_model_needs_a_seed_and_has_no_adapter_of_its_own() -> None:
    with pytest.raises(ValidationError, match=r"under training\.seed"):
        Recipe.model_validate_json(recipe(path="m", trained=True))
    with pytest.raises(ValidationError, match="no adapter to begin with"):
        Recipe.model_validate_json(recipe(path="m", trained=True, adapter="a"))


def job(batch: int, spread: Spread) -> Job:
    settings = TrainingSettings(batch_examples=batch)
    store = StoreSettings("/r")
    return Job("f", "forward", settings, spread, "b", None, "i", "b", store, {}, "d", 100, "l", "r")


@pytest.mark.parametrize(
    ("batch", "workers", "each", "takes"),
    [(32, 1, 8, 8), (32, 4, 8, 8), (12, 1, 8, 6), (7, 1, 4, 1)],
)
def test_a_batch_is_shared_out_evenly(batch: int, workers: int, each: int, takes: int) -> None:
    found = job(batch, Spread(workers=workers, examples_each=each))
    assert found.examples_each == takes
    assert batch % (takes * workers) == 0


def test_a_batch_that_cannot_be_shared_out_is_refused() -> None:
    with pytest.raises(ConfigError, match="8 examples cannot be shared out to 3 workers"):
        _ = job(8, Spread(workers=3)).examples_each


def test_settings_are_plain_values_for_a_record() -> None:
    json.dumps(asdict(PRESETS["humpback-70b"].settings))
