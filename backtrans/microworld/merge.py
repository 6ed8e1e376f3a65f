"""A base and an adapter of it as one model folder, for engines that serve adapters slowly.

Why: on a CPU, vLLM 0.32 gathers an adapter's factors anew for every token, which makes the tiny
models many times slower than merged ones (docs/log.md). On a GPU it is the other way round:
two adapters on one base load the weights once.

Promises: the folder is whole or absent. Does not know what the model is used for.
"""

import os
import shutil
from pathlib import Path


def merge(base: Path, adapter: Path, folder: Path) -> Path:
    """Write the base with the adapter added to `folder`, unless it is there; return it."""
    if folder.is_dir():
        return folder
    from backtrans.microworld.lora import merged_weights
    from backtrans.microworld.network import export, load

    scratch = folder.with_name(f"{folder.name}.{os.getpid()}")
    scratch.mkdir(parents=True)
    export(merged_weights(load(base), adapter), scratch)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(base / name, scratch / name)
    try:
        scratch.rename(folder)
    except OSError:  # another run put it there first
        shutil.rmtree(scratch)
    return folder
