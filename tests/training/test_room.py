"""A training's room in the store: checkpoints are whole or not there, and only the last is kept."""

import os
from pathlib import Path

import pytest

from backtrans.errors import StoreError
from backtrans.store import Store, StoreSettings
from backtrans.training.room import FOLDER, Failure, Progress, Room, orphans


@pytest.fixture
def room(store: Store) -> Room:
    return Room(store, "f" * 24)


def checkpoint(room: Room, folder: Path, step: int, launch: str = "a") -> None:
    path = folder / "state"
    path.write_bytes(b"step %d" % step)
    room.complete(step, launch, [room.put_file(step, launch, path)])


def test_a_checkpoint_comes_back_as_it_was_put_and_older_ones_go(
    room: Room, store: Store, tmp_path: Path
) -> None:
    checkpoint(room, tmp_path, 5)
    checkpoint(room, tmp_path, 10)
    assert room.fetch(tmp_path / "back") == 10
    assert (tmp_path / "back/state").read_bytes() == b"step 10"
    assert not [info.key for info in store.list(FOLDER) if "00000005" in info.key]


def test_a_checkpoint_that_was_not_completed_is_none(room: Room, tmp_path: Path) -> None:
    assert room.fetch(tmp_path / "none") == 0
    checkpoint(room, tmp_path, 5)
    room.put_file(10, "a", tmp_path / "state")
    assert room.last_step() == 5


def test_a_checkpoint_that_is_damaged_is_an_error(room: Room, store: Store, tmp_path: Path) -> None:
    checkpoint(room, tmp_path, 5)
    (key,) = [info.key for info in store.list(FOLDER) if info.key.endswith("/state")]
    store.put(key, b"step 6")
    with pytest.raises(StoreError, match="another sha256"):
        room.fetch(tmp_path / "back")


def test_of_two_launches_at_one_step_the_first_one_counts(room: Room, tmp_path: Path) -> None:
    checkpoint(room, tmp_path, 5, "a")
    (tmp_path / "state").write_bytes(b"other")
    room.complete(5, "b", [room.put_file(5, "b", tmp_path / "state")])
    room.fetch(tmp_path / "back")
    assert (tmp_path / "back/state").read_bytes() == b"step 5"


def test_progress_and_failures_are_heard_until_all_is_cleared(
    room: Room, store: Store, tmp_path: Path
) -> None:
    assert room.progress() is None
    room.tell(Progress(3, 10, 1.5, 20.0))
    room.fail("a", Failure("TrainingDiverged", "loss is nan"))
    room.put_examples(b"rows")
    checkpoint(room, tmp_path, 5)
    assert room.progress() == Progress(3, 10, 1.5, 20.0)
    assert room.failure("a") == Failure("TrainingDiverged", "loss is nan")
    assert room.failure("b") is None
    room.clear()
    assert list(store.list(FOLDER)) == []


def test_a_training_under_way_is_no_leftover_however_old_its_examples_are(
    local_settings: StoreSettings, tmp_path: Path
) -> None:
    store = Store(local_settings)
    room = Room(store, "f" * 24)
    room.put_examples(b"rows")
    (examples,) = store.list(FOLDER)
    long_ago = examples.modified - 60
    os.utime(store.url(examples.key), (long_ago, long_ago))
    before = long_ago + 30
    checkpoint(room, tmp_path, 5)
    assert orphans(store, before) == []
    assert orphans(store, before + 3600) == sorted(info.key for info in store.list(FOLDER))
