"""Adapters by hand: a new one changes nothing, and what is written is what was trained."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from backtrans.engines.model_files import model_fingerprint
from backtrans.errors import ModelError
from backtrans.microworld import adapt, curriculum, lora, network, packing
from backtrans.microworld.merge import merge
from backtrans.microworld.tokenizer import Encoder
from backtrans.microworld.train_base import collate


@pytest.fixture(scope="module")
def base() -> Iterator[network.Network]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # with more, on a busy machine, they wait for each other most of all
    yield network.load(adapt.BASE)
    torch.set_num_threads(threads)


def test_a_new_adapter_changes_nothing(base: network.Network) -> None:
    merged = lora.Lora(base, seed=1).merged()
    for name, parameter in base.named_parameters():
        assert torch.equal(merged[name], parameter), name


def test_a_written_adapter_is_what_was_trained(base: network.Network, tmp_path: Path) -> None:
    adapter = lora.Lora(base, seed=1)
    with torch.no_grad():
        for factor in adapter.b.values():
            factor.normal_(generator=torch.Generator().manual_seed(2))
    adapter.write(tmp_path)
    again = lora.merged_weights(base, tmp_path)
    for name, weight in adapter.merged().items():
        assert torch.equal(again[name], weight), name
    settings = json.loads((tmp_path / "adapter_config.json").read_text())
    assert settings["peft_type"] == "LORA"
    assert settings["r"] <= 64
    assert set(settings["target_modules"]) == {
        f"{name}_proj" for name in ("q", "k", "v", "o", "gate", "up", "down")
    }


def test_packed_examples_read_as_if_alone(base: network.Network) -> None:
    encoder = Encoder(adapt.BASE)
    found = (e for e in curriculum.examples(4, encoder) if e.shared_tokens)
    row = next(packing.rows(found, 400))
    assert len(row) > 1
    shared = row[0].shared_tokens
    with torch.no_grad():
        together = base(*collate([row], 400)[:3])[0]
        start = shared
        for example in row:
            length = len(example.ids)
            alone = base(*collate([[example]], length)[:3])[0]
            end = start + length - shared
            assert torch.allclose(together[start:end], alone[shared:], atol=1e-4)
            start = end


def test_no_loss_on_what_was_given(base: network.Network) -> None:
    encoder = Encoder(adapt.BASE)
    example = curriculum.encode(curriculum.backward_parts("Who?", "A page."), encoder)
    borne = [i for i, w in zip(example.ids, example.weights, strict=True) if w > 0]
    assert encoder.decode(borne) == "Who?<|end|>"


def test_a_missing_base_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no micro-world base"):
        adapt.adapters(tmp_path, base=tmp_path / "none")


def test_the_cache_key_names_what_decides(tmp_path: Path) -> None:
    backward, forward = adapt.TRAININGS
    keys = {adapt.key(adapt.BASE, t, seed) for t in (backward, forward) for seed in (0, 1)}
    assert len(keys) == 4
    assert adapt.key(adapt.BASE, backward, 0) == adapt.key(adapt.BASE, backward, 0)


@pytest.mark.slow
@pytest.mark.timeout(900)  # the first test that asks for the adapters trains them
def test_adapters_are_trained_once_and_merge_into_models_that_load(
    adapters: adapt.Adapters, tmp_path: Path
) -> None:
    lines: list[str] = []
    assert adapt.adapters(adapters.backward.parent, say=lines.append) == adapters
    assert lines == []  # from the cache
    folder = merge(adapters.base, adapters.forward, tmp_path / "merged")
    assert model_fingerprint(str(folder), None) != model_fingerprint(str(adapters.base), None)
    before = (folder / "model.safetensors").stat()
    assert merge(adapters.base, adapters.forward, folder) == folder
    assert (folder / "model.safetensors").stat() == before
