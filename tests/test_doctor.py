"""What a run needs is looked at before it starts: a fault is named, with what to do."""

import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from backtrans import doctor
from backtrans.cli import app
from backtrans.doctor import Finding, findings
from backtrans.errors import StoreError
from backtrans.store import ObjectInfo, Store, StoreSettings
from tests.jobs import config, configuration, write_corpus, write_jsonl


def found(folder: Path, environment: dict[str, str] | None = None, **changes: Any) -> list[Finding]:
    return list(findings(config(folder, **changes), environment or {}))


def bad(found: list[Finding]) -> dict[str, Finding]:
    return {each.check: each for each in found if each.state == "bad"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_corpus(tmp_path, files=2)
    return tmp_path


def test_a_run_that_can_start_has_nothing_bad_and_leaves_nothing_behind(folder: Path) -> None:
    everything = found(folder)
    assert bad(everything) == {}
    told = {each.check: each.found for each in everything}
    assert told["inputs"].startswith("2 object(s)")
    assert told["conditional put"] == f"one winner of {doctor.RACERS}"
    assert set(told) >= {"versions", "environment", "cluster", "GPUs", "store", "clock"}
    assert list(Store(StoreSettings(str(folder / "out"))).list()) == []


def test_every_fault_is_named_with_what_to_do_and_hides_no_other(folder: Path) -> None:
    everything = found(
        folder,
        {"RAY_DATA_AUTOLOAD_PICKLE_OBJECT_SCALAR": "1"},
        recipe__corpus={"paths": ["nowhere/*"]},
        recipe__select={"evaluations": {"sets": [{"name": "quiz", "path": "./no-such-set.jsonl"}]}},
        recipe__models={
            "backward": {"path": "./no-such-model"},
            "forward": {"path": "scripted:default", "engine": "scripted"},
        },
        placement__runtime="ray",
        placement__ray_address="ray://10.0.0.1:10001",
        placement__engine={"device": "cpu"},
    )
    faults = bad(everything)
    assert set(faults) == {"environment", "inputs", "models", "cluster", "evaluation sets"}
    assert "no-such-set" in faults["evaluation sets"].found
    assert "RAY_DATA_AUTOLOAD_PICKLE_OBJECT_SCALAR" in faults["environment"].found
    assert "no-such-model" in faults["models"].found
    assert "nowhere/*" in faults["inputs"].found
    assert "RAY_AUTH_MODE=token" in faults["cluster"].mend
    assert "from the folder of the file" in faults["inputs"].mend
    assert all(fault.mend for fault in faults.values())


def test_inputs_that_a_run_would_give_up_or_find_no_text_in_are_named_before_it(
    folder: Path,
) -> None:
    told = {each.check: each.found for each in found(folder)}
    assert told["inputs, opened"] == "2: the first row of each is read"
    (folder / "corpus/page.html").write_text("<p>Tea.</p>")
    write_jsonl(folder / "corpus/other.jsonl", [{"id": "1", "content": "Tea."}])
    (folder / "corpus/empty.jsonl").write_bytes(b"")
    paths = {"paths": ["corpus/*"]}
    fault = bad(found(folder, recipe__corpus=paths))["an input"]
    assert "page.html" in fault.found
    everything = found(folder, recipe__corpus=paths, placement__min_complete=0.5)
    doubts = [each.found for each in everything if each.check == "an input"]
    assert bad(everything) == {}
    assert len(doubts) == 2
    assert (
        "other.jsonl: its first row is refused: text_missing: no 'text'; it has: id, content"
        in doubts[0]
    )


def test_a_bucket_without_credentials_is_told_from_one_that_refuses_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(folder))
    faults = bad(found(folder, recipe__corpus={"paths": ["s3://bucket-of-nobody/*"]}))
    assert "Unable to locate credentials" in faults["inputs"].found
    assert "refused" not in faults["inputs"].found
    assert "a profile" in faults["inputs"].mend


def test_a_root_that_is_a_file_is_named(folder: Path) -> None:
    (folder / "afile").write_text("x")
    with pytest.raises(StoreError, match=r"the root \S+/afile is a file"):
        list(Store(StoreSettings(str(folder / "afile"))).list())


def test_a_cluster_of_others_with_a_token_is_fine(folder: Path) -> None:
    changes = {"runtime": "ray", "ray_address": "10.0.0.1:6379", "root": "out"}
    everything = found(folder, {"RAY_AUTH_MODE": "token"}, placement=changes)
    assert "cluster" not in bad(everything)
    told = {each.check: each.found for each in everything}
    assert told["GPUs"] == "the cluster's, which are not seen from here"


def test_gpus_that_are_not_there_are_missed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = {"device": "gpu", "tensor_parallel": 2}
    monkeypatch.setattr(doctor, "_gpus", lambda: ["NVIDIA H100 80GB HBM3, 81559 MiB"])
    fault = bad(found(folder, placement__engine=engine))["GPUs"]
    assert fault.found.startswith("1 here, and an engine takes 2: NVIDIA H100")
    assert "tensor_parallel" in fault.mend
    monkeypatch.setattr(doctor, "_gpus", lambda: ["H100, 81559 MiB"] * 2)
    assert "GPUs" not in bad(found(folder, placement__engine=engine))


class Careless(Store):
    """A store that takes no notice of the condition, as some do."""

    def put_new(self, key: str, data: bytes) -> bool:
        self.put(key, data)
        return True


class Forgetful(Store):
    """A store that lists what was put only later."""

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        return iter(())


class Late(Store):
    """A store whose clock is behind."""

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        yield from (replace(each, modified=time.time() - 1000) for each in super().list(prefix))


@pytest.mark.parametrize(
    ("kind", "check", "words"),
    [
        (Careless, "conditional put", "rows would be doubled"),
        (Forgetful, "store", "does not list what was put"),
        (Late, "clock", "1,000 s from the store's"),
    ],
)
def test_a_store_that_does_not_keep_its_promises_is_refused(
    tmp_path: Path, kind: type[Store], check: str, words: str
) -> None:
    root = kind(StoreSettings(str(tmp_path)))
    fault = bad(list(doctor.store(root)))[check]
    assert words in fault.found
    assert fault.mend
    assert list(tmp_path.rglob("doctor/*")) == []


def test_a_full_disk_is_told_by_what_is_put_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=2**20))
    faults = bad(found(folder, placement__root="made/later"))
    assert {"disk: root", "disk: temporary files", "disk: model cache"} <= set(faults)
    assert str(folder) in faults["disk: root"].mend


def test_the_command_marks_what_is_bad_and_fails(folder: Path) -> None:
    runner = CliRunner()
    good = runner.invoke(app, ["doctor", str(configuration(folder))])
    assert good.exit_code == 0
    assert "ok  conditional put: one winner" in good.output
    faulty = str(configuration(folder, recipe__corpus={"paths": ["nowhere/*"]}))
    failed = runner.invoke(app, ["doctor", faulty])
    assert failed.exit_code == 1
    assert "NO  inputs: " in failed.output
    assert "1 thing(s)" in str(failed.exception)
