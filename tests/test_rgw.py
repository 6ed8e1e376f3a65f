"""The S3 server of the tests: it is alone with this machine, and gone when it must be."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from backtrans.errors import StoreError
from backtrans.store import Store, StoreSettings
from tests import rgw
from tests.stores import NO_RGW

pytestmark = pytest.mark.slow

needs_rgw = pytest.mark.skipif(rgw.unpacked() is None, reason=NO_RGW)


def test_the_gateway_and_its_cluster_listen_on_the_loopback_and_nowhere_else(
    gateway: rgw.Gateway,
) -> None:
    listening = [
        connection.laddr.ip
        for pid in gateway.pids
        for connection in psutil.Process(pid).net_connections("all")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= len(gateway.pids)
    assert set(listening) == {"127.0.0.1"}


def test_the_gateway_lets_in_nobody_but_its_user(
    rgw_settings: StoreSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    Store(rgw_settings).put("k", b"1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    # Another region is another connection, which looks for credentials anew.
    stranger = Store(StoreSettings(rgw_settings.root, rgw_settings.endpoint_url, "eu", "path"))
    with pytest.raises(StoreError, match="SignatureDoesNotMatch"):
        stranger.get("k")


START = """
import sys, time
from pathlib import Path
from tests import rgw
with rgw.running(rgw.unpacked(), Path(sys.argv[1])) as gateway:
    print(*gateway.pids, flush=True)
    time.sleep(600)
"""


@needs_rgw
@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_no_daemon_outlives_the_tests_that_started_it(
    tmp_path: Path, ending: signal.Signals
) -> None:
    command = [sys.executable, "-c", START, str(tmp_path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as tests:
        assert tests.stdout is not None
        daemons = [psutil.Process(int(pid)) for pid in tests.stdout.readline().split()]
        assert len(daemons) == 3
        os.kill(tests.pid, ending)
        tests.wait(30)
    _, alive = psutil.wait_procs(daemons, timeout=30)
    assert alive == []


@needs_rgw
def test_a_cluster_that_does_not_come_up_says_what_its_parts_said(tmp_path: Path) -> None:
    tree = rgw.unpacked()
    assert tree is not None
    (tmp_path / "mon").mkdir()
    (tmp_path / "mon/keyring").write_text("in the way")
    with pytest.raises(rgw.Unstarted) as failed, rgw.running(tree, tmp_path):
        pass
    # What a daemon gets to write before it ends is its own affair; that it is shown is ours.
    assert "ceph-mon" in str(failed.value).splitlines()[0]
    assert "--- ceph-mon-daemon.out" in str(failed.value)
    assert "--- mon.a.log" in str(failed.value)
    running = [
        " ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])
    ]
    assert [command for command in running if str(tmp_path) in command] == []
