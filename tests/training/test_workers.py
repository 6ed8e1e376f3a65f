"""Ray Train: two workers end where one does, and an error comes back as what it is."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from backtrans.errors import TrainingDiverged
from backtrans.models import Registered
from backtrans.runtime.ray_data import RayRuntime
from backtrans.store import StoreSettings
from backtrans.training.pairs import gathered
from backtrans.training.settings import LoraSettings, TrainingSettings
from backtrans.training.train import Base, train
from backtrans.work import RuntimeSettings
from tests.engines import tiny_model
from tests.training.teaching import PAIRS, SETTINGS, SPREAD, folder_of, train_here

pytestmark = [pytest.mark.slow, pytest.mark.ray]

# Dropout's masks differ between workers; without it the order of sums is all that does.
PLAIN = replace(SETTINGS, lora=LoraSettings(rank=4, alpha=8, dropout=0.0))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    tiny_model.save_model(folder)
    return folder


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayRuntime]:
    """A cluster of this machine, started as a run starts it."""
    store = StoreSettings(str(tmp_path_factory.mktemp("runs")))
    with RayRuntime() as runtime:
        runtime.ready(RuntimeSettings("r", store))
        yield runtime


def by_ray(base: Path, root: Path, settings: TrainingSettings) -> Registered:
    return train(
        "backward",
        gathered(PAIRS),
        settings,
        Base(str(base)),
        StoreSettings(str(root)),
        spread=replace(SPREAD, workers=2),
        on_ray=True,
    )


@pytest.mark.usefixtures("cluster")
def test_two_workers_end_where_one_does(base: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    one = train_here(base, tmp_path / "one", lora=PLAIN.lora)
    two = by_ray(base, tmp_path / "two", PLAIN)
    assert two.fingerprint == one.fingerprint, "how many they are decides nothing"
    assert two.metrics.loss == pytest.approx(one.metrics.loss, rel=1e-3)
    assert two.metrics.tokens == one.metrics.tokens
    assert two.metrics.target_tokens == one.metrics.target_tokens
    left, right = (
        load_file(folder_of(tmp_path / name, model) / "adapter_model.safetensors")
        for name, model in (("one", one), ("two", two))
    )
    assert left.keys() == right.keys()
    assert all(left[name].allclose(right[name], atol=2e-3) for name in left)


@pytest.mark.usefixtures("cluster")
def test_a_divergence_on_a_cluster_is_raised_as_one(base: Path, tmp_path: Path) -> None:
    wild = replace(PLAIN, learning_rate=1e30, max_grad_norm=1e30, method="full", warmup_share=0.0)
    with pytest.raises(TrainingDiverged, match="backward: "):
        by_ray(base, tmp_path, wild)
