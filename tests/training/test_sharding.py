"""Large models: FSDP's settings, as far as a machine without GPUs can tell."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backtrans.errors import ConfigError
from backtrans.store import StoreSettings
from backtrans.training.job import Job
from backtrans.training.settings import PRESETS, Spread

pytestmark = pytest.mark.slow

LLAMA_70B = {
    "hidden_size": 8192,
    "intermediate_size": 28672,
    "num_hidden_layers": 80,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
}
"""Source: 2307.09288 and the model's configuration."""


def layers_of(architecture: str, **config: Any) -> tuple[Any, list[str]]:
    """Return a model without weights, and the layers that the trainer would shard by."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(architecture, **config))
    return model, sorted(model._no_split_modules)


def test_accelerate_takes_the_settings_and_wraps_each_layer_of_a_70b_llama(tmp_path: Path) -> None:
    from accelerate import FullyShardedDataParallelPlugin
    from accelerate.utils.fsdp_utils import fsdp2_prepare_auto_wrap_policy
    from transformers import TrainingArguments

    from backtrans.training.arguments import fsdp

    model, layers = layers_of("llama", **LLAMA_70B)
    said = TrainingArguments(
        output_dir=str(tmp_path), use_cpu=True, fsdp=True, fsdp_config=fsdp(layers, recompute=True)
    )
    plugin = FullyShardedDataParallelPlugin(**said.fsdp_plugin_args)
    assert plugin.fsdp_version == 2
    assert plugin.reshard_after_forward is True
    assert plugin.activation_checkpointing is True
    assert plugin.state_dict_type.name == "FULL_STATE_DICT"
    wraps = fsdp2_prepare_auto_wrap_policy(plugin, model)
    assert wraps is not None
    wrapped = [type(module).__name__ for module in model.modules() if wraps(module)]
    assert wrapped == ["LlamaDecoderLayer"] * 80


@pytest.mark.parametrize("architecture", ["llama", "mistral", "qwen2", "qwen3", "gemma2"])
def test_common_architectures_name_layers_that_they_have(architecture: str) -> None:
    model, layers = layers_of(architecture, num_hidden_layers=2)
    there = [type(module).__name__ for module in model.modules()]
    assert layers
    assert all(name in there for name in layers)


@pytest.mark.parametrize("name", PRESETS)
def test_the_trainer_takes_a_preset(name: str, tmp_path: Path) -> None:
    from backtrans.training.arguments import arguments

    preset = PRESETS[name]
    spread = Spread(examples_each=4, recompute=preset.recompute)
    store = StoreSettings(str(tmp_path))
    job = Job(
        fingerprint="f",
        role="backward",
        settings=replace(preset.settings, dtype="float32"),
        spread=spread,
        base_path="b",
        base_revision=None,
        base_identity="i",
        base_name="b",
        store=store,
        counts={},
        data_digest="d",
        examples=25_600,
        launch="l",
        run="r",
    )
    found = arguments(job, 2, tmp_path, ["LlamaDecoderLayer"])
    assert (found.max_steps, found.learning_rate, found.weight_decay) == (1_200, 1e-5, 0.1)
    assert found.per_device_train_batch_size * found.gradient_accumulation_steps * 2 == 32
    assert found.gradient_checkpointing is preset.recompute


def test_sharding_without_gpus_is_refused_rather_than_left_out() -> None:
    with pytest.raises(ConfigError, match="needs GPUs"):
        Spread(workers=2, sharded=True)
