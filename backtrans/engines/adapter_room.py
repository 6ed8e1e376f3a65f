"""How much room vLLM makes for adapters: no more than what they hold.

Promises: an adapter that the engine cannot serve, or of another base, is refused before vLLM
starts.

Does not know: vLLM itself.
"""

from typing import Any

from backtrans.engines.adapter_files import check_adapter
from backtrans.engines.engine import EngineSettings
from backtrans.engines.folders import JsonObject
from backtrans.engines.model_files import check_base
from backtrans.errors import ModelError

_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""Source: vllm 0.32, config/lora.py, MaxLoRARanks."""


def adapter_arguments(settings: EngineSettings, base: JsonObject | None) -> dict[str, Any]:
    """Check the adapters; return the arguments by which vLLM serves them. Raises: ModelError.

    On CPU, vLLM gathers an adapter's weights anew for every token, at the full `max_lora_rank`: its
    cost grows with that rank. And unless the modules are named, vLLM wraps lm_head too, and then
    (0.32 on CPU) a request for prompt log-probabilities kills the engine core.
    """
    if not settings.adapters:
        return {}
    shapes = {folder: check_adapter(folder, base) for folder in settings.adapters.values()}
    for folder, shape in shapes.items():
        check_base(folder, settings.model, settings.revision)
        if shape.rank > settings.max_lora_rank:
            raise ModelError(
                f"{folder} has rank {shape.rank}, more than max_lora_rank {settings.max_lora_rank}"
            )
        if unserved := shape.modules & {"lm_head", "embed_tokens"}:
            raise ModelError(f"{folder} adapts {sorted(unserved)}, which this engine cannot serve")
    highest = max(shape.rank for shape in shapes.values())
    if highest > _RANKS[-1]:
        raise ModelError(f"rank {highest}: vLLM takes up to {_RANKS[-1]}")
    return {
        "enable_lora": True,
        "max_loras": len(shapes) + 1,
        "max_lora_rank": next(rank for rank in _RANKS if rank >= highest),
        "lora_target_modules": sorted(frozenset().union(*(s.modules for s in shapes.values()))),
    }
