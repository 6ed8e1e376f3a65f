"""The base while it learns: a Llama with fused projections, Muon, and the export to the HF layout.

Promises: the exported folder is a plain `LlamaForCausalLM` whose logits are this network's.

Does not know data. Shapes: B rows, T tokens, D width, H heads, K head width.
"""

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTH, LAYERS, HEADS, INNER = 192, 4, 6, 512
ROPE_BASE, NORM_EPSILON = 10000.0, 1e-5


class Block(nn.Module):
    """One layer: attention, then a gated inner layer."""

    def __init__(self) -> None:
        super().__init__()
        self.norm_in = nn.Parameter(torch.ones(WIDTH))
        self.norm_mid = nn.Parameter(torch.ones(WIDTH))
        self.qkv = nn.Parameter(torch.randn(3 * WIDTH, WIDTH) / math.sqrt(WIDTH))
        self.out = nn.Parameter(torch.zeros(WIDTH, WIDTH))
        self.gate_up = nn.Parameter(torch.randn(2 * INNER, WIDTH) / math.sqrt(WIDTH))
        self.down = nn.Parameter(torch.zeros(WIDTH, INNER))

    def forward(self, x_BTD: Tensor, cos: Tensor, sin: Tensor, mask: Tensor) -> Tensor:
        """Shape: (B, T, D) -> (B, T, D)."""
        b, t, _ = x_BTD.shape
        h = functional.rms_norm(x_BTD, (WIDTH,), self.norm_in, NORM_EPSILON)
        qkv = functional.linear(h, self.qkv).view(b, t, 3, HEADS, WIDTH // HEADS)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        q, k = _rotate(q, cos, sin), _rotate(k, cos, sin)
        q = q * (WIDTH // HEADS) ** -0.5
        weights = torch.softmax((q @ k.transpose(-1, -2)).add_(mask), dim=-1)
        mixed = (weights @ v).transpose(1, 2).reshape(b, t, WIDTH)
        x_BTD = x_BTD + functional.linear(mixed, self.out)
        h = functional.rms_norm(x_BTD, (WIDTH,), self.norm_mid, NORM_EPSILON)
        gate, up = functional.linear(h, self.gate_up).chunk(2, dim=-1)
        return x_BTD + functional.linear(functional.silu(gate) * up, self.down)


def _rotate(x_BHTK: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    a, b = x_BHTK.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)


class Network(nn.Module):
    """The base. Embedding and output share one matrix."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.embed = nn.Parameter(torch.randn(vocabulary, WIDTH) * 0.02)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm = nn.Parameter(torch.ones(WIDTH))

    def forward(self, ids_BT: Tensor, segment_BT: Tensor, position_BT: Tensor) -> Tensor:
        """Return the last hidden state. Shape: (B, T, D)."""
        half = WIDTH // HEADS // 2
        frequency = ROPE_BASE ** (-torch.arange(half, dtype=torch.float32) / half)
        angle = position_BT[:, None, :, None].float() * frequency
        cos, sin = angle.cos(), angle.sin()
        mask = attention_mask(segment_BT)
        x = functional.embedding(ids_BT, self.embed)
        for block in self.blocks:
            x = block(x, cos, sin, mask)
        return functional.rms_norm(x, (WIDTH,), self.norm, NORM_EPSILON)


def attention_mask(segment_BT: Tensor) -> Tensor:
    """Let a token see its own segment and segment 0, backwards only. Shape: (B, 1, T, T)."""
    t = segment_BT.shape[1]
    near = segment_BT[:, :, None] == segment_BT[:, None, :]
    allowed = (near | (segment_BT == 0)[:, None, :]) & torch.ones(t, t, dtype=torch.bool).tril()
    return torch.zeros(allowed.shape).masked_fill(~allowed, -1e9)[:, None]


class Muon:
    """Momentum whose update is orthogonalised, for the blocks' matrices.

    Source: Jordan et al. 2024 (the quintic Newton-Schulz coefficients); learning rate 6e-3 from the
    feasibility study, for batches of about 2,000 tokens.
    """

    def __init__(self, parameters: Iterable[Tensor], momentum: float = 0.95) -> None:
        groups: dict[torch.Size, list[Tensor]] = {}
        for parameter in parameters:
            groups.setdefault(parameter.shape, []).append(parameter)
        self.groups = list(groups.values())
        self.buffers = [torch.zeros(len(g), *g[0].shape) for g in self.groups]
        self.momentum = momentum

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Update every matrix by its gradient."""
        for group, buffer in zip(self.groups, self.buffers, strict=True):
            gradient = torch.stack([p.grad for p in group if p.grad is not None])
            buffer.mul_(self.momentum).add_(gradient)
            update = _orthogonal(gradient + self.momentum * buffer)
            scale = rate * max(1.0, group[0].shape[0] / group[0].shape[1]) ** 0.5
            for parameter, change in zip(group, update, strict=True):
                parameter.sub_(change, alpha=scale)


def _orthogonal(x: Tensor, steps: int = 5) -> Tensor:
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = x.shape[-2] > x.shape[-1]
    x = x.transpose(-1, -2) if tall else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        square = x @ x.transpose(-1, -2)
        x = a * x + (b * square + c * square @ square) @ x
    return x.transpose(-1, -2) if tall else x


FUSED = {
    "norm_in": ("input_layernorm",),
    "norm_mid": ("post_attention_layernorm",),
    "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "out": ("self_attn.o_proj",),
    "gate_up": ("mlp.gate_proj", "mlp.up_proj"),
    "down": ("mlp.down_proj",),
}
"""Our parameters of a layer, and the HF modules that each is made of."""


def export(weights: dict[str, Tensor], folder: Path) -> None:
    """Write `model.safetensors` (bfloat16) and `config.json` in the HF Llama layout."""
    from safetensors.torch import save_file

    tensors = {"model.embed_tokens.weight": weights["embed"], "model.norm.weight": weights["norm"]}
    for layer in range(LAYERS):
        for ours, theirs in FUSED.items():
            pieces = weights[f"blocks.{layer}.{ours}"].chunk(len(theirs))
            for module, piece in zip(theirs, pieces, strict=True):
                tensors[f"model.layers.{layer}.{module}.weight"] = piece
    half = {name: tensor.to(torch.bfloat16).contiguous() for name, tensor in tensors.items()}
    save_file(half, str(folder / "model.safetensors"), metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(_config(len(weights["embed"])), indent=1) + "\n")


def load(folder: Path) -> Network:
    """Read a base that `export` wrote, in float32."""
    from safetensors.torch import load_file

    tensors = {k: v.float() for k, v in load_file(str(folder / "model.safetensors")).items()}
    ours = {"embed": tensors["model.embed_tokens.weight"], "norm": tensors["model.norm.weight"]}
    for layer in range(LAYERS):
        for name, modules in FUSED.items():
            pieces = [tensors[f"model.layers.{layer}.{module}.weight"] for module in modules]
            ours[f"blocks.{layer}.{name}"] = torch.cat(pieces)
    network = Network(len(ours["embed"]))
    network.load_state_dict(ours)
    return network


def _config(vocabulary: int) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": WIDTH,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS,
        "head_dim": WIDTH // HEADS,
        "vocab_size": vocabulary,
        "max_position_embeddings": 2048,
        "rope_theta": ROPE_BASE,
        "rms_norm_eps": NORM_EPSILON,
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": True,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 5,
        "dtype": "bfloat16",
    }
