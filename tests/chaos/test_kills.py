"""Killed anywhere, a job loses no row and doubles none, and a rerun does only what is missing."""

import itertools
from collections.abc import Callable, Iterator

import pytest

from backtrans.pipeline import WRITING
from tests.chaos import model
from tests.chaos.diary import Strike
from tests.chaos.storm import (
    LOCAL_MOMENTS,
    REMOTE_MOMENTS,
    Scene,
    blow_at_driver,
    blow_at_raylet,
    blows_at_workers,
    every_operation,
    strike_driver,
    write_steps,
)
from tests.chaos.tally import Tally
from tests.chaos.verdict import Truth

SEEDS = range(6)
MANY_SEEDS = range(6, 46)

AT_COMMITS = tuple(
    Strike("worker", "put_new", f"{what}/{stage}/*", 1, moment)
    for stage in ("backtranslate", "score")
    for what, moment in (("parts", "before"), ("parts", "after"), ("commits", "after"))
)
"""What a worker does that commits, on both sides; before the commit is after the part."""

MakeScene = Callable[..., Scene]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture
def clean(tally: Tally) -> Iterator[Tally]:
    """The tally, in which this test may enter nothing that is wrong."""
    known = tally.wrong()
    yield tally
    assert tally.wrong() == known


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """A cluster of this machine that drivers join and leave; its address."""
    import ray

    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        _node_ip_address="127.0.0.1",
        _system_config={"worker_niceness": 0},
    )
    yield ray.get_runtime_context().gcs_address
    ray.shutdown()


def strike_at_each_write(
    scene: Scene,
    clean: Tally,
    take: slice,
    of_kinds: int = 1,
    of_stages: tuple[str, ...] = ("",),
) -> None:
    """Kill a driver at every kind of write, or one of so many, at these of its moments in turn.

    Of writes of all stages, or of some.
    """
    truth, lines = scene.unbroken()
    lines = [line for line in lines if any(stage in line.key for stage in of_stages)]
    moments = LOCAL_MOMENTS if scene.store_name == "local" else REMOTE_MOMENTS
    number = itertools.count()
    kinds = list(write_steps(lines, moments))[of_kinds - 1 :: of_kinds]
    for turn, strikes in enumerate(kinds):
        # Where not all moments are taken, each kind begins at another.
        turned = strikes[turn % 2 :] + strikes[: turn % 2]
        for strike in turned[take]:
            found = strike_driver(scene, truth, strike, next(number))
            assert found is not None, f"the run ended before its kill {strike}"
            step = f"{strike.operation} {strike.keys}"
            clean.enter("driver", scene.store_name, step, found)


def test_a_driver_killed_at_each_step_of_its_commits_and_its_publishing(
    scene_in: MakeScene, clean: Tally
) -> None:
    strike_at_each_write(scene_in("local"), clean, slice(0, None, 2))


WRITING_TOO = {
    "recipe__models__rewrite": {"path": model.NAME, "engine": "scripted"},
    "recipe__rewrite": {"enabled": True, "rescore": True},
    "recipe__distill": {"enabled": True},
}


def test_a_driver_killed_at_each_step_of_what_rewriting_adds(
    scene_in: MakeScene, clean: Tally
) -> None:
    scene = scene_in("local", files=1, changes=WRITING_TOO)
    stages = tuple(f"/{stage.name}/" for stage in WRITING)
    strike_at_each_write(scene, clean, slice(0, 1), of_stages=stages)


def test_a_driver_over_s3_killed_at_some_of_these_steps(scene_in: MakeScene, clean: Tally) -> None:
    strike_at_each_write(scene_in("one_s3"), clean, slice(0, 1), of_kinds=5)


def random_blows(scene: Scene, clean: Tally, seeds: range) -> None:
    truth, _ = scene.unbroken()
    for seed in seeds:
        found = blow_at_driver(scene, truth, seed)
        step = f"at random, seeds {seeds.start} to {seeds.stop - 1}"
        clean.enter(f"driver {scene.runtime}".removesuffix(" local"), scene.store_name, step, found)


def test_a_driver_killed_at_random_moments(scene_in: MakeScene, clean: Tally) -> None:
    random_blows(scene_in("local"), clean, SEEDS)


def blow_at_workers(
    scene: Scene, clean: Tally, truth: Truth, seed: int, strikes: tuple[Strike, ...], blows: int
) -> None:
    """Kill workers of one run by their own strikes, and so many by blows from outside."""
    found, kills = blows_at_workers(scene, truth, seed, strikes, blows)
    step = f"steps of a commit; at random, seed {seed}"
    clean.enter("worker ray", scene.store_name, step, found, kills)


@pytest.mark.ray
def test_workers_of_ray_and_their_driver_killed(
    scene_in: MakeScene, clean: Tally, cluster: str
) -> None:
    scene = scene_in("local", ray_address=cluster)
    truth, _ = scene.unbroken()
    scene.runtime = "ray"
    blow_at_workers(scene, clean, truth, 0, AT_COMMITS[::2], blows=1)
    found_after = strike_driver(scene, truth, Strike("driver", "put_new", "snapshots/*"), 0)
    clean.enter("driver ray", scene.store_name, "put_new snapshots/*", found_after)


# ------------------------------------------------------------------ make chaos


@pytest.mark.chaos
def test_all_steps_at_all_moments(scene_in: MakeScene, clean: Tally) -> None:
    strike_at_each_write(scene_in("local"), clean, slice(None))


@pytest.mark.chaos
def test_all_steps_over_s3(scene_in: MakeScene, clean: Tally) -> None:
    strike_at_each_write(scene_in("one_s3"), clean, slice(0, 1))


@pytest.mark.chaos
def test_every_third_operation_on_the_store_whatever_it_is(
    scene_in: MakeScene, clean: Tally
) -> None:
    scene = scene_in("local")
    truth, lines = scene.unbroken()
    for strike in every_operation(lines, 3):
        found = strike_driver(scene, truth, strike, strike.nth)
        clean.enter("driver", scene.store_name, "every third operation, reads too", found)


@pytest.mark.chaos
@pytest.mark.parametrize("store", ["local", "one_s3"])
def test_random_moments_with_many_seeds(scene_in: MakeScene, clean: Tally, store: str) -> None:
    random_blows(scene_in(store), clean, MANY_SEEDS if store == "local" else SEEDS)


@pytest.mark.chaos
@pytest.mark.ray
def test_ray_with_everything_of_it_killed(scene_in: MakeScene, clean: Tally, cluster: str) -> None:
    scene = scene_in("local", ray_address=cluster)
    truth, _ = scene.unbroken()
    scene.runtime = "ray"
    for seed in (1, 2):
        blow_at_workers(scene, clean, truth, seed, AT_COMMITS, blows=3)
    random_blows(scene, clean, range(3))


@pytest.mark.chaos
@pytest.mark.ray
def test_workers_of_ray_killed_over_s3(scene_in: MakeScene, clean: Tally) -> None:
    # On a cluster of its own, since workers have the credentials of whoever started theirs.
    scene = scene_in("one_s3")
    truth, _ = scene.unbroken()
    scene.runtime = "ray"
    blow_at_workers(scene, clean, truth, 3, AT_COMMITS[::2], blows=1)


@pytest.mark.chaos
@pytest.mark.ray
def test_a_raylet_killed_under_its_driver(scene_in: MakeScene, clean: Tally) -> None:
    scene = scene_in("local", runtime="ray")
    scene.runtime = "local"
    truth, _ = scene.unbroken()
    for seed in range(2):
        found = blow_at_raylet(scene, truth, seed)
        clean.enter("raylet", scene.store_name, "at random, seeds 0 and 1", found)
