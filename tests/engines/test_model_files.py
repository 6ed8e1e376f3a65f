"""Model folders: what is wrong with one is said before anything is started."""

import json
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from backtrans.engines import model_files
from backtrans.engines.adapter_files import check_adapter, write_identity_adapter
from backtrans.engines.folders import tensor_shapes
from backtrans.engines.model_files import check_model, model_fingerprint
from backtrans.errors import ModelError

from .tiny_model import MODULES


def put_tensors(path: Path, shapes: dict[str, tuple[int, int]]) -> None:
    """Write a safetensors file of ones by hand: a test of reading should not need torch."""
    head, end = {}, 0
    for name, shape in shapes.items():
        start, end = end, end + 4 * shape[0] * shape[1]
        head[name] = {"dtype": "F32", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(head | {"__metadata__": {"format": "pt"}}).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + struct.pack("<f", 1.0) * (end // 4))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    put_tensors(folder / "model.safetensors", {"model.embed_tokens.weight": (50, 64)})
    config = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
    (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 512}))
    (folder / "tokenizer.json").write_text("{}")
    return folder


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    folder = tmp_path / "adapter"
    folder.mkdir()
    shapes = {}
    for module, (width_in, width_out) in MODULES.items():
        name = f"base_model.model.model.layers.1.{module}"
        shapes[f"{name}.lora_A.weight"] = (4, width_in)
        shapes[f"{name}.lora_B.weight"] = (width_out, 4)
    put_tensors(folder / "adapter_model.safetensors", shapes)
    config = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj"]}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


def test_a_model_that_moves_is_the_same_model(model: Path, adapter: Path, tmp_path: Path) -> None:
    for folder in (model, adapter):
        before = model_fingerprint(str(folder))
        (folder / "README.md").write_text("A note is not the model.")
        moved = shutil.move(folder, tmp_path / f"moved-{folder.name}")
        assert model_fingerprint(str(moved)) == before


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_model_with_other_bytes_is_another_model(model: Path, name: str) -> None:
    before = model_fingerprint(str(model))
    data = bytearray((model / name).read_bytes())
    if name.endswith(".json"):
        data += b"\n"
    else:
        data[-1] ^= 1
    (model / name).write_bytes(data)
    assert model_fingerprint(str(model)) != before


def test_large_weights_are_known_by_their_size_and_ends(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_files, "_WHOLE_BELOW_BYTES", 1_000)
    monkeypatch.setattr(model_files, "_MIB", 64)
    before = model_fingerprint(str(model))
    weights = model / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.write_bytes(data)
    assert model_fingerprint(str(model)) == before
    data[-1] ^= 1
    weights.write_bytes(data)
    assert model_fingerprint(str(model)) != before


def test_a_hub_id_is_known_by_its_revision() -> None:
    assert model_fingerprint("org/model-8B", "abc123") == "org/model-8B@abc123"
    with pytest.raises(ModelError, match="needs a revision"):
        model_fingerprint("org/model-8B")


def cut(name: str, keep: int) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:keep])


def put(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text)


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (remove("config.json"), "has no config.json"),
        (put("config.json", "{"), "config.json is not readable JSON"),
        (put("config.json", "[]"), "config.json is not a JSON object"),
        (remove("model.safetensors"), r"has no \.safetensors file"),
        (cut("model.safetensors", 4), "model.safetensors is not a safetensors file"),
        (cut("model.safetensors", 5_000), "model.safetensors has 5,000 bytes; its head says"),
        (put("model.safetensors", "version https://git-lfs"), "is not a safetensors file"),
        (remove("tokenizer.json"), "has no tokenizer.json"),
        (
            put("model.safetensors.index.json", '{"weight_map": {"a": "model-2.safetensors"}}'),
            "lacks model-2.safetensors",
        ),
        (shutil.rmtree, "neither a folder that exists nor a hub id"),
    ],
)
def test_a_broken_model_folder_is_named_with_what_is_wrong(
    model: Path, harm: Callable[[Path], object], words: str
) -> None:
    harm(model)
    with pytest.raises(ModelError, match=words) as raised:
        model_fingerprint(str(model))
    assert str(model) in str(raised.value)


def test_a_context_longer_than_the_model_is_refused(model: Path) -> None:
    check_model(model, needed_tokens=512)
    with pytest.raises(ModelError, match="513 is more than the 512 positions"):
        check_model(model, needed_tokens=513)


def edited(key: str, value: object) -> Callable[[Path], object]:
    def edit(folder: Path) -> object:
        config = json.loads((folder / "adapter_config.json").read_text()) | {key: value}
        return (folder / "adapter_config.json").write_text(json.dumps(config))

    return edit


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (shutil.rmtree, "is missing"),
        (remove("adapter_config.json"), "has no adapter_config.json"),
        (remove("adapter_model.safetensors"), "has no adapter_model.safetensors"),
        (edited("r", 0), "r = 0"),
        (edited("target_modules", None), "target_modules = None"),
        (edited("peft_type", "IA3"), "only LoRA"),
        (cut("adapter_model.safetensors", 100), "is not a safetensors file"),
    ],
)
def test_a_broken_adapter_folder_is_named_with_what_is_wrong(
    adapter: Path, harm: Callable[[Path], object], words: str
) -> None:
    harm(adapter)
    with pytest.raises(ModelError, match=words) as raised:
        check_adapter(adapter)
    assert str(adapter) in str(raised.value)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("hidden_size", 96, "width 64, the base 96"),
        ("intermediate_size", 96, "width 128, the base 96"),
        ("num_hidden_layers", 1, "but it has 1 layers"),
    ],
)
def test_an_adapter_of_another_model_is_refused(
    model: Path, adapter: Path, key: str, value: int, words: str
) -> None:
    base = check_model(model)
    assert check_adapter(adapter, base).rank == 4
    with pytest.raises(ModelError, match=words):
        check_adapter(adapter, base | {key: value})


def test_experts_have_a_width_of_their_own(model: Path, adapter: Path) -> None:
    weights = adapter / "adapter_model.safetensors"
    from safetensors.numpy import load_file, save_file

    moved = {name.replace(".mlp.", ".mlp.experts.3."): w for name, w in load_file(weights).items()}
    assert any("experts" in name for name in moved)
    save_file(moved, weights)
    assert check_adapter(adapter, check_model(model) | {"intermediate_size": 96}).rank == 4


def test_an_identity_adapter_fits_where_its_example_does(
    model: Path, adapter: Path, tmp_path: Path
) -> None:
    from safetensors.numpy import load_file

    identity = tmp_path / "identity"
    identity.mkdir()
    write_identity_adapter(adapter, identity)
    assert check_adapter(identity, check_model(model)).rank == 1
    weights = load_file(identity / "adapter_model.safetensors")
    assert {name: tuple(t.shape) for name, t in weights.items()} == tensor_shapes(
        identity / "adapter_model.safetensors"
    )
    assert not any(tensor.any() for tensor in weights.values())


def test_a_bad_folder_is_refused_before_vllm_is_loaded(model: Path, adapter: Path) -> None:
    (adapter / "adapter_model.safetensors").unlink()
    code = f"""
import sys
from backtrans.engines.engine import EngineSettings
from backtrans.engines.opening import open_engine
from backtrans.errors import ModelError
for model, adapters in (("{model}/nothing", {{}}), ("{model}", {{"a": "{adapter}"}})):
    try:
        open_engine(EngineSettings("vllm", model, adapters=adapters, max_model_tokens=64))
    except ModelError as error:
        print(error)
print(sorted({{"vllm", "torch", "transformers"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, second, loaded = done.stdout.splitlines()
    assert f"{model}/nothing" in first
    assert "has no adapter_model.safetensors" in second
    assert loaded == "[]"
