"""LoRA adapters as folders: whether one can be served, and one that changes nothing.

Promises: an adapter that an engine could not serve is named, with what is wrong, before an engine
is started. Reads PEFT's adapter_config.json and the head of adapter_model.safetensors.

Does not know: torch, vLLM, what an adapter was trained for.
"""

import json
import re
import struct
from dataclasses import dataclass
from pathlib import Path

from backtrans.engines.folders import (
    JsonObject,
    open_folder,
    read_json,
    tensor_metadata,
    tensor_shapes,
)
from backtrans.errors import ModelError

BASE_KEY = "backtrans_base"
"""Where an adapter's weights name the base that they were trained on, by its fingerprint."""


@dataclass(frozen=True, slots=True)
class AdapterShape:
    """What an engine must make room for."""

    rank: int  # the highest of any module
    modules: frozenset[str]  # last names, such as "q_proj"


def check_adapter(adapter: str | Path, base: JsonObject | None = None) -> AdapterShape:
    """Check a PEFT LoRA folder, by itself and against a base's config.json.

    Raises: ModelError naming the folder and what does not fit.
    """
    folder = open_folder(adapter)
    config = read_json(folder, "adapter_config.json")
    rank, targets = config.get("r"), config.get("target_modules")
    if config.get("peft_type", "LORA") != "LORA":
        raise ModelError(f"{folder} is a {config['peft_type']} adapter; only LoRA can be served")
    if not isinstance(rank, int) or rank < 1:
        raise ModelError(f"{folder}: adapter_config.json has r = {rank!r}")
    if not isinstance(targets, list | str) or not targets:
        raise ModelError(f"{folder}: adapter_config.json has target_modules = {targets!r}")
    weights = _weights(folder)
    shapes = tensor_shapes(weights)
    downs = {n.replace(".lora_A", ""): s for n, s in shapes.items() if ".lora_A" in n}
    ups = {n.replace(".lora_B", ""): s for n, s in shapes.items() if ".lora_B" in n}
    if not downs or downs.keys() != ups.keys():
        raise ModelError(f"{weights} does not hold lora_A and lora_B of the same modules")
    for module, shape in downs.items():
        if len(shape) != 2 or len(ups[module]) != 2 or shape[0] != ups[module][1]:
            raise ModelError(f"{weights}: {module} has shapes {shape} and {ups[module]}")
    if base is not None:
        _check_fits(folder, downs, ups, base)
    names = frozenset(module.removesuffix(".weight").rsplit(".", 1)[-1] for module in downs)
    return AdapterShape(max(shape[0] for shape in downs.values()), names)


def base_of(adapter: str | Path) -> str | None:
    """Return the fingerprint of the base that an adapter was trained on, where it says so.

    Raises: ModelError for a folder that is no adapter.
    """
    return tensor_metadata(_weights(open_folder(adapter))).get(BASE_KEY)


def _weights(folder: Path) -> Path:
    weights, pickled = folder / "adapter_model.safetensors", folder / "adapter_model.bin"
    if weights.is_file():
        return weights
    also = f"; {pickled.name} is not loaded, since it may run code: save it anew"
    raise ModelError(f"{folder} has no {weights.name}{also if pickled.is_file() else ''}")


def _check_fits(
    folder: Path,
    downs: dict[str, tuple[int, ...]],
    ups: dict[str, tuple[int, ...]],
    base: JsonObject,
) -> None:
    """Compare an adapter's widths with a base's, for the modules whose widths every model names."""
    hidden, layers = base.get("hidden_size"), base.get("num_hidden_layers")
    for module, shape in downs.items():
        # Experts have a width of their own, under names that differ from family to family.
        inner = None if "expert" in module else base.get("intermediate_size")
        inputs = {"q_proj": hidden, "k_proj": hidden, "v_proj": hidden}
        inputs |= {"gate_proj": hidden, "up_proj": hidden, "down_proj": inner}
        outputs = {"o_proj": hidden, "down_proj": hidden, "gate_proj": inner, "up_proj": inner}
        kind = next((part for part in module.split(".") if part.endswith("_proj")), "")
        for width, expected in ((shape[1], inputs.get(kind)), (ups[module][0], outputs.get(kind))):
            if expected is not None and width != expected:
                raise ModelError(
                    f"{folder} does not fit the base model: {module} has width {width},"
                    f" the base {expected}"
                )
        number = re.search(r"\.layers\.(\d+)\.", module)
        if number and isinstance(layers, int) and int(number[1]) >= layers:
            raise ModelError(
                f"{folder} does not fit the base model: {module}, but it has {layers} layers"
            )


def write_identity_adapter(like: str | Path, into: Path) -> None:
    """Write a LoRA adapter that changes nothing (B = 0), with one module of the adapter `like`.

    Its name and widths fit the base model because those of `like` do.
    """
    source = Path(like)
    shapes = tensor_shapes(source / "adapter_model.safetensors")
    down = min(name for name in shapes if ".lora_A" in name)
    up = down.replace(".lora_A", ".lora_B")
    widths = {down: (1, shapes[down][1]), up: (shapes[up][0], 1)}
    head: JsonObject = {}
    end = 0
    for name, shape in widths.items():
        start, end = end, end + 4 * shape[0] * shape[1]
        head[name] = {"dtype": "F32", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    weights = struct.pack("<Q", len(text)) + text + bytes(end)
    (into / "adapter_model.safetensors").write_bytes(weights)
    module = down.split(".lora_A")[0].rsplit(".", 1)[-1]
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": read_json(source, "adapter_config.json").get(
            "base_model_name_or_path"
        ),
        "r": 1,
        "lora_alpha": 1,
        "target_modules": [module],
    }
    (into / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
