"""A tiny model with two adapters, and one vLLM for them all, since a start takes half a minute."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from backtrans.engines.engine import Engine, EngineSettings
from backtrans.engines.opening import open_engine

from . import tiny_model


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hold `model`, `backward` and `forward`: a random Llama and two random adapters."""
    folder = tmp_path_factory.mktemp("tiny")
    tiny_model.save_model(folder / "model")
    tiny_model.save_adapter(folder / "backward", seed=1)
    tiny_model.save_adapter(folder / "forward", seed=2, rank=4)
    return folder


@pytest.fixture(scope="session")
def vllm_settings(tiny: Path) -> EngineSettings:
    return EngineSettings(
        kind="vllm",
        model=str(tiny / "model"),
        adapters={name: str(tiny / name) for name in ("backward", "forward")},
        dtype="float32",
        max_model_tokens=512,
        max_batched_tokens=1024,
        max_sequences=32,
        max_in_flight=64,
        eager=True,
    )


def start(settings: EngineSettings) -> Engine:
    """Open an engine; what vLLM and torch warn of while they load is not ours to answer for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return open_engine(settings)


@pytest.fixture(scope="package")
def vllm_engine(vllm_settings: EngineSettings) -> Iterator[Engine]:
    engine = start(vllm_settings)
    yield engine
    engine.close()
