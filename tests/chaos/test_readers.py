"""Readers look on while drivers race, are killed and started again, and the corpus grows."""

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backtrans.ledger import Ledger
from backtrans.snapshots import snapshots
from backtrans.store import Store, StoreSettings
from tests.chaos.diary import Strike
from tests.chaos.drivers import DEADLINE_SECONDS, FORKS, in_a_child
from tests.chaos.history import faults
from tests.chaos.readers import Watch, watch
from tests.chaos.storm import LONGEST_DELAY_SECONDS, Scene, environment
from tests.chaos.tally import Tally
from tests.chaos.verdict import Truth, commit_bytes, verdict

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PUBLISHING = ("splits/*/A5/*", "splits/*/A4/*", "splits/*/manifest.parquet", "snapshots/*")


class Readers:
    """Some readers of one root, each a child of the server."""

    def __init__(self, root: StoreSettings, folder: Path, count: int) -> None:
        self.watches = [Watch(root, f"reader-{n}", folder, environment()) for n in range(count)]
        self._children = [
            FORKS.Process(
                target=in_a_child, args=(watch, folder / f"{w.reader}.said", w), daemon=True
            )
            for w in self.watches
        ]
        for child in self._children:
            child.start()

    def until_all_have_seen(self, number: int) -> None:
        """Wait until every reader has read a snapshot or a later one."""
        end = time.monotonic() + DEADLINE_SECONDS
        for seen in self.watches:
            while not any(read.number >= number for read in seen.history()[-1:]):
                assert time.monotonic() < end, f"{seen.reader} has not come to {number}"
                time.sleep(0.01)

    def stop(self) -> None:
        """Let each look once more and end."""
        self.watches[0].over.touch()
        for child in self._children:
            child.join(DEADLINE_SECONDS)

    def close(self) -> None:
        """End those that are left."""
        for child in self._children:
            child.kill()
            child.join()


@pytest.fixture
def readers(tmp_path: Path) -> Iterator[Callable[..., Readers]]:
    """Start readers of a root."""
    started: list[Readers] = []

    def start(root: StoreSettings, count: int = 2) -> Readers:
        started.append(Readers(root, tmp_path, count))
        return started[-1]

    yield start
    for each in started:
        each.close()


def storm(scene: Scene, root: StoreSettings, readers: Readers, dice: random.Random) -> int:
    """Let two drivers race, kill one or both, and start them again; return the kills."""
    step = Strike("driver", "put*", dice.choice(PUBLISHING), 1, dice.choice(("before", "after")))
    struck, other = scene.driver(root, step), scene.driver(root)
    if dice.random() < 0.5:
        other.until(lambda: other.commits() > 0, "a commit")
        time.sleep(dice.uniform(0.0, LONGEST_DELAY_SECONDS))
        other.kill()
    kills = 0
    for driver in (struck, other):
        code = driver.end()
        assert code in (0, -9), driver.said()
        kills += code == -9
    # Whoever was killed is started again, and so is who was not: at once, on the same root.
    again = [scene.driver(root), scene.driver(root)]
    for driver in again:
        driver.completes()
    return kills


@pytest.mark.parametrize("kind", ["local", "one_s3"])
@pytest.mark.parametrize(("seed", "rounds"), [(0, 3), pytest.param(1, 6, marks=pytest.mark.chaos)])
def test_every_read_in_a_storm_of_refreshes_is_one_whole_snapshot(
    kind: str,
    seed: int,
    rounds: int,
    scene_in: Callable[..., Scene],
    readers: Callable[..., Readers],
    tally: Tally,
) -> None:
    scene = scene_in(kind, files=1)
    root = scene.fresh_root("storm")
    looking = readers(root)
    dice = random.Random(f"storm {seed}")
    kills = 0
    for number in range(1, rounds + 1):
        kills += storm(scene, root, looking, dice)
        looking.until_all_have_seen(number)
        before = commit_bytes(Store(root))
        scene.grow()
    scene.driver(root).completes()
    looking.stop()
    history = [read for each in looking.watches for read in each.history()]
    assert faults(history) == []
    assert {read.number for read in history} >= set(range(1, rounds + 1))
    scene.driver(calm := scene.fresh_root("calm")).completes()
    lines = [line for driver in scene.drivers[:-1] for line in driver.lines()]
    found = verdict(root, Truth.of(calm), before, lines)
    tally.enter("racing driver", scene.store_name, f"of refreshes, seed {seed}", found, kills)
    assert found.clean, found
    # The same corpus is never published twice, however many try.
    made = snapshots(Ledger(Store(root)))
    assert len({snapshot.digest for snapshot in made}) == len(made) == rounds + 1
