"""From this project's settings to TRL's, PEFT's and FSDP's.

Promises: what decides a training is said, not left to a library's default that its next version
may change.

Does not know: data, models' weights, checkpoints.
"""

import math
from pathlib import Path
from typing import Any

from peft import LoraConfig
from trl import SFTConfig

from backtrans.training.job import Job
from backtrans.training.settings import TrainingSettings


def adapter_of(settings: TrainingSettings) -> Any:
    """Return PEFT's settings of an adapter, or None for a full fine-tuning."""
    if settings.method == "full":
        return None
    lora = settings.lora
    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=list(lora.modules) or "all-linear",
        bias="none",
        task_type="CAUSAL_LM",
    )


def arguments(job: Job, workers: int, scratch: Path, layers: list[str]) -> SFTConfig:
    """Return the trainer's arguments: all that is not a default of theirs, or not for certain."""
    settings, spread = job.settings, job.spread
    each = job.examples_each
    sharding: dict[str, Any] = {}
    if spread.sharded:
        sharding = {"fsdp": True, "fsdp_config": fsdp(layers, recompute=spread.recompute)}
    return SFTConfig(
        output_dir=str(scratch),
        max_steps=job.steps,
        per_device_train_batch_size=each,
        gradient_accumulation_steps=job.batch // (each * workers),
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        adam_beta1=settings.betas[0],
        adam_beta2=settings.betas[1],
        max_grad_norm=settings.max_grad_norm,
        optim="adamw_torch",
        seed=settings.seed,
        data_seed=settings.seed,
        bf16=settings.dtype == "bfloat16",
        use_cpu=spread.gpus_each == 0,
        # FSDP recomputes by its own setting; both at once would do it twice.
        gradient_checkpointing=spread.recompute and not spread.sharded,
        packing=settings.packing,
        max_length=settings.max_tokens,
        # Rendered and labelled already; only packing still has to cut rows.
        dataset_kwargs={"skip_prepare_dataset": not settings.packing},
        completion_only_loss=False,
        average_tokens_across_devices=True,
        dataloader_pin_memory=spread.gpus_each > 0,
        ddp_find_unused_parameters=False,
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="steps" if spread.checkpoint_steps else "no",
        save_steps=spread.checkpoint_steps or job.steps,
        report_to=[],
        disable_tqdm=True,
        **sharding,
    )


def fsdp(layers: list[str], *, recompute: bool) -> dict[str, Any]:
    """Return the settings of FSDP2: a unit of sharding for each of the model's layers.

    Source: PyTorch's FSDP2 tutorial (shard each transformer layer, then the root); transformers'
    names of the settings. Loading on rank 0 alone keeps a node from holding 70B once a worker.
    """
    return {
        "version": 2,
        "auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
        "transformer_layer_cls_to_wrap": layers,
        "reshard_after_forward": True,
        "cpu_ram_efficient_loading": True,
        "state_dict_type": "FULL_STATE_DICT",
        "activation_checkpointing": recompute,
    }


def rate_share(step: int, steps: int, settings: TrainingSettings) -> float:
    """Return the share of the learning rate that an update has, from 0."""
    warmup = round(settings.warmup_share * steps)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if settings.schedule == "constant":
        return 1.0
    done = min(1.0, (step - warmup) / max(1, steps - warmup))
    left = 1 - done if settings.schedule == "linear" else (1 + math.cos(math.pi * done)) / 2
    return settings.final_rate_share + (1 - settings.final_rate_share) * left
