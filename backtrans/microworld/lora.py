"""LoRA by hand: low-rank changes of a frozen base, trained merged, written in PEFT's format.

Why not PEFT: beside this small base its import alone takes 12 s of a 90 s budget, and a training
step through it is slower by a tenth. What is written is what PEFT writes, and vLLM loads it.

Promises: a new adapter changes nothing (B = 0). Does not know data or roles.
"""

import json
import math
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.func import functional_call

from backtrans.microworld.network import FUSED, LAYERS, Network

RANK, ALPHA = 32, 64
"""Source: rank 32 of a width of 192 is below vLLM's limit of 64; alpha is twice the rank, PEFT's
common choice."""

TARGETS = tuple(
    module for modules in FUSED.values() for module in modules if module.endswith("_proj")
)


class Lora(nn.Module):
    """The factors of one adapter over one frozen network."""

    def __init__(self, network: Network, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.base = {name: p.detach() for name, p in network.named_parameters()}
        self.a = nn.ParameterDict()
        self.b = nn.ParameterDict()
        for layer in range(LAYERS):
            for ours, modules in FUSED.items():
                weight = self.base[f"blocks.{layer}.{ours}"]
                if weight.ndim < 2:
                    continue
                rows, columns = len(weight) // len(modules), weight.shape[1]
                for module in modules:
                    key = _key(layer, module)
                    a = torch.rand(RANK, columns, generator=generator) * 2 - 1
                    self.a[key] = nn.Parameter(a / math.sqrt(columns))
                    self.b[key] = nn.Parameter(torch.zeros(rows, RANK))

    def merged(self) -> dict[str, Tensor]:
        """Return the base's parameters with this adapter added; gradients reach the factors."""
        weights = dict(self.base)
        for layer in range(LAYERS):
            for ours, modules in FUSED.items():
                keys = [_key(layer, module) for module in modules]
                if keys[0] not in self.a:
                    continue
                change = torch.cat([self.b[key] @ self.a[key] for key in keys])
                name = f"blocks.{layer}.{ours}"
                weights[name] = weights[name] + ALPHA / RANK * change
        return weights

    def write(self, folder: Path) -> None:
        """Write the adapter as PEFT would."""
        from safetensors.torch import save_file

        tensors = {}
        for key in self.a:
            tensors[f"{_module(key)}.lora_A.weight"] = self.a[key].detach().contiguous()
            tensors[f"{_module(key)}.lora_B.weight"] = self.b[key].detach().contiguous()
        folder.mkdir(parents=True, exist_ok=True)
        save_file(tensors, str(folder / "adapter_model.safetensors"), metadata={"format": "pt"})
        settings = {
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": "backtrans-microworld-base",
            "r": RANK,
            "lora_alpha": ALPHA,
            "lora_dropout": 0.0,
            "bias": "none",
            "fan_in_fan_out": False,
            "inference_mode": True,
            "target_modules": [module.split(".")[-1] for module in TARGETS],
        }
        (folder / "adapter_config.json").write_text(json.dumps(settings, indent=1) + "\n")


def hidden(network: Network, weights: dict[str, Tensor], *inputs: Tensor) -> Tensor:
    """Run a network with other weights. Shape: (B, T) -> (B, T, D)."""
    state: Tensor = functional_call(network, weights, inputs)
    return state


def merged_weights(network: Network, folder: Path) -> dict[str, Tensor]:
    """Return a base's parameters with a written adapter added."""
    from safetensors.torch import load_file

    lora = Lora(network, seed=0)
    tensors = load_file(str(folder / "adapter_model.safetensors"))
    with torch.no_grad():
        for key in lora.a:
            lora.a[key].copy_(tensors[f"{_module(key)}.lora_A.weight"])
            lora.b[key].copy_(tensors[f"{_module(key)}.lora_B.weight"])
        return lora.merged()


def _module(key: str) -> str:
    layer, module = key.split(":")
    return f"base_model.model.model.layers.{layer}.{module.replace('/', '.')}"


def _key(layer: int, module: str) -> str:
    # A dot is not allowed in a ParameterDict's key.
    return f"{layer}:{module.replace('.', '/')}"
