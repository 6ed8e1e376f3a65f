"""Write a trained model as an engine takes it: an adapter, or a whole folder.

Promises: safetensors only; an adapter says which base it is of; a full model has its base's own
configuration and tokenizer, as they were before the trainer changed them.

Does not know: stores, how the weights came about.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig
from trl import SFTTrainer

from backtrans.engines.adapter_files import BASE_KEY
from backtrans.training.examples import tokenizer_of
from backtrans.training.job import Job

_TOKENIZER = "tokenizer", "special_tokens_map", "added_tokens", "vocab", "merges", "chat_template"


def save(job: Job, trainer: SFTTrainer, folder: Path) -> None:
    """Write the model as an engine takes it; on all workers, since a sharded one is gathered."""
    state = None
    if job.spread.sharded:
        state = trainer.accelerator.get_state_dict(trainer.model_wrapped)
    if not trainer.accelerator.is_main_process:
        return
    model = trainer.accelerator.unwrap_model(trainer.model_wrapped)
    if job.settings.method == "lora":
        model.save_pretrained(folder, state_dict=state, save_embedding_layers=False)
        _tidy_adapter(job, folder)
        return
    dtype = getattr(torch, job.settings.dtype)
    if state is None:
        model.to(dtype).save_pretrained(folder, max_shard_size=MAX_FILE)
    else:
        cast: dict[int, Any] = {}  # by storage, so that tied weights stay tied
        for name, tensor in state.items():
            state[name] = cast.setdefault(tensor.data_ptr(), tensor.to(dtype))
        model.save_pretrained(folder, state_dict=state, max_shard_size=MAX_FILE)
    # The base's own configuration: dropout and padding were the training's.
    config = AutoConfig.from_pretrained(job.base_path, revision=job.base_revision)
    config.architectures = [type(model).__name__]
    config.dtype = dtype
    config.save_pretrained(folder)
    _save_tokenizer(job, folder)


MAX_FILE = "2GB"
"""Of weights. Source: this project's choice: a file is held in memory when it is put or fetched."""


def _tidy_adapter(job: Job, folder: Path) -> None:
    """Leave in an adapter what it is, and nothing of the machine that made it."""
    weights = folder / "adapter_model.safetensors"
    tensors = load_file(weights)
    save_file(tensors, weights, metadata={"format": "pt", BASE_KEY: job.base_identity})
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = job.base_name
    config["target_modules"] = sorted(config["target_modules"])  # a set, in any order
    path.write_text(json.dumps(config, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    (folder / "README.md").unlink(missing_ok=True)


def _save_tokenizer(job: Job, folder: Path) -> None:
    base = Path(job.base_path)
    if not base.is_dir():
        tokenizer_of(job.base_path, job.base_revision).save_pretrained(folder)
        return
    for path in base.iterdir():  # as they are: the trainer has changed what it loaded
        if path.is_file() and path.name.startswith((*_TOKENIZER, "generation_config")):
            shutil.copyfile(path, folder / path.name)
