"""Stores for tests: a folder, and a bucket of a real S3 server on the loopback.

`store` runs a test over both. The server is moto's, started once in its own process; it forgets
everything when the tests end.
"""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from backtrans.store import Store, StoreSettings

START_SECONDS = 60.0
PAGE_KEYS = 100
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def call_s3(endpoint: str, method: str, path: str) -> None:
    """Make one bare S3 request, as nobody: moto lets everyone in."""
    _DIRECT.open(urllib.request.Request(f"{endpoint}/{path}", method=method), timeout=30).close()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="session")
def s3_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an S3 server."""
    port = _free_port()
    endpoint = f"http://127.0.0.1:{port}"
    said = tmp_path_factory.mktemp("moto") / "log"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with said.open("wb") as log:
        # Short pages, so that a listing of some hundred keys goes over several.
        environment = {**os.environ, "MOTO_S3_DEFAULT_MAX_KEYS": str(PAGE_KEYS)}
        server = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                call_s3(endpoint, "GET", "")
                break
            except OSError:
                assert server.poll() is None, said.read_text()
                assert time.monotonic() < deadline, said.read_text()
                time.sleep(0.05)
        yield endpoint
    finally:
        server.terminate()
        server.wait(10)


@pytest.fixture
def s3_settings(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> StoreSettings:
    """Settings of a root in a fresh bucket, with credentials for it in the environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tester")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "made-up")
    monkeypatch.setenv(
        "NO_PROXY", ",".join(filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1"]))
    )
    bucket = f"test-{uuid.uuid4().hex}"
    call_s3(s3_endpoint, "PUT", bucket)
    return StoreSettings(f"s3://{bucket}/root", s3_endpoint, "us-east-1", "path")


@pytest.fixture
def local_settings(tmp_path: Path) -> StoreSettings:
    """Settings of a root in a fresh folder, not yet made."""
    return StoreSettings(str(tmp_path / "root"))


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest) -> Store:
    """An empty store: the test runs once over a folder and once over a bucket."""
    return Store(request.getfixturevalue(f"{request.param}_settings"))
