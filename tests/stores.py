"""Stores for tests: a folder, and a bucket of each real S3 server, on the loopback.

`store` runs a test over all three, `s3_settings` over the two servers: moto's, and Ceph's gateway
where `make rgw` has unpacked one. Each starts once, in processes of its own, when a test first asks
for it, and forgets everything when the tests end.
"""

import os
import subprocess
import sys
import time
import urllib.request
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from backtrans.store import Store, StoreSettings
from tests import rgw

START_SECONDS = 60.0
NO_RGW = "no Ceph RGW is unpacked (`make rgw`): moto alone stands for S3"
MOTO_SECRET = "moto-lets-everyone-in-with-this-too"
S3_SERVERS = [pytest.param(server, marks=pytest.mark.slow) for server in ("moto", "rgw")]
"""The gateway starts in a second, but a hundred more tests are twenty: `make check` has moto's."""

USED = pytest.StashKey[Counter[str]]()
"""How many tests asked for each S3 server."""

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say which S3 servers the run used: a run without Ceph's shows less."""
    used = config.stash.get(USED, Counter())
    if said := [f"{server} ({tests} tests)" for server, tests in sorted(used.items())]:
        without = "" if rgw.unpacked() else f"; {NO_RGW}"
        terminalreporter.write_line(f"S3 servers: {', '.join(said)}{without}")


def call_s3(settings: StoreSettings, method: str, **arguments: object) -> None:
    """Make one S3 call as it stands, with the credentials of the environment."""
    from backtrans.store_s3 import filesystem

    filesystem(settings).call_s3(method, **arguments)


@pytest.fixture(scope="session")
def moto_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of moto's server, which lets everyone in."""
    port = rgw.free_port()
    endpoint = f"http://127.0.0.1:{port}"
    said = tmp_path_factory.mktemp("moto") / "log"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with said.open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                _DIRECT.open(endpoint, timeout=30).close()
                break
            except OSError:
                assert server.poll() is None, said.read_text()
                assert time.monotonic() < deadline, said.read_text()
                time.sleep(0.05)
        yield endpoint
    finally:
        server.terminate()
        server.wait(10)


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[rgw.Gateway]:
    """Ceph's gateway, which knows one user."""
    tree = rgw.unpacked()
    if tree is None:
        pytest.skip(NO_RGW)
    with rgw.running(tree, tmp_path_factory.mktemp("rgw")) as started:
        yield started


@pytest.fixture
def moto_settings(
    request: pytest.FixtureRequest, moto_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> StoreSettings:
    """Settings of a root in a fresh bucket of moto, with made-up credentials."""
    _let_in(monkeypatch, "tester", MOTO_SECRET)
    return _fresh_bucket(request, "moto", moto_endpoint)


@pytest.fixture
def rgw_settings(
    request: pytest.FixtureRequest, gateway: rgw.Gateway, monkeypatch: pytest.MonkeyPatch
) -> StoreSettings:
    """Settings of a root in a fresh bucket of Ceph's gateway, with its user's credentials."""
    _let_in(monkeypatch, gateway.access_key, gateway.secret_key)
    return _fresh_bucket(request, "Ceph RGW", gateway.endpoint)


@pytest.fixture
def local_settings(tmp_path: Path) -> StoreSettings:
    """Settings of a root in a fresh folder, not yet made."""
    return StoreSettings(str(tmp_path / "root"))


@pytest.fixture(params=S3_SERVERS)
def s3_settings(request: pytest.FixtureRequest) -> StoreSettings:
    """Settings of a root in a fresh bucket: the test runs once over each server."""
    return _settings(request, request.param)


@pytest.fixture
def one_s3_settings(request: pytest.FixtureRequest) -> StoreSettings:
    """Settings of a root in a fresh bucket of Ceph's gateway, or of moto where there is none.

    For tests too long to run over both.
    """
    return _settings(request, "rgw" if rgw.unpacked() else "moto")


@pytest.fixture(params=["local", *S3_SERVERS])
def store(request: pytest.FixtureRequest) -> Store:
    """An empty store: the test runs once over a folder and once over a bucket of each server."""
    return Store(_settings(request, request.param))


def _settings(request: pytest.FixtureRequest, place: str) -> StoreSettings:
    settings = request.getfixturevalue(f"{place}_settings")
    assert isinstance(settings, StoreSettings)
    return settings


def _let_in(monkeypatch: pytest.MonkeyPatch, access_key: str, secret_key: str) -> None:
    """Put credentials where the standard chain finds them."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret_key)
    direct = filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1"])
    monkeypatch.setenv("NO_PROXY", ",".join(direct))


def _fresh_bucket(request: pytest.FixtureRequest, server: str, endpoint: str) -> StoreSettings:
    request.config.stash.setdefault(USED, Counter())[server] += 1
    bucket = f"test-{uuid.uuid4().hex}"
    settings = StoreSettings(f"s3://{bucket}/root", endpoint, "us-east-1", "path")
    call_s3(settings, "create_bucket", Bucket=bucket)
    return settings
