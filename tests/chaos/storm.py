"""A storm: one job killed again and again, each time from the beginning, and rerun to its end.

The strikes of a storm come from the diary of an unbroken run, so that a step which a run gains is
struck without a change here.
"""

import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil

from backtrans.store import Store, StoreSettings
from tests.chaos import model
from tests.chaos.diary import OPERATIONS, WRITES, Diary, Line, Moment, Strike, place
from tests.chaos.drivers import Driver, Orders
from tests.chaos.tally import Tally
from tests.chaos.verdict import Truth, Verdict, asked, commit_bytes, verdict
from tests.jobs import configuration, write_corpus

LOCAL_MOMENTS: tuple[Moment, ...] = ("before", "unnamed", "named", "after")
REMOTE_MOMENTS: tuple[Moment, ...] = ("before", "after")
ENVIRONMENT = ("AWS_", "NO_PROXY", "RAY_")
"""What a test sets after the server that forks drivers was started: how variables begin."""

LONGEST_DELAY_SECONDS = 0.01
"""A shard's way through a stage takes about so long: a blow falls anywhere between two commits."""


@dataclass
class Scene:
    """One corpus and one job, over roots of which each storm takes as many as it needs."""

    folder: Path
    root: StoreSettings  # roots are made below it
    store_name: str  # what the table calls the store
    tally: Tally
    runtime: str = "local"
    ray_address: str | None = None
    files: int = 3
    rows_each: int = 12
    changes: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        write_corpus(self.folder, self.files, self.rows_each)
        self.drivers: list[Driver] = []
        self._numbers = iter(range(1_000_000))

    def fresh_root(self, name: str) -> StoreSettings:
        """Return a root that nothing lies under yet."""
        return replace(self.root, root=f"{self.root.root}/{name}")

    def driver(
        self, root: StoreSettings, *strikes: Strike, runtime: str | None = None, **changes: Any
    ) -> Driver:
        """Start a driver over a root."""
        number = next(self._numbers)
        folder = self.folder / "drivers" / str(number)
        folder.mkdir(parents=True)
        runtime = runtime or self.runtime
        scripted = {"path": model.NAME, "engine": "scripted"}
        values: dict[str, Any] = {
            "recipe__models": {"backward": scripted, "forward": scripted},
            "placement__root": root.root,
            "placement__store": {
                "endpoint_url": root.endpoint_url,
                "region": root.region,
                "addressing": root.addressing,
            },
            "placement__runtime": runtime,
            "placement__ray_address": self.ray_address if runtime == "ray" else None,
            "placement__engine": {"device": "cpu"},  # else a cluster is asked for its GPUs
            # A kill is nobody's fault here: no shard is to be given up for it.
            "placement__max_attempts": 20,
        }
        values |= {**self.changes, **changes}
        config = configuration(self.folder, f"driver-{number}.yaml", **values)
        orders = Orders(config, Diary(folder, strikes), environment())
        self.drivers.append(Driver(orders))
        return self.drivers[-1]

    def grow(self) -> None:
        """Add a file to the corpus, whole at once."""
        self.files += 1
        write_corpus(self.folder / "grown", self.files, self.rows_each)
        name = f"corpus/part-{self.files - 1}.jsonl.gz"
        (self.folder / "grown" / name).replace(self.folder / name)

    def unbroken(self) -> tuple[Truth, list[Line]]:
        """Run the job undisturbed; return what it gave, and its diary."""
        root = self.fresh_root("unbroken")
        driver = self.driver(root)
        driver.completes()
        return Truth.of(root), driver.lines()

    def close(self) -> None:
        """End what a failed test left running."""
        for driver in self.drivers:
            driver.close()


def environment() -> tuple[tuple[str, str], ...]:
    """Return what children need of this test's environment."""
    return tuple((k, v) for k, v in os.environ.items() if k.startswith(ENVIRONMENT))


def write_steps(lines: list[Line], moments: tuple[Moment, ...]) -> Iterator[list[Strike]]:
    """Yield, for each kind of write that a run makes, strikes at all its moments.

    At a seeded one of its occurrences each: kinds are what differs, occurrences are alike.
    """
    kinds: dict[tuple[str, str], int] = {}
    for line in lines:
        if line.did in WRITES:
            step = (line.did, place(line.key))
            kinds[step] = kinds.get(step, 0) + 1
    dice = random.Random(len(kinds))
    for (operation, keys), times in kinds.items():
        yield [
            Strike("driver", operation, keys, dice.randint(1, times), moment) for moment in moments
        ]


def every_operation(lines: list[Line], step: int) -> Iterator[Strike]:
    """Yield strikes at every so-many-th operation of a run, whatever it is, on either side."""
    operations = sum(line.did in OPERATIONS for line in lines)
    for number in range(1, operations + 1, step):
        yield Strike(nth=number, moment=REMOTE_MOMENTS[number % 2])


def strike_driver(scene: Scene, truth: Truth, strike: Strike, number: int) -> Verdict | None:
    """Run a driver to a strike and rerun it; None where the run ended before the strike."""
    root = scene.fresh_root(f"struck-{strike.target}-{number}")
    return _after_a_kill(scene, truth, root, scene.driver(root, strike))


def blow_at_driver(scene: Scene, truth: Truth, seed: int) -> Verdict | None:
    """Kill a driver a moment after its n-th commit, both drawn from the seed, and rerun it."""
    dice = random.Random(f"driver {seed}")
    root = scene.fresh_root(f"blow-{seed}")
    driver = scene.driver(root)
    wait_for_commits(driver, dice.randrange(len(truth.requests)))
    time.sleep(dice.uniform(0.0, LONGEST_DELAY_SECONDS))
    driver.kill()
    return _after_a_kill(scene, truth, root, driver)


def wait_for_commits(driver: Driver, commits: int) -> bool:
    """Wait until a driver and its workers have made so many; with none, until it has begun."""
    return driver.until(
        lambda: bool(driver.lines()) and driver.commits() >= commits, f"{commits} commits"
    )


def _after_a_kill(
    scene: Scene, truth: Truth, root: StoreSettings, driver: Driver
) -> Verdict | None:
    code = driver.end()
    assert code in (0, -9), f"the driver ended with {code}\n{driver.said()}"
    return None if code == 0 else _rerun(scene, truth, root, driver)


def _rerun(scene: Scene, truth: Truth, root: StoreSettings, driver: Driver) -> Verdict:
    before = commit_bytes(Store(root))
    again = scene.driver(root)
    again.completes()
    found = verdict(root, truth, before, driver.lines() + again.lines())
    return with_requests(found, asked(again.lines()), truth.requests_but_for(before))


def with_requests(found: Verdict, requests: int, at_most: int) -> Verdict:
    """Add to a verdict what is wrong with how often the model was asked."""
    if requests <= at_most:
        return found
    fault = f"{requests} requests, where {at_most} were not done yet"
    return replace(found, faults=(*found.faults, fault))


def blows_at_workers(
    scene: Scene, truth: Truth, seed: int, strikes: tuple[Strike, ...] = (), blows: int = 0
) -> tuple[Verdict, int]:
    """Kill workers of one run, by their own strikes and by blows; return how many were killed.

    The run goes on by itself each time; nothing is rerun.
    """
    dice = random.Random(f"worker {seed}")
    root = scene.fresh_root(f"workers-{seed}")
    driver = scene.driver(root, *strikes)
    killed = 0
    # The last commits may be curate's, after which there may be no worker any more.
    for commits in sorted(dice.sample(range(len(truth.requests) - 2), blows)):
        if not wait_for_commits(driver, commits):
            break
        time.sleep(dice.uniform(0.0, LONGEST_DELAY_SECONDS))
        killed += kill_worker(driver)
    driver.completes()
    killed += len(driver.diary.struck())
    found = verdict(root, truth, {}, driver.lines())
    # What was in flight on a killed worker is asked again, whole: in the worst case all of it.
    return found, killed


def blow_at_raylet(scene: Scene, truth: Truth, seed: int) -> Verdict | None:
    """Kill the raylet of a driver with a cluster of its own, which cannot go on, and rerun it."""
    dice = random.Random(f"raylet {seed}")
    root = scene.fresh_root(f"raylet-{seed}")
    driver = scene.driver(root, runtime="ray")
    if not wait_for_commits(driver, dice.randrange(1, len(truth.requests) // 2)):
        return None
    time.sleep(dice.uniform(0.0, LONGEST_DELAY_SECONDS))
    raylets = [
        child
        for child in psutil.Process(driver.pid).children(recursive=True)
        if child.name() == "raylet"
    ]
    for raylet in raylets:
        raylet.kill()
    assert raylets, "no raylet was found to kill"
    code = driver.end()
    assert code != 0, "the run went on without its raylet"
    return _rerun(scene, truth, root, driver)


def kill_worker(driver: Driver) -> bool:
    """Kill the worker that was opened last; say whether it was there."""
    opened = driver.lines("opened")
    if not opened:
        return False
    try:
        worker = psutil.Process(opened[-1].pid)
        if worker.status() == psutil.STATUS_ZOMBIE:
            return False
        worker.kill()
    except psutil.NoSuchProcess:
        return False
    return True
