"""A job sent to a cluster: what travels, what is refused, what is never started twice."""

import json
import runpy
import shlex
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from backtrans.config import load
from backtrans.errors import BacktransError, ConfigError
from backtrans.runtime import submission as over_there
from backtrans.runtime.submission import PATIENCE, JobServer, Submission, check_server
from backtrans.submitting import JOBS, submission
from tests.jobs import configuration, write_corpus
from tests.test_cli import called

ROOT = Path(__file__).resolve().parent.parent
HERE = "http://127.0.0.1:8265"


class Status(str):
    def is_terminal(self) -> bool:
        return self in ("SUCCEEDED", "FAILED", "STOPPED")


class Cluster:
    """A job server's client, without one: it keeps what was submitted, and tells scripted logs."""

    def __init__(self, *tellings: list[str] | Exception, code: int | None = 0) -> None:
        self.jobs: dict[str, Status] = {}
        self.sent: list[dict[str, Any]] = []
        self.files: dict[str, str] = {}
        self._tellings = list(tellings)
        self._code = code

    def list_jobs(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(submission_id=k, status=v) for k, v in self.jobs.items()]

    def submit_job(self, **sent: Any) -> str:
        name = sent["submission_id"]
        if name in self.jobs:
            raise RuntimeError(f"{name} has already been used")
        folder = Path(sent["runtime_env"]["working_dir"])
        self.files = {
            p.relative_to(folder).as_posix(): p.read_text()
            for p in folder.rglob("*")
            if p.is_file()
        }
        self.sent.append(sent)
        self.jobs[name] = Status("RUNNING")
        return str(name)

    def get_job_info(self, name: str) -> SimpleNamespace:
        if not self._tellings:
            self.jobs[name] = Status("SUCCEEDED" if self._code == 0 else "FAILED")
        return SimpleNamespace(status=self.jobs[name], driver_exit_code=self._code)

    async def tail_job_logs(self, name: str) -> AsyncIterator[str]:
        telling = self._tellings.pop(0) if self._tellings else []
        if isinstance(telling, Exception):
            raise telling
        for text in telling:
            if text == "cut":
                raise RuntimeError("the connection closed")
            yield text


def far(folder: Path, **changes: Any) -> Path:
    """Write a configuration that a cluster can run: nothing in it is this machine's."""
    write_corpus(folder, files=1)
    remote: dict[str, Any] = {
        "recipe__corpus": {"paths": ["s3://bucket/corpus/*"]},
        "placement__root": "s3://bucket/out",
        "placement__runtime": "ray",
        "placement__ray_address": "auto",
    }
    return configuration(folder, **(remote | changes))


def sent(folder: Path, job: str = "curate", **changes: Any) -> Submission:
    with submission(far(folder, **changes), job) as made:
        return made


def server(cluster: Cluster) -> JobServer:
    return JobServer(HERE, cluster)


@pytest.fixture(autouse=True)
def without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(over_there, "POLL_SECONDS", 0.0)


@pytest.mark.parametrize("address", [HERE, "https://localhost:8265", "http://[::1]:8265/"])
def test_a_server_of_this_machine_needs_no_token(address: str) -> None:
    check_server(address, {})


def test_a_server_that_others_reach_needs_a_token() -> None:
    with pytest.raises(ConfigError, match="RAY_AUTH_MODE=token"):
        check_server("http://10.0.0.7:8265", {"RAY_AUTH_MODE": "disabled"})
    check_server("http://10.0.0.7:8265", {"RAY_AUTH_MODE": "token"})


@pytest.mark.parametrize("address", ["ray://h:1", "127.0.0.1:8265", "auto", "os://x", ""])
def test_an_address_that_is_no_job_server_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="no job server"):
        check_server(address, {"RAY_AUTH_MODE": "token"})


@pytest.mark.parametrize("name", over_there.OVERRIDING)
def test_a_variable_that_would_lead_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"unset {name}"):
        check_server(HERE, {name: "http://elsewhere:8265"})
    check_server(HERE, {name: HERE + "/"})


def test_what_travels_is_the_file_and_the_selector_that_it_names_and_nothing_else(
    tmp_path: Path,
) -> None:
    (tmp_path / "big.bin").write_bytes(b"0" * 1000)
    (tmp_path / "fits").mkdir()
    weight = {"weight": 1.0, "mean": 0.0, "scale": 1.0}
    selector = {"version": 1, "features": {"digit": weight}, "intercept": 0.0, "a4": 0.5, "a5": 0.9}
    (tmp_path / "fits/selector.yaml").write_text(yaml.safe_dump({"selector": selector}))
    path = far(tmp_path, recipe__curate={"selector": "fits/selector.yaml"})
    cluster = Cluster()
    with submission(path, "curate") as made:
        server(cluster).submit(made)
        assert load(made.folder / "run.yaml") == load(path)
    assert set(cluster.files) == {"run.yaml", "fits/selector.yaml"}
    assert cluster.files["run.yaml"] == path.read_text()
    assert not made.folder.exists()


def test_nothing_is_installed_unless_asked_for_and_no_variable_travels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted-secret")
    cluster = Cluster()
    with submission(far(tmp_path), "curate") as made:
        server(cluster).submit(made)
    assert set(cluster.sent[0]["runtime_env"]) == {"working_dir"}
    assert "planted-secret" not in json.dumps([cluster.sent, cluster.files])
    with submission(far(tmp_path), "curate", pip=["backtrans==0.1.0"]) as made:
        assert made.runtime_env()["pip"] == ["backtrans==0.1.0"]


@pytest.mark.parametrize(
    ("at", "value", "named"),
    [
        ("placement__root", "out", "placement.root"),
        ("recipe__corpus", {"paths": ["corpus/*"]}, "recipe.corpus.paths"),
        ("placement__lake", {"uri": "lake"}, "placement.lake"),
    ],
)
def test_what_only_this_machine_has_is_refused_by_name(
    tmp_path: Path, at: str, value: object, named: str
) -> None:
    with pytest.raises(ConfigError, match=named):
        sent(tmp_path, **{at: value})


def test_a_run_that_would_not_join_the_cluster_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ray_address"):
        sent(tmp_path, placement__ray_address=None)


def test_a_job_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="curate"):
        sent(tmp_path, "cure")


@pytest.mark.parametrize("example", ["cluster-s3.yaml", "cluster-train.yaml"])
def test_the_examples_for_clusters_can_be_submitted(example: str) -> None:
    with submission(ROOT / "examples" / example, "refresh") as made:
        assert made.entrypoint == (
            "python -m backtrans plan run.yaml && python -m backtrans run run.yaml"
        )
        assert load(made.folder / "run.yaml") == load(ROOT / "examples" / example)


def test_the_same_job_has_the_same_name_and_another_one_another(tmp_path: Path) -> None:
    first, again, other = sent(tmp_path), sent(tmp_path), sent(tmp_path, "publish")
    changed = sent(tmp_path, recipe__curate={"a4": 2.0, "a5": 3.0})
    assert first.name == again.name
    assert len({first.name, other.name, changed.name}) == 3


def test_arguments_go_to_the_jobs_command_and_cannot_start_another(tmp_path: Path) -> None:
    with submission(far(tmp_path), "rounds", ["--rounds", "2; rm -rf /"]) as made:
        assert shlex.split(made.entrypoint)[-2:] == ["--rounds", "2; rm -rf /"]


def test_a_job_under_way_is_joined_and_one_that_ended_is_run_anew(tmp_path: Path) -> None:
    cluster, job = Cluster(), sent(tmp_path)
    jobs = server(cluster)
    assert jobs.submit(job) == (job.name, True)
    assert jobs.submit(job) == (job.name, False)
    cluster.jobs[job.name] = Status("SUCCEEDED")
    assert jobs.submit(job) == (f"{job.name}-2", True)
    assert jobs.submit(job) == (f"{job.name}-2", False)
    assert len(cluster.sent) == 2


def test_a_retry_of_a_named_job_runs_what_failed_and_leaves_what_succeeded(tmp_path: Path) -> None:
    cluster = Cluster()
    cluster.jobs = {"tuesday": Status("FAILED")}
    with submission(far(tmp_path), "refresh", name="tuesday") as job:
        assert server(cluster).submit(job, once=True) == ("tuesday-2", True)
        cluster.jobs["tuesday-2"] = Status("SUCCEEDED")
        assert server(cluster).submit(job, once=True) == ("tuesday-2", False)


def test_of_two_who_submit_at_once_one_joins(tmp_path: Path) -> None:
    cluster, job = Cluster(), sent(tmp_path)
    listed = cluster.list_jobs
    views = [list[SimpleNamespace](), None]

    def stale() -> list[SimpleNamespace]:
        view = views.pop(0) if views else None
        return listed() if view is None else view

    cluster.jobs = {job.name: Status("PENDING")}
    cluster.list_jobs = stale  # type: ignore[method-assign]
    assert server(cluster).submit(job) == (job.name, False)


def test_a_refusal_is_an_error_that_names_the_server(tmp_path: Path) -> None:
    cluster, job = Cluster(), sent(tmp_path)

    def refuse(**_: Any) -> str:
        raise RuntimeError("status code 401")

    cluster.submit_job = refuse  # type: ignore[method-assign]
    with pytest.raises(BacktransError, match=r"http://127\.0\.0\.1:8265: .*401"):
        server(cluster).submit(job)


def followed(cluster: Cluster) -> tuple[int, str]:
    cluster.jobs = {"job": Status("RUNNING")}
    written: list[str] = []
    code = server(cluster).follow("job", written.append)
    return code, "".join(written)


@pytest.mark.parametrize(("code", "said"), [(0, 0), (3, 3), (143, 143), (None, 1), (-9, 1)])
def test_who_follows_ends_as_the_job_ends(code: int | None, said: int) -> None:
    assert followed(Cluster(["a\n", "b\n"], code=code)) == (said, "a\nb\n")


def test_a_log_that_broke_off_goes_on_where_it_stopped() -> None:
    cluster = Cluster(["a\n", "b\n", "cut"], OSError("unreachable"), ["a\nb\nc", "\nd\n"])
    assert followed(cluster) == (0, "a\nb\nc\nd\n")


def test_a_server_that_is_gone_is_not_waited_for_without_end() -> None:
    cluster = Cluster(*[OSError("unreachable")] * (PATIENCE + 1))
    with pytest.raises(BacktransError, match="unreachable; job may go on"):
        followed(cluster)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    cluster = Cluster(["hello\n"], code=3)
    monkeypatch.setattr(over_there, "_client", lambda address: cluster)
    for name in ("RAY_AUTH_MODE", *over_there.OVERRIDING):
        monkeypatch.delenv(name, raising=False)
    return cluster


def test_the_command_follows_the_log_and_its_exit_code_is_the_jobs(
    tmp_path: Path, client: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = called("submit", far(tmp_path), "--address", HERE, capsys=capsys)
    assert code == 3
    assert "submitted\nhello\n" in out
    assert client.sent[0]["entrypoint"] == "python -m backtrans run run.yaml"


def test_without_following_it_returns_at_once_and_says_how_to_stop_the_job(
    tmp_path: Path, client: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("submit", far(tmp_path), "--address", HERE, "--no-follow", "--submission-id", "n1")
    code, out, _ = called(*arguments, capsys=capsys)
    assert (code, client.jobs) == (0, {"n1": "RUNNING"})
    assert f"ray job stop n1 --address {HERE}" in out


def test_an_interrupt_stops_following_and_not_the_job(
    tmp_path: Path, client: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(name: str) -> None:
        raise KeyboardInterrupt

    client.get_job_info = interrupted  # type: ignore[assignment, method-assign]
    code, out, _ = called("submit", far(tmp_path), "--address", HERE, capsys=capsys)
    assert code == 130
    assert list(client.jobs.values()) == ["RUNNING"]
    assert "the job goes on. To stop it: ray job stop" in out


def test_an_open_cluster_is_refused_before_anything_is_sent(
    tmp_path: Path, client: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    path = far(tmp_path)
    code, _, err = called("submit", path, "--address", "http://10.0.0.7:8265", capsys=capsys)
    assert code == 2
    assert "RAY_AUTH_MODE=token" in err
    assert client.sent == []


@pytest.mark.parametrize("job", sorted(JOBS))
def test_every_job_is_an_entry_point_that_starts_the_same_commands(
    job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[str]] = []
    ran = SimpleNamespace(returncode=0)
    monkeypatch.setattr("subprocess.run", lambda c, **_: started.append(c[3:]) or ran)
    monkeypatch.setattr("backtrans.cli.main", lambda: started.append(sys.argv[1:]))
    monkeypatch.setattr(sys, "argv", ["job", "run.yaml"])
    runpy.run_path(str(ROOT / "jobs" / f"{job}.py"), run_name="__main__")
    assert started == [[command, "run.yaml"] for command in JOBS[job]]
