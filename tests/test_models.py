"""The registry: a model is there whole or not at all, and comes back byte by byte."""

import hashlib
import pickle
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from backtrans.engines.engine import EngineSettings
from backtrans.errors import ModelError, StoreError
from backtrans.models import FOLDER, REGISTERED, Metrics, Registered, Registry
from backtrans.stages import ask
from backtrans.store import Store, StoreSettings

NAME = "a" * 24
FILES = {"adapter_config.json": b"{}", "adapter_model.safetensors": b"weights" * 100}


@pytest.fixture
def registry(store: Store) -> Registry:
    return Registry(store)


def register(
    registry: Registry, folder: Path, attempt: str = "one", **changes: object
) -> Registered:
    folder.mkdir(exist_ok=True)
    files = []
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
        files.append(registry.put_file(NAME, attempt, folder / name))
    record = Registered(
        fingerprint=NAME,
        role="backward",
        kind="lora",
        settings={"method": "lora", "lora": {"rank": 16}},
        base="b" * 24,
        base_name="base",
        data={"seed": 40, "too_long": 2},
        data_digest="d" * 24,
        metrics=Metrics(6, 40, 7000, 600, 12.5, (7.5, 1.25)),
        attempt=attempt,
        files=tuple(files),
        made_at="2026-01-01T00:00:00+00:00",
        run="r",
    )
    return registry.register(replace(record, **changes))  # type: ignore[arg-type]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_is_registered_is_found_and_fetched(registry: Registry, tmp_path: Path) -> None:
    assert registry.of(NAME) is None
    record = register(registry, tmp_path / "made")
    assert registry.of(NAME) == record
    assert list(registry.all()) == [record]
    assert {file.name: file.sha256 for file in record.files} == {
        name: hashlib.sha256(data).hexdigest() for name, data in FILES.items()
    }
    assert contents(registry.fetch(NAME, tmp_path / "cache")) == FILES
    assert contents(registry.fetch(NAME, tmp_path / "cache")) == FILES
    located = registry.located(REGISTERED + NAME, tmp_path / "cache")
    assert contents(Path(located)) == FILES
    assert registry.located("/a/path", tmp_path) == "/a/path"


def test_of_two_trainings_the_first_one_registered_counts(
    registry: Registry, tmp_path: Path
) -> None:
    first = register(registry, tmp_path / "made", "one")
    assert register(registry, tmp_path / "made", "two") == first
    orphans = registry.orphans(float("inf"))
    assert orphans == sorted(f"{FOLDER}{NAME}/two/{name}" for name in FILES)
    assert registry.orphans(0.0) == []


def test_files_without_a_record_are_no_model(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"half")
    registry.put_file(NAME, "one", tmp_path / "weights")
    assert registry.of(NAME) is None
    assert list(registry.all()) == []
    with pytest.raises(ModelError, match="train it first"):
        registry.fetch(NAME, tmp_path / "cache")


def test_a_file_that_is_not_what_was_registered_is_not_served(
    registry: Registry, store: Store, tmp_path: Path
) -> None:
    register(registry, tmp_path / "made")
    key = f"{FOLDER}{NAME}/one/adapter_config.json"
    store.put(key, b"{ }")
    with pytest.raises(StoreError, match=r"adapter_config\.json"):
        registry.fetch(NAME, tmp_path / "cache")
    store.delete(key)
    with pytest.raises(StoreError, match=r"adapter_config\.json"):
        registry.fetch(NAME, tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*")), "a broken download leaves nothing"


def test_a_worker_opens_its_engine_on_the_model_that_it_fetched(
    moto_settings: StoreSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(Registry(Store(moto_settings)), tmp_path / "made")
    opened: list[EngineSettings] = []
    monkeypatch.setattr(ask, "open_engine", opened.append)
    engine = EngineSettings("vllm", "/base", adapters={"backward": REGISTERED + NAME})
    work = ask.AskWork(moto_settings, engine, (), "r", model_cache=str(tmp_path / "cache"))
    pickle.loads(pickle.dumps(work)).open()
    assert opened[0].model == "/base"
    folder = Path(opened[0].adapters["backward"])
    assert folder.parent == tmp_path / "cache"
    assert contents(folder) == FILES


def test_many_who_fetch_at_once_have_one_folder(
    moto_settings: StoreSettings, tmp_path: Path
) -> None:
    registry = Registry(Store(moto_settings))
    register(registry, tmp_path / "made")
    found: list[Path] = []
    threads = [
        threading.Thread(target=lambda: found.append(registry.fetch(NAME, tmp_path / "cache")))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert contents(found[0]) == FILES
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [found[0].name]
