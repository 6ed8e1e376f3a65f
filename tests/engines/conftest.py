"""A tiny model with two adapters, and one vLLM for them all, since a start takes half a minute; and
vLLM's own server of the same.
"""

import http.client
import os
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from backtrans.engines.adapter_files import write_identity_adapter
from backtrans.engines.endpoint import Endpoint
from backtrans.engines.engine import Engine, EngineSettings
from backtrans.engines.lifeline import Lifeline
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


_START_SECONDS = 600.0  # of a loaded machine; an idle one needs 40


@pytest.fixture(scope="session")
def vllm_server(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the tiny model and its adapters on the loopback, as `vllm serve` does; lend the URL.

    The base is served as an adapter too, one that changes nothing: vLLM 0.32 on CPU answers a
    request without adapter, beside others that have one, with an adapter's weights.
    """
    folder = tmp_path_factory.mktemp("server")
    write_identity_adapter(tiny / "backward", folder)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    names = {"tiny": folder, "backward": tiny / "backward", "forward": tiny / "forward"}
    arguments = [
        *("--model", str(tiny / "model"), "--served-model-name", "unadapted"),
        *("--host", "127.0.0.1", "--port", str(port)),
        *("--dtype", "float32", "--max-model-len", "512", "--max-num-batched-tokens", "1024"),
        *("--max-num-seqs", "32", "--enforce-eager", "--enable-prompt-tokens-details"),
        *("--enable-lora", "--max-loras", "4", "--max-lora-rank", "8"),
        # Else vLLM wraps lm_head too, and asking for prompt_logprobs kills its core (docs/log.md).
        *("--lora-target-modules", *sorted(m.split(".")[1] for m in tiny_model.MODULES)),
        *("--lora-modules", *(f"{name}={path}" for name, path in names.items())),
    ]
    settings = {
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_LOGGING_LEVEL": "WARNING",
        "TORCHDYNAMO_DISABLE": "1",
        "HF_HUB_OFFLINE": "1",
    }
    log = folder / "log"
    # Not the command `vllm`: vllm-cpu's asks for the version of a package of that name.
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", *arguments]
    lifeline = Lifeline()  # a test that hangs ends this process without more ado
    with log.open("wb") as out, lifeline.tying():
        environment = os.environ | settings
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
    try:
        _until_it_serves(process, port, log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        lifeline.end()


def _until_it_serves(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    began = time.monotonic()
    while time.monotonic() - began < _START_SECONDS:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            connection.close()
        if process.poll() is not None:
            break
        time.sleep(0.2)  # polled, not waited for: it says nothing when it is ready
    pytest.fail(f"vLLM's server does not start:\n{log.read_text(errors='replace')[-3000:]}")


@pytest.fixture(scope="session")
def served_settings(vllm_server: str) -> EngineSettings:
    return EngineSettings(
        kind="openai",
        model="tiny",
        adapters={"backward": "backward", "forward": "forward"},
        max_model_tokens=512,
        max_in_flight=64,
        endpoint=Endpoint(vllm_server, prompt_price=1.0, output_price=2.0),
    )


@pytest.fixture(scope="package")
def openai_engine(served_settings: EngineSettings) -> Iterator[Engine]:
    engine = open_engine(served_settings)
    yield engine
    engine.close()
