"""Two drivers on one root, and one that sleeps through what the other does and then finishes."""

import time
from collections.abc import Callable
from signal import SIGSTOP

import psutil
import pytest

from backtrans.ledger import Ledger
from backtrans.pipeline import STAGES
from backtrans.snapshots import latest, snapshots
from backtrans.store import Store, StoreSettings
from backtrans.takedown import asked as asked_for
from backtrans.takedown import record
from tests.chaos.diary import Strike
from tests.chaos.drivers import Driver
from tests.chaos.storm import Scene
from tests.chaos.verdict import Truth, commit_bytes, published, verdict

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
MakeScene = Callable[..., Scene]

AT_THE_START = Strike("driver", "put", "runs/*", 1, "after", SIGSTOP)


def asleep(driver: Driver) -> Driver:
    """Wait until a driver has stopped itself; return it."""
    assert driver.until(driver.stopped, "its stop"), driver.said()
    return driver


def parts(root: StoreSettings) -> set[str]:
    return {info.key for info in Store(root).list("parts/")}


@pytest.mark.parametrize(
    ("kind", "other"),
    [
        ("local", "local"),
        ("one_s3", "local"),
        pytest.param("local", "ray", marks=pytest.mark.ray),
        pytest.param("one_s3", "ray", marks=[pytest.mark.ray, pytest.mark.chaos]),
    ],
)
def test_two_drivers_at_once_commit_each_shard_once_and_publish_one_snapshot(
    scene_in: MakeScene, kind: str, other: str
) -> None:
    scene = scene_in(kind)
    truth, _ = scene.unbroken()
    root = scene.fresh_root("raced")
    # Both have planned when the first of them begins.
    both = [asleep(scene.driver(root, AT_THE_START, runtime=r)) for r in ("local", other)]
    for driver in both:
        driver.go_on()
    for driver in both:
        driver.completes()
    lines = [line for driver in both for line in driver.lines()]
    assert verdict(root, truth, {}, lines).clean
    assert len(snapshots(Ledger(Store(root)))) == 1


IN_THE_MIDDLE = [
    ("put_new", "parts/select/*", "after"),
    ("put_new", "deduplicate/*/entries/*", "before"),
    ("put_new", "deduplicate/*/finished", "before"),
    ("put_new", "commits/backtranslate/*", "before"),
    ("put_new", "parts/score/*", "unnamed"),
    ("put_new", "commits/score/*", "before"),
    ("put_new", "commits/curate/*", "before"),
    ("put", "splits/*/A4/*", "before"),
    ("put_new", "snapshots/*", "before"),
]


@pytest.mark.parametrize(("operation", "keys", "moment"), IN_THE_MIDDLE)
def test_a_driver_that_finishes_late_leaves_orphans_that_a_sweep_removes_and_nothing_else(
    scene_in: MakeScene, operation: str, keys: str, moment: str
) -> None:
    scene = scene_in("local")
    truth, _ = scene.unbroken()
    root = scene.fresh_root("late")
    strike = Strike("driver", operation, keys, 1, moment, SIGSTOP)  # type: ignore[arg-type]
    late = asleep(scene.driver(root, strike))
    other = scene.driver(root)
    other.completes()
    before = commit_bytes(Store(root))
    splits = published(Ledger(Store(root)))
    late.go_on()
    late.completes()
    assert_only_orphans_are_swept(root, before, late)
    lines = late.lines() + other.lines()
    assert verdict(root, truth, before, lines).clean
    assert published(Ledger(Store(root))) == splits
    assert len(snapshots(Ledger(Store(root)))) == 1


@pytest.mark.ray
def test_a_worker_of_ray_that_finishes_late_does_no_harm_either(scene_in: MakeScene) -> None:
    scene = scene_in("local")
    truth, _ = scene.unbroken()
    root = scene.fresh_root("late")
    strike = Strike("worker", "put_new", "commits/score/*", 1, "before", SIGSTOP)
    late = scene.driver(root, strike, runtime="ray")
    assert late.until(lambda: bool(late.diary.struck()), "the strike")
    worker = psutil.Process(late.lines("opened")[-1].pid)
    assert late.until(lambda: worker.status() == psutil.STATUS_STOPPED, "the worker's stop")
    other = scene.driver(root)
    other.completes()
    before = commit_bytes(Store(root))
    worker.resume()
    late.completes()
    assert_only_orphans_are_swept(root, before, late)
    assert verdict(root, truth, before, late.lines() + other.lines()).clean


def assert_only_orphans_are_swept(
    root: StoreSettings, commits: dict[str, bytes], late: Driver
) -> None:
    """See that what the late one put and nobody committed is what a sweep lists and takes."""
    ledger = Ledger(Store(root))
    assert commit_bytes(ledger.store) == commits, "the late one committed something"
    put = {line.key for line in late.lines("put_new") if line.key.startswith("parts/")}
    named = {commit.part for stage in STAGES for commit in ledger.commits(stage.name)}
    left = put - named
    orphans = ledger.orphans(-60.0, time.time())
    assert set(orphans) == left
    everything = {info.key for info in ledger.store.list()}
    ledger.sweep(orphans)
    assert {info.key for info in ledger.store.list()} == everything - left
    assert parts(root) == named


def test_a_driver_that_wakes_after_a_refresh_does_not_publish_the_old_corpus_over_it(
    scene_in: MakeScene,
) -> None:
    scene = scene_in("local", files=1)
    root = scene.fresh_root("refreshed")
    late = asleep(scene.driver(root, Strike("driver", "put", "splits/*", 1, "before", SIGSTOP)))
    scene.grow()
    scene.driver(root).completes()
    splits = published(Ledger(Store(root)))
    late.go_on()
    late.completes()
    assert published(Ledger(Store(root))) == splits
    scene.driver(calm := scene.fresh_root("calm")).completes()
    lines = [line for driver in scene.drivers[:2] for line in driver.lines()]
    assert verdict(root, Truth.of(calm), {}, lines).clean


def test_a_driver_that_saw_other_names_leaves_the_files_of_a_snapshot_as_they_are(
    scene_in: MakeScene,
) -> None:
    scene = scene_in("local")
    root = scene.fresh_root("renamed")
    late = asleep(scene.driver(root, Strike("driver", "put", "splits/*", 1, "before", SIGSTOP)))
    # The same content in another order: the same snapshot, and no cause for a second one.
    corpus = scene.folder / "corpus"
    (corpus / "part-0.jsonl.gz").rename(corpus / "part-9.jsonl.gz")
    scene.driver(root).completes()
    ledger = Ledger(Store(root))
    snapshot = latest(ledger)
    assert snapshot is not None
    keys = [snapshot.manifest, *(key for keys in snapshot.files.values() for key in keys)]
    files = {key: ledger.store.get(key) for key in keys}
    late.go_on()
    late.completes()
    assert latest(ledger) == snapshot
    assert {key: ledger.store.get(key) for key in keys} == files


@pytest.mark.parametrize("keys", ["splits/*", "snapshots/*"])
def test_a_document_taken_down_during_a_run_is_not_in_what_the_run_publishes(
    scene_in: MakeScene, keys: str
) -> None:
    scene = scene_in("local", files=1)
    root = scene.fresh_root("taken")
    late = asleep(scene.driver(root, Strike("driver", "put*", keys, 1, "before", SIGSTOP)))
    ledger = Ledger(Store(root))
    record(ledger, asked_for([("id", "doc-0"), ("id", "doc-1")]))
    late.go_on()
    late.completes()
    snapshot = latest(ledger)
    assert snapshot is not None
    assert snapshot.takedown == 1
    assert {"doc-0", "doc-1"}.isdisjoint(r["document_id"] for r in published(ledger)["A4"])
