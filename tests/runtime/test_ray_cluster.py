"""The runtime's dealings with Ray itself: its own cluster, others' clusters, what it refuses."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from backtrans.errors import ConfigError, EngineDead
from backtrans.journal import Journal
from backtrans.runtime.attempts import MAX_OPENINGS
from backtrans.runtime.precautions import UNSAFE_VARIABLES, check_address, check_environment
from backtrans.runtime.ray_data import RayRuntime
from backtrans.store import Store, StoreSettings
from backtrans.work import RuntimeSettings
from tests.runtime.works import Play, play


def settings_in(folder: Path, **changes: object) -> RuntimeSettings:
    values = {"backoff_seconds": 0.01} | changes
    return RuntimeSettings("run-1", StoreSettings(str(folder / "root")), **values)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", UNSAFE_VARIABLES)
@pytest.mark.parametrize("value", ["1", "0", ""])
def test_variables_that_let_inputs_run_code_are_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name):
        check_environment({"HOME": "/", name: value})


def test_an_ordinary_environment_is_fine() -> None:
    check_environment({"HOME": "/", "RAY_AUTH_MODE": "token"})


@pytest.mark.parametrize(
    "address", ["10.0.0.7:6379", "ray://head:10001", "auto", "0.0.0.0:6379", "::2"]
)
def test_a_cluster_that_others_reach_needs_a_token(tmp_path: Path, address: str) -> None:
    with pytest.raises(ConfigError, match="RAY_AUTH_MODE=token"):
        check_address(settings_in(tmp_path, ray_address=address))
    check_address(settings_in(tmp_path, ray_address=address, ray_auth_token=True))


@pytest.mark.parametrize(
    "address",
    [None, "local", "127.0.0.1:6379", "ray://127.0.0.1:10001", "localhost:6379", "[::1]:6379"],
)
def test_a_cluster_of_this_machine_needs_none(tmp_path: Path, address: str | None) -> None:
    check_address(settings_in(tmp_path, ray_address=address))


def test_an_open_cluster_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    work = Play(tmp_path)
    receipts = RayRuntime().map(work, play("well"), settings_in(tmp_path, ray_address="10.0.0.7:1"))
    with pytest.raises(ConfigError, match=r"10\.0\.0\.7"):
        next(receipts)
    assert work.remembered("openings") == []


@pytest.fixture
def nobody() -> Iterator[int]:
    """Lend a port at which nobody listens, while this holds it."""
    with socket.socket() as held:
        held.bind(("", 0))
        yield held.getsockname()[1]


@pytest.mark.ray
class TestAClusterThatIsNotThere:
    def test_it_is_said_where_ray_looked_for_it(self, tmp_path: Path, nobody: int) -> None:
        settings = settings_in(tmp_path, ray_address=f"127.0.0.2:{nobody}")
        with pytest.raises(ConfigError, match=rf"no head answers at 127\.0\.0\.2:{nobody}") as said:
            RayRuntime().ready(settings)
        assert "node-ip-address" not in str(said.value)

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
    def test_what_ray_takes_the_loopback_for_is_said_and_how_to_name_it(
        self, tmp_path: Path, nobody: int, host: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import ray

        # The address that others reach this machine by, which some machines have and others lack.
        monkeypatch.setattr(ray.util, "get_node_ip_address", lambda: "127.0.0.3")
        settings = settings_in(tmp_path, ray_address=f"{host}:{nobody}")
        with pytest.raises(ConfigError) as said:
            RayRuntime().ready(settings)
        assert f"no head answers at 127.0.0.3:{nobody}" in str(said.value)
        assert f"Ray takes {host} for" in str(said.value)
        assert f"ray_address: 127.0.0.2:{nobody}" in str(said.value)

    def test_an_address_that_is_none_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="localhost:http"):
            RayRuntime().ready(settings_in(tmp_path, ray_address="localhost:http"))


@pytest.mark.ray
@pytest.mark.slow
class TestItsOwnCluster:
    def test_it_is_kept_between_maps_is_not_nice_and_goes_when_the_runtime_does(
        self, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        import ray

        work, settings = Play(tmp_path), settings_in(tmp_path)
        with RayRuntime() as runtime:
            assert [r.outcome for r in runtime.map(work, play("well"), settings)] == ["done"]
            assert ray.is_initialized()
            niceness = ray.get(ray.remote(lambda: os.nice(0)).remote())
            assert [r.outcome for r in runtime.map(work, play("well", "well"), settings)] == [
                "done",
                "done",
            ]
        assert niceness == os.nice(0)
        assert not ray.is_initialized()
        out, err = capfd.readouterr()
        # One line of Ray's own core, about arguments that Ray Data itself keeps, has no switch.
        said = [line for line in (out + err).splitlines() if "core_worker.cc" not in line]
        assert said == []

    def test_without_a_context_it_goes_after_the_map_and_a_missing_gpu_is_said(
        self, tmp_path: Path
    ) -> None:
        import ray

        ray.init(address="local", num_cpus=1, num_gpus=0, log_to_driver=False)
        try:
            work = Play(tmp_path, gpus_each=2.0)
            with pytest.raises(ConfigError, match=r"needs 2 GPU\(s\) a worker; this machine has 0"):
                list(RayRuntime().map(work, play("well"), settings_in(tmp_path)))
            assert ray.is_initialized()
        finally:
            ray.shutdown()
        assert [
            r.outcome for r in RayRuntime().map(Play(tmp_path), play("well"), settings_in(tmp_path))
        ]
        assert not ray.is_initialized()

    def test_a_process_that_dies_while_it_opens_is_tried_again_but_not_for_ever(
        self, tmp_path: Path
    ) -> None:
        with RayRuntime() as runtime:
            once, settings = Play(tmp_path, opens="killed_once"), settings_in(tmp_path)
            assert [r.outcome for r in runtime.map(once, play("well"), settings)] == ["done"]
            assert len(once.remembered("openings")) == 2
            (tmp_path / "again").mkdir()
            always = Play(tmp_path / "again", opens="killed")
            with pytest.raises(EngineDead, match=f"did not open.*died {MAX_OPENINGS} times"):
                list(runtime.map(always, play("well", "well"), settings_in(tmp_path / "again")))
        assert len(always.remembered("openings")) == MAX_OPENINGS
        assert Journal(Store(settings.store)).quarantined("run-1") == []
