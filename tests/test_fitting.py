"""What fits where: parameters of known models, and the arithmetic of a placement."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from backtrans.engines.model_shape import Shape, shape_from, shape_of
from backtrans.errors import ConfigError, ModelError
from backtrans.fitting import RESERVE_BYTES, Fit, fit
from backtrans.gpus import GPUS, gpu_of
from backtrans.placement import Placement
from tests.test_cli import called


def llama(
    hidden: int, inner: int, layers: int, heads: int, kv_heads: int, vocabulary: int, **more: Any
) -> dict[str, Any]:
    return {
        "model_type": "llama",
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "vocab_size": vocabulary,
        "max_position_embeddings": 32768,
        "tie_word_embeddings": False,
    } | more


LLAMA_8B = llama(4096, 14336, 32, 32, 8, 128256)
LLAMA_70B = llama(8192, 28672, 80, 64, 8, 128256)
QWEN_32B = llama(5120, 27648, 64, 40, 8, 152064, model_type="qwen2")
QWEN_HALF_B = llama(896, 4864, 24, 14, 2, 151936, model_type="qwen2", tie_word_embeddings=True)
MIXTRAL = llama(
    4096, 14336, 32, 32, 8, 32000,
    model_type="mixtral", num_local_experts=8, num_experts_per_tok=2,
)  # fmt: skip
QWEN_MOE = llama(
    2048, 6144, 48, 32, 4, 151936, model_type="qwen3_moe", head_dim=128, num_experts=128,
    num_experts_per_tok=8, moe_intermediate_size=768,
)  # fmt: skip

QWEN_SHARED = llama(
    2048, 5632, 24, 16, 16, 151936, model_type="qwen2_moe", num_experts=60,
    num_experts_per_tok=4, moe_intermediate_size=1408, shared_expert_intermediate_size=5632,
)  # fmt: skip
OLMOE = llama(
    2048, 1024, 16, 16, 16, 50304, model_type="olmoe", num_experts=64, num_experts_per_tok=8
)
GEMMA = llama(3072, 24576, 28, 16, 16, 256000, model_type="gemma", head_dim=256)
del GEMMA["tie_word_embeddings"]

KNOWN = {
    # Source: the models' own cards.
    "Llama-3.1-8B": (LLAMA_8B, 8.03e9, None),
    "Llama-3.1-70B": (LLAMA_70B, 70.6e9, None),
    "Qwen2.5-32B": (QWEN_32B, 32.5e9, None),
    "Qwen2.5-0.5B": (QWEN_HALF_B, 0.49e9, None),
    "Mixtral-8x7B": (MIXTRAL, 46.7e9, 12.9e9),
    "Qwen3-30B-A3B": (QWEN_MOE, 30.5e9, 3.3e9),
    "Qwen1.5-MoE-A2.7B": (QWEN_SHARED, 14.3e9, 2.7e9),
    "OLMoE-1B-7B": (OLMOE, 6.92e9, 1.3e9),
    "Gemma-7B": (GEMMA, 8.54e9, None),
    "Mistral-7B": (llama(4096, 14336, 32, 32, 8, 32000, model_type="mistral"), 7.24e9, None),
    "Phi-3-mini": (llama(3072, 8192, 32, 32, 32, 32064, model_type="phi3"), 3.82e9, None),
    "Qwen3-8B": (
        llama(4096, 12288, 36, 32, 8, 151936, model_type="qwen3", head_dim=128),
        8.19e9,
        None,
    ),
}


@pytest.mark.parametrize("name", KNOWN)
def test_parameters_are_within_2_percent_of_what_the_models_cards_say(name: str) -> None:
    config, parameters, active = KNOWN[name]
    shape = shape_from(config)
    assert shape.parameters == pytest.approx(parameters, rel=0.02)
    if active is None:
        assert not shape.has_experts
    else:  # cards count the whole embedding of the input, of which a token looks up one row
        embedding = shape.vocabulary * shape.hidden
        assert shape.has_experts
        assert shape.active + embedding == pytest.approx(active, rel=0.02)


def test_the_keys_and_values_of_a_token_follow_from_grouped_heads() -> None:
    assert shape_from(LLAMA_8B).kv_bytes() == 2 * 32 * 8 * 128 * 2  # 128 KiB


def test_another_familys_parameters_are_read_from_its_index_or_not_told(tmp_path: Path) -> None:
    config = LLAMA_8B | {"model_type": "novel"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="novel"):
        shape_of(tmp_path)
    index = {"metadata": {"total_size": 16_000_000_000}, "weight_map": {}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert shape_of(tmp_path).parameters == 8_000_000_000


def chosen(config: dict[str, Any], gpu: str, gpus: int, tokens: int = 4096) -> Fit:
    return fit(shape_from(config), gpu_of(gpu), gpus, tokens)


def test_a_small_model_is_not_split_and_a_large_one_is_as_little_as_it_can_be() -> None:
    small = chosen(LLAMA_8B, "H100", 8)
    assert (small.tensor_parallel, small.replicas, small.weights) == (1, 8, "bf16")
    large = chosen(LLAMA_70B, "H100", 8)
    assert (large.tensor_parallel, large.replicas, large.weights) == (4, 2, "bf16")


def test_fp8_is_chosen_where_bf16_does_not_fit_and_the_gpu_has_it() -> None:
    assert chosen(LLAMA_70B, "H100", 2).weights == "fp8"
    with pytest.raises(ConfigError, match=r"A100: with bf16 weights over 2 GPU"):
        chosen(LLAMA_70B, "A100", 2)


def test_what_cannot_fit_is_refused_with_its_arithmetic() -> None:
    with pytest.raises(ConfigError, match=r"weights 70\.6.*may use 43\.2"):
        chosen(LLAMA_70B, "L40S", 1)


def test_heads_that_do_not_divide_are_not_split_so() -> None:
    # 14 heads on 2 KV heads: 1, 2 or, had they been multiples, more.
    assert chosen(QWEN_HALF_B, "L4", 8).tensor_parallel in (1, 2)


shapes = st.sampled_from([shape_from(config) for config, *_ in KNOWN.values()])


@given(
    shape=shapes,
    gpu=st.sampled_from(list(GPUS.values())),
    gpus=st.integers(1, 24),
    tokens=st.sampled_from([512, 4096, 32768]),
)
def test_more_gpus_never_hold_fewer_sequences_and_what_is_chosen_fits(
    shape: Shape, gpu: Any, gpus: int, tokens: int
) -> None:
    def worth(count: int) -> int:
        try:
            found = fit(shape, gpu, count, tokens, "bf16")
        except ConfigError:
            return 0
        assert found.needed_bytes <= found.usable_bytes
        assert found.weight_bytes + found.activation_bytes + RESERVE_BYTES < gpu.memory_bytes
        assert found.replicas * found.tensor_parallel <= count
        assert shape.heads % found.tensor_parallel == 0
        assert found.full_sequences >= 1
        return found.worth

    assert worth(gpus) <= worth(gpus + 1)


def test_the_command_prints_the_choice_why_and_a_placement_that_loads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA_70B))
    code, out, _ = called("fit", tmp_path, "--gpus", 8, "--gpu", "h100", capsys=capsys)
    assert code == 0
    why, _, said = out.partition("placement:")
    assert "70.6 B parameters" in why
    assert "2 replica(s) of 4 GPU(s)" in why
    fragment = yaml.safe_load("placement:" + said)["placement"]
    placement = Placement.model_validate({"root": "x"} | fragment)
    assert (placement.engine.tensor_parallel, placement.engines.max) == (4, 2)


def test_the_command_ends_in_2_where_nothing_fits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA_70B))
    code, _, err = called("fit", tmp_path, "--gpus", 1, "--gpu", "L4", capsys=capsys)
    assert code == 2
    assert "does not fit on 1 L4" in err


def test_the_documents_table_of_gpus_is_the_one_that_is_counted_with() -> None:
    text = (Path(__file__).parent.parent / "docs/estimate.md").read_text()
    for gpu in GPUS.values():
        line = next(row for row in text.splitlines() if row.startswith(f"| {gpu.name} "))
        figures = [cell.strip().replace(",", "") for cell in line.split("|")[2:6]]
        fp8 = gpu.fp8_flops and gpu.fp8_flops / 1e12
        known = (gpu.memory_bytes / 1e9, gpu.bytes_per_second / 1e12, gpu.bf16_flops / 1e12, fp8)
        assert [float(cell) if cell else None for cell in figures] == list(known)
