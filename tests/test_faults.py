"""Stores that fail: what passes changes no result, what stays is one clear error."""

import itertools
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from backtrans.errors import CredentialsRefused, InputError, StoreError
from backtrans.ledger import Ledger
from backtrans.pipeline import STAGES, Pipeline
from backtrans.s3_failures import ATTEMPTS, READ_SECONDS
from backtrans.store import Store, StoreSettings, list_inputs, open_input
from tests.faults import (
    LOST,
    REFUSED,
    RESET,
    SILENT,
    SLOW,
    TORN,
    Fault,
    Schedule,
    between,
    storm,
)
from tests.jobs import Silent, config, published, write_corpus
from tests.test_ledger import DAY_SECONDS, much_later, part_of, record

pytestmark = pytest.mark.slow

PASSING: list[Fault] = [500, 503, RESET, LOST, TORN, SLOW, SILENT]
STAYING: dict[Fault, str] = {
    500: "InternalError",
    503: "SlowDown",
    RESET: "connect",
    SILENT: "timeout",
}


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait a hundredth of what a run would wait before an attempt."""
    monkeypatch.setattr("backtrans.s3_failures.FIRST_WAIT_SECONDS", 0.001)


@pytest.fixture
def listen(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Hear a server out as a run does, unless it will say nothing: a slow answer is no fault."""

    def listen_for(fault: Fault, seconds: float = 1.0) -> None:
        seconds = seconds if fault == SILENT else READ_SECONDS
        monkeypatch.setattr("backtrans.store_s3.READ_SECONDS", seconds)

    return listen_for


def first(fault: Fault, times: int = 1) -> Schedule:
    return lambda seen: fault if seen.nth <= times else None


def always(fault: Fault) -> Schedule:
    return lambda _: fault


# ---------------------------------------------------------------- the store


@pytest.mark.slow
def test_a_fault_that_passes_changes_no_result(
    s3_settings: StoreSettings, listen: Callable[..., None]
) -> None:
    with between(s3_settings, always(None)) as (settings, proxy):
        store = Store(settings)
        for fault in PASSING:
            listen(fault)
            proxy.follow(first(fault))
            store.put("a", b"1" * 1000)
            assert store.put_new("b", b"2")
            assert not store.put_new("b", b"3")
            assert store.get("a") == b"1" * 1000
            assert store.exists("b")
            assert not store.exists("c")
            assert [info.key for info in store.list()] == ["a", "b"]
            store.delete("a")
            store.delete("b")
            assert proxy.done[str(fault)] >= 4
    assert list(Store(s3_settings).list()) == []


@pytest.mark.slow
def test_a_put_new_that_lost_to_another_says_so_through_every_fault(
    s3_settings: StoreSettings, listen: Callable[..., None]
) -> None:
    Store(s3_settings).put("k", b"another's")
    with between(s3_settings, always(None)) as (settings, proxy):
        for fault in (409, *PASSING):
            listen(fault)
            proxy.follow(first(fault, 2))
            assert not Store(settings).put_new("k", b"mine")
            assert proxy.done[str(fault)]
    assert Store(s3_settings).get("k") == b"another's"


@pytest.mark.slow
def test_inputs_are_listed_and_read_through_faults_that_pass(
    one_s3_settings: StoreSettings,
) -> None:
    data = os.urandom(200_000)
    Store(one_s3_settings).put("c/a.jsonl", data)
    with between(one_s3_settings, always(None)) as (settings, proxy):
        for fault in (RESET, TORN):
            proxy.follow(first(fault))
            (info,) = list_inputs([f"{settings.root}/c/*.jsonl"], settings)
            with open_input(info.key, settings) as opened:
                assert opened.read() == data
            assert proxy.done[str(fault)]


def calls(store: Store) -> list[Callable[[], object]]:
    return [
        lambda: store.put("a/b", b"1"),
        lambda: store.put_new("a/b", b"1"),
        lambda: store.get("a/b"),
        lambda: store.exists("a/b"),
        lambda: store.delete("a/b"),
        lambda: list(store.list("a/b")),
    ]


@pytest.mark.slow
def test_a_fault_that_stays_is_given_up_and_says_what_when_and_how_often(
    one_s3_settings: StoreSettings, listen: Callable[..., None]
) -> None:
    with between(one_s3_settings, always(None)) as (settings, proxy):
        for fault, said in STAYING.items():
            listen(fault, 0.05)
            for call in calls(Store(settings)):
                proxy.follow(always(fault))
                with pytest.raises(StoreError) as failed:
                    call()
                words = rf"{settings.root}/a/b: .*{said}.*; {ATTEMPTS} attempts in [0-9.]+ s"
                assert re.fullmatch(words, str(failed.value), re.IGNORECASE), failed.value
                while len(proxy.requests) < ATTEMPTS:  # it may hear of the last ones late
                    time.sleep(0.01)
                # An HTTP client may repeat what met a connection that was already dead.
                assert len(proxy.requests) <= 2 * ATTEMPTS


def test_waits_grow_and_part_those_who_failed_together(
    one_s3_settings: StoreSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backtrans.s3_failures.FIRST_WAIT_SECONDS", 0.1)
    waited: list[float] = []
    monkeypatch.setattr("backtrans.s3_failures.time.sleep", waited.append)
    with between(one_s3_settings, always(503)) as (settings, _), pytest.raises(StoreError):
        Store(settings).get("k")
    assert len(waited) == ATTEMPTS - 1
    assert all(0.05 * 2**n <= wait <= 0.1 * 2**n for n, wait in enumerate(waited))
    assert len({wait / 2**n for n, wait in enumerate(waited)}) == len(waited)


@pytest.mark.slow
def test_a_store_that_says_nothing_is_given_up_when_patience_ends(
    one_s3_settings: StoreSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backtrans.store_s3.READ_SECONDS", 0.5)
    monkeypatch.setattr("backtrans.s3_failures.PATIENCE_SECONDS", 1.2)
    with between(one_s3_settings, always(SILENT)) as (settings, proxy):
        with pytest.raises(StoreError, match=r"root/k: .*[Tt]imeout"):
            Store(settings).get("k")
        assert 1 <= len(proxy.requests) <= 3


def test_a_fault_that_no_repetition_mends_is_not_repeated(one_s3_settings: StoreSettings) -> None:
    with between(one_s3_settings, always(None)) as (settings, proxy):
        for fault, said in ((403, "AccessDenied"), (REFUSED, "credentials")):
            proxy.follow(always(fault))
            with pytest.raises(StoreError, match=f"root/k: .*{said}"):
                Store(settings).get("k")
            assert len(proxy.requests) == 1


# ---------------------------------------------------------------- the ledger and whole runs


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_attempts_that_race_through_a_storm_make_one_commit_of_each_shard(
    s3_settings: StoreSettings, seed: int
) -> None:
    shards, attempts = 4, 3

    def attempt(numbers: tuple[int, int]) -> bool:
        shard, me = numbers
        part = part_of(kept=me + 1, by=str(me))
        return ledger.commit(record(part, f"attempt{me}", f"k{shard}"), part)

    with between(s3_settings, storm(seed)) as (settings, proxy):
        ledger = Ledger(Store(settings))
        each = list(itertools.product(range(shards), range(attempts)))
        with ThreadPoolExecutor(len(each)) as pool:
            won = list(pool.map(attempt, each))
        commits = list(ledger.commits("select"))
        assert len(proxy.done) >= 4, proxy.done
    winners = [(f"k{k}", f"attempt{me}") for (k, me), w in zip(each, won, strict=True) if w]
    assert [(commit.key, commit.attempt) for commit in commits] == winners
    assert [key for key, _ in winners] == [f"k{shard}" for shard in range(shards)]
    calm = Ledger(Store(s3_settings))
    for commit in commits:
        me = int(commit.attempt[-1])
        assert calm.read_part(commit).equals(part_of(kept=me + 1, by=str(me)))


def in_bucket(settings: StoreSettings, root: str) -> dict[str, Any]:
    store = {name: value for name, value in asdict(settings).items() if name != "root"}
    return {"placement__root": f"{settings.root}/{root}", "placement__store": store}


def unbroken(tmp_path: Path) -> list[dict[str, Any]]:
    write_corpus(tmp_path)
    pipeline = Pipeline(config(tmp_path, placement__root="unbroken"))
    pipeline.run(Silent())
    return published(pipeline)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_a_run_through_a_storm_publishes_what_an_unbroken_run_does(
    tmp_path: Path, one_s3_settings: StoreSettings, seed: int
) -> None:
    rows = unbroken(tmp_path)
    with between(one_s3_settings, storm(seed)) as (settings, proxy):
        pipeline = Pipeline(config(tmp_path, **in_bucket(settings, "out")))
        summary = pipeline.run(Silent())
        assert sum(proxy.done.values()) >= 50, proxy.done
        assert set(proxy.done) >= {"500", "503", RESET, LOST, TORN, SLOW, "409"}
    calm = Pipeline(config(tmp_path, **in_bucket(one_s3_settings, "out")))
    assert published(calm) == rows
    assert summary.made == {stage.name: 6 for stage in STAGES}
    assert summary.quarantined == []
    # A shard that had been committed twice would have left a part that no commit names.
    assert calm.ledger.orphans(DAY_SECONDS, much_later(calm.ledger)) == []


@pytest.mark.slow
def test_a_store_that_stays_down_ends_a_run_soon_and_names_the_object(
    tmp_path: Path, one_s3_settings: StoreSettings
) -> None:
    rows = unbroken(tmp_path)
    with between(one_s3_settings, lambda seen: 503 if seen.number >= 60 else None) as (
        settings,
        proxy,
    ):
        pipeline = Pipeline(config(tmp_path, **in_bucket(settings, "out")))
        with pytest.raises(StoreError, match=r"s3://test-.*/root/out/.*: SlowDown.*attempts in"):
            pipeline.run(Silent())
        assert len(proxy.requests) < 60 + 20 * ATTEMPTS
        proxy.follow(always(None))
        pipeline.run(Silent())
        assert published(pipeline) == rows


@pytest.mark.slow
@pytest.mark.parametrize("good", [5, 40, 90, 160])
def test_credentials_that_expire_stop_the_run_and_condemn_no_shard(
    tmp_path: Path, one_s3_settings: StoreSettings, good: int
) -> None:
    rows = unbroken(tmp_path)
    with between(one_s3_settings, lambda seen: REFUSED if seen.number >= good else None) as (
        settings,
        proxy,
    ):
        pipeline = Pipeline(config(tmp_path, **in_bucket(settings, "out")))
        with pytest.raises(
            CredentialsRefused, match=r"s3://test-.*/root/out/.*credentials .*ExpiredToken"
        ):
            pipeline.run(Silent())
        # What was in flight meets the refusal too, and nothing is begun after it.
        assert len(proxy.requests) <= good + 20
        proxy.follow(always(None))
        assert list(pipeline.ledger.store.list("quarantine/")) == []
        assert pipeline.run(Silent()).quarantined == []
        assert published(pipeline) == rows


def test_inputs_that_refuse_the_credentials_are_named_and_so_are_credentials(
    one_s3_settings: StoreSettings,
) -> None:
    Store(one_s3_settings).put("c/a.jsonl", b"1")
    with between(one_s3_settings, always(REFUSED)) as (settings, proxy):
        # A HEAD has no words: a bare 403 may mean either.
        for url in (f"{settings.root}/c/*", f"{settings.root}/c/a.jsonl"):
            with pytest.raises(InputError, match=r"s3://test-.*/c/.*403.*credentials"):
                list_inputs([url], settings)
        proxy.follow(lambda seen: REFUSED if seen.method == "GET" else None)
        with pytest.raises(CredentialsRefused, match=r"s3://test-.*/c: .*ExpiredToken"):
            list_inputs([f"{settings.root}/c"], settings)


# ---------------------------------------------------------------- a full disk


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder that holds 256 KiB."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount")
    if mounted.returncode:
        pytest.skip(f"may not mount a small disk: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_fails_a_put_whole_and_names_the_path(tiny_disk: Path) -> None:
    store = Store(StoreSettings(str(tiny_disk)))
    store.put("old", b"old")
    too_much = os.urandom(300_000)
    for put, key in ((store.put, "new"), (store.put_new, "new"), (store.put, "old")):
        with pytest.raises(StoreError, match=f"{tiny_disk}/{key}: No space left on device"):
            put(key, too_much)
    assert [info.key for info in store.list()] == ["old"]
    assert list(store.leftovers()) == []
    assert store.get("old") == b"old"
    assert store.put_new("new", b"fits")


def test_a_run_on_a_full_disk_says_so_and_goes_on_when_there_is_room(
    tmp_path: Path, tiny_disk: Path
) -> None:
    rows = unbroken(tmp_path)
    filler = tiny_disk / "filler"
    filler.write_bytes(os.urandom(150_000))
    pipeline = Pipeline(config(tmp_path, placement__root=str(tiny_disk)))
    with pytest.raises(StoreError, match=f"{tiny_disk}/.*: No space left on device"):
        pipeline.run(Silent())
    filler.unlink()
    subprocess.run(["mount", "-o", "remount,size=8m", str(tiny_disk)], check=True)
    assert list(pipeline.ledger.store.leftovers()) == []
    pipeline.run(Silent())
    assert published(pipeline) == rows
