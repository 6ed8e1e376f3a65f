"""The whole of the model map as it runs in earnest: Ray's actors, a real vLLM, a killed engine."""

import multiprocessing
import os
import signal
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest

from backtrans.dialogue import Generate
from backtrans.engines.engine import EngineSettings
from backtrans.records import Row, is_kept
from backtrans.roles.backtranslate import Backtranslate
from backtrans.roles.role import Dialogue, Role
from backtrans.roles.score import Score
from backtrans.runtime.ray_data import RayRuntime
from backtrans.store import StoreSettings
from backtrans.work import Receipt, RuntimeSettings
from tests.engines import tiny_model
from tests.runtime.asking import PAIRS, SCORES, ask_work, role_stages, rows_of, segments, select


@dataclass(frozen=True, slots=True)
class KillsTheEngine:
    """A role that kills the engine core of its process when it first comes to a row.

    From inside the dialogue, so that it happens with requests in flight, however fast the engine.
    """

    role: Role
    row: str
    killed: Path  # its name is the sign that it has happened, its lines the processes killed

    @property
    def version(self) -> str:
        return self.role.version

    def converse(self, row: Row) -> Dialogue:
        if row["id"] == self.row and not self.killed.exists():
            cores = [core.pid for core in multiprocessing.active_children() if core.pid]
            self.killed.write_text("\n".join(map(str, cores)))
            for pid in cores:
                os.kill(pid, signal.SIGKILL)
        return self.role.converse(row)


def started_with(variable: str, value: str) -> dict[psutil.Process, str]:
    """Return the processes that were started with a variable of that value, and their commands."""
    found = {}
    for process in psutil.process_iter():
        try:
            if process.environ().get(variable) == value:
                found[process] = " ".join(process.cmdline())
        except psutil.Error:  # it has ended, or is another user's
            continue
    return found


@pytest.mark.ray
@pytest.mark.vllm
@pytest.mark.slow
@pytest.mark.timeout(900)  # the engine starts twice, which on a loaded machine takes minutes
def test_a_killed_engine_core_loses_no_row_and_the_run_goes_on_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STARTED_FOR", str(tmp_path))  # handed on by Ray, and by vLLM
    tiny_model.save_model(tmp_path / "model", positions=1024)
    for seed, name in enumerate(("backward", "forward")):
        tiny_model.save_adapter(tmp_path / name, seed=seed)
    engine = EngineSettings(
        "vllm",
        str(tmp_path / "model"),
        adapters={name: str(tmp_path / name) for name in ("backward", "forward")},
        dtype="float32",
        max_model_tokens=1024,
        max_batched_tokens=1024,
        max_sequences=16,
        max_in_flight=32,
        eager=True,
    )
    killed = tmp_path / "killed"
    backward = Backtranslate(Generate(max_tokens=8), adapter="backward")
    roles = role_stages(
        KillsTheEngine(backward, row="1-9", killed=killed), Score(adapter="forward")
    )
    shards = [segments(n, 16) for n in range(4)]
    root = StoreSettings(str(tmp_path / "root"))
    addresses = select(root, shards)
    work = replace(ask_work(root), engine=engine, stages=roles)
    settings = RuntimeSettings("run-1", root, in_flight=2, backoff_seconds=0.1)

    receipts: list[Receipt] = []
    family: dict[psutil.Process, str] = {}
    with RayRuntime() as runtime:
        for receipt in runtime.map(work, addresses, settings):
            receipts.append(receipt)
            family |= started_with("STARTED_FOR", str(tmp_path))
    # Ray ends its actors without a word to them; no worker of vLLM's may outlive its actor.
    assert any("VLLM::Worker" in command for command in family.values())
    _, left = psutil.wait_procs(family, timeout=60)
    assert left == []
    assert len(killed.read_text().splitlines()) == 1
    assert sorted((r.address.key, r.outcome) for r in receipts) == [
        (address.key, "done") for address in addresses
    ]
    # Two shards at most were in flight, that of the killing row among them; the rest went well.
    attempts = {receipt.address.shard: receipt.attempts for receipt in receipts}
    assert attempts["shard-1"] == 2
    assert sorted(attempts.values()) in ([1, 1, 1, 2], [1, 1, 2, 2])
    for address, rows in zip(addresses, shards, strict=True):
        pairs, scores = rows_of(root, PAIRS, address.shard), rows_of(root, SCORES, address.shard)
        assert [row["id"] for row in pairs] == [row["id"] for row in rows if is_kept(row)]
        assert [row["id"] for row in scores] == [row["id"] for row in pairs if is_kept(row)]
