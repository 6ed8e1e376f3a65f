"""What a model costs to hold and to run, from its config.json: parameters, and bytes a token.

Promises: parameters of Llama-like models follow from the shapes of their tensors (grouped heads,
gated MLPs, experts); of other models they are what the index of their weights says, or nothing is
said at all.

Does not know: GPUs, what is asked of the model. Adapters are not counted: they take under a
hundredth of it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backtrans.engines.folders import JsonObject, open_folder, read_json
from backtrans.errors import ModelError

_LLAMA_LIKE = {
    "llama", "mistral", "mixtral", "qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "olmoe", "phi3",
    "gemma", "granite",
}  # fmt: skip
"""Families with a gated MLP and grouped heads, and nothing beside. Source: their model code in
transformers 5."""

_TIED_BY_DEFAULT = {"gemma"}
_BIASED_BY_DEFAULT = {"qwen2", "qwen2_moe"}
"""Queries, keys and values have a bias, whatever the file says. Source: as above."""

_INDEX = "model.safetensors.index.json"
_BF16_BYTES = 2


@dataclass(frozen=True, slots=True)
class Shape:
    """A model's figures. `active` parameters are those that one token goes through."""

    parameters: int
    active: int
    layers: int
    hidden: int
    mlp: int  # the widest inner size that one token goes through, of all its experts together
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    max_tokens: int
    weight_bytes: float = _BF16_BYTES  # of a parameter, as the files have it

    @property
    def has_experts(self) -> bool:
        """Whether a token goes through a part of the model alone."""
        return self.active + self.vocabulary * self.hidden < self.parameters

    def kv_bytes(self, value_bytes: int = _BF16_BYTES) -> int:
        """Return what the keys and values of one token take, over all layers."""
        return 2 * self.layers * self.kv_heads * self.head_dim * value_bytes


def shape_of(model: str | Path) -> Shape:
    """Read a model's shape: from its folder, or its config.json by itself. Raises: ModelError."""
    path = Path(model)
    folder = path.parent if path.is_file() else open_folder(path)
    config = read_json(folder, path.name if path.is_file() else "config.json")
    total = None
    if path.is_dir() and (folder / _INDEX).is_file():
        total = (read_json(folder, _INDEX).get("metadata") or {}).get("total_size")
    return shape_from(config, total, str(model))


def shape_from(config: JsonObject, index_bytes: int | None = None, name: str = "config") -> Shape:
    """Count a model's parameters from its configuration, or from its index's bytes.

    Raises: ModelError where a size is missing, or nothing tells the parameters.
    """
    config = {**config, **config.get("text_config", {})}

    def size(key: str, *instead: str, default: int | None = None) -> int:
        for each in (key, *instead):
            if isinstance(value := config.get(each), int) and not isinstance(value, bool):
                return value
        if default is None:
            raise ModelError(f"{name}: has no {key}")
        return default

    hidden, layers = size("hidden_size"), size("num_hidden_layers")
    heads = size("num_attention_heads")
    kv_heads = size("num_key_value_heads", default=heads)
    head_dim = size("head_dim", default=hidden // heads)
    inner, vocabulary = size("intermediate_size"), size("vocab_size")
    experts = size("num_local_experts", "num_experts", default=0)
    chosen = size("num_experts_per_tok", default=0)
    shared = size("shared_expert_intermediate_size", default=0)
    mlp = chosen * size("moe_intermediate_size", default=inner) + shared if experts else inner
    weight_bytes = _stored_bytes(config)
    kind = config.get("model_type")
    if kind in _LLAMA_LIKE:
        whole, active = _llama_like(
            config, str(kind), hidden, layers, heads * head_dim, kv_heads * head_dim,
            experts, mlp, shared, chosen,
        )  # fmt: skip
    elif index_bytes:
        whole = active = round(index_bytes / weight_bytes)
    else:
        raise ModelError(
            f"{name}: model_type {kind!r} is not one whose parameters follow from its config.json;"
            f" give the folder with its {_INDEX}"
        )
    longest = size("max_position_embeddings", default=0)
    return Shape(
        whole, active, layers, hidden, mlp, heads, kv_heads, head_dim, vocabulary, longest,
        weight_bytes,
    )  # fmt: skip


def _llama_like(
    config: JsonObject,
    kind: str,
    hidden: int,
    layers: int,
    queries: int,
    keys: int,
    experts: int,
    mlp: int,
    shared: int,
    chosen: int,
) -> tuple[int, int]:
    """Return a model's parameters, and those that one token goes through."""
    attention = 2 * hidden * queries + 2 * hidden * keys
    if kind in _BIASED_BY_DEFAULT or config.get("attention_bias"):
        attention += queries + 2 * keys
    active = 3 * hidden * mlp
    every = active
    if experts:
        every = 3 * hidden * ((mlp - shared) // max(chosen, 1) * experts + shared)
        router = hidden * experts
        every, active = every + router, active + router
    norms = 2 * hidden
    embedding = int(config["vocab_size"]) * hidden
    tied = config.get("tie_word_embeddings", kind in _TIED_BY_DEFAULT)
    ends = embedding * (1 if tied else 2) + hidden
    # A token looks up one row of the embedding, and goes through the whole of the output's.
    whole = layers * (attention + every + norms) + ends
    return whole, layers * (attention + active + norms) + embedding + hidden


def _stored_bytes(config: JsonObject) -> float:
    """Return the bytes of a parameter, as the weights are stored."""
    said: dict[str, Any] = config.get("quantization_config") or {}
    bits = said.get("bits")
    if said.get("quant_method") in ("fp8", "fbgemm_fp8", "compressed-tensors", "modelopt"):
        return 1.0
    if isinstance(bits, int):
        return bits / 8
    return 4.0 if (config.get("torch_dtype") or config.get("dtype")) == "float32" else 2.0
