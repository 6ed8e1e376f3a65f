"""A real cluster with a token: who has the token submits, who has none is refused."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from backtrans.config import load
from backtrans.pipeline import Pipeline
from tests.jobs import Silent, config, configuration, published, write_corpus

ROOT = Path(__file__).resolve().parent.parent.parent
BIN = Path(sys.executable).parent
START_SECONDS = 120
JOB_SECONDS = 150

pytestmark = [pytest.mark.slow, pytest.mark.ray]


@dataclass(frozen=True)
class Head:
    address: str
    environment: dict[str, str]  # with the token

    def without_token(self, home: Path) -> dict[str, str]:
        kept = {k: v for k, v in self.environment.items() if not k.startswith("RAY_AUTH")}
        return kept | {"HOME": str(home), "RAY_AUTH_MODE": "disabled"}

    def call(self, *command: object, environment: dict[str, str] | None = None) -> str:
        """Run a command of this environment, and return what it wrote and its exit code."""
        done = subprocess.run(
            [BIN / str(command[0]), *map(str, command[1:])],
            cwd=ROOT,
            env=environment or self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=JOB_SECONDS,
        )
        return f"{done.stdout}\nexit code {done.returncode}"


def free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    home = tmp_path_factory.mktemp("home")
    gcs, dashboard, client, listen, grpc, runtime, metrics = free_ports(7)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "AWS_"))}
    environment = kept | {
        "HOME": str(home),
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(16),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",
        "PYTHONWARNINGS": "ignore",
    }
    # Short, since a socket's path may have 107 characters.
    session = Path(tempfile.mkdtemp(prefix="bt", dir="/tmp"))
    # --block: Ray's processes are children of this one, and are found, and ended, by its id.
    command = [
        BIN / "ray", "start", "--head", "--block", "--node-ip-address", "127.0.0.1",
        "--port", gcs, "--include-dashboard", "true", "--dashboard-host", "127.0.0.1",
        "--dashboard-port", dashboard, "--ray-client-server-port", client,
        "--dashboard-agent-listen-port", listen, "--dashboard-agent-grpc-port", grpc,
        "--runtime-env-agent-port", runtime, "--metrics-export-port", metrics,
        "--num-cpus", 2, "--num-gpus", 0, "--object-store-memory", 100_000_000,
        "--temp-dir", session,
    ]  # fmt: skip
    started = subprocess.Popen(
        [str(each) for each in command],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    found = Head(f"http://127.0.0.1:{dashboard}", environment)
    try:
        wait_for(found, started)
        yield found
    finally:
        end(started)
        shutil.rmtree(session, ignore_errors=True)


def wait_for(head: Head, started: "subprocess.Popen[bytes]") -> None:
    """Wait until the job server answers."""
    deadline = time.monotonic() + START_SECONDS
    while "exit code 0" not in (said := head.call("ray", "job", "list", "--address", head.address)):
        assert started.poll() is None, "the head ended"
        assert time.monotonic() < deadline, said


def end(started: "subprocess.Popen[bytes]") -> None:
    """End a head and what it started, by their ids: `ray stop` would end those of others too."""
    family = psutil.Process(started.pid).children(recursive=True)
    started.send_signal(signal.SIGTERM)
    _, left = psutil.wait_procs(family, timeout=5)
    for process in left:
        process.kill()
    psutil.wait_procs(left, timeout=10)
    started.wait(timeout=30)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_corpus(tmp_path, files=1)
    return tmp_path


def far(folder: Path, name: str, runtime: str) -> Path:
    """Write a configuration for the cluster, with what every node of it reaches."""
    return configuration(
        folder,
        f"{name}.yaml",
        recipe__deduplicate={"enabled": False},  # phases that start actors, and show nothing here
        recipe__corpus={"paths": [str(folder / "corpus/*")], "shard_rows": 8},
        placement__root=str(folder / name),
        placement__runtime=runtime,
        placement__ray_address="auto",
        placement__engine={"device": "cpu"},
    )


def rows_of_a_local_run(folder: Path) -> list[dict[str, object]]:
    pipeline = Pipeline(config(folder, recipe__deduplicate={"enabled": False}))
    pipeline.run(Silent())
    return published(pipeline)


def rows_of(path: Path) -> list[dict[str, object]]:
    return published(Pipeline(load(path)))


def test_a_submitted_job_gives_the_rows_of_a_local_run(head: Head, folder: Path) -> None:
    path = far(folder, "submitted", "ray")
    said = head.call("backtrans", "submit", path, "--address", head.address)
    assert said.endswith("exit code 0"), said
    assert said.startswith("backtrans-curate-")  # and no line of Ray's before it
    assert "computed " in said
    assert rows_of(path) == rows_of_a_local_run(folder)


def test_rays_own_command_runs_the_entry_point(head: Head, folder: Path) -> None:
    path = far(folder, "entry", "local")
    command = ["--working-dir", "jobs", "--", "python", "curate.py", path]
    said = head.call("ray", "job", "submit", "--address", head.address, *command)
    assert said.endswith("exit code 0"), said
    assert rows_of(path) == rows_of_a_local_run(folder)


def test_a_failed_job_ends_the_command_with_the_jobs_exit_code(head: Head, folder: Path) -> None:
    path = far(folder, "failing", "local")
    arguments = ["--job", "curate", "--address", head.address, "--", "--no-such-option"]
    said = head.call("backtrans", "submit", path, *arguments)
    assert said.endswith("exit code 2"), said
    assert "no-such-option" in said


def test_without_the_token_nothing_is_submitted(head: Head, folder: Path) -> None:
    path = far(folder, "refused", "local")
    stranger = head.without_token(folder)
    said = head.call("backtrans", "submit", path, "--address", head.address, environment=stranger)
    assert said.endswith("exit code 1"), said
    assert "auth" in said.lower()
    assert not (folder / "refused").exists()
