"""Real trainings of tiny models: what is learnt, what a kill leaves, what stops them."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backtrans.engines.adapter_files import base_of
from backtrans.engines.model_files import check_base, check_model, model_fingerprint
from backtrans.errors import ModelError, StoreError, TrainingDiverged, TrainingFailed
from backtrans.models import Registered
from backtrans.store import Store, StoreSettings
from backtrans.training import train as training
from backtrans.training.job import Job
from backtrans.training.pairs import gathered
from backtrans.training.room import FOLDER, Failure, Room
from tests.engines import tiny_model
from tests.training.teaching import PAIRS, SETTINGS, SPREAD, folder_of, train_here

pytestmark = [pytest.mark.slow]

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    tiny_model.save_model(folder)
    return folder


@pytest.fixture(scope="module")
def whole(base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Registered]:
    """An adapter trained without interruption."""
    root = tmp_path_factory.mktemp("whole")
    return root, train_here(base, root)


def tensors(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return {k: t for path in folder.glob("*.safetensors") for k, t in load_file(path).items()}


def same(left: dict[str, Any], right: dict[str, Any]) -> bool:
    return left.keys() == right.keys() and all(left[k].equal(right[k]) for k in left)


def test_the_trainer_bears_loss_on_the_target_alone(base: Path) -> None:
    import torch

    from backtrans.training.examples import IGNORED, Rendering, exchange_of
    from backtrans.training.sft import dataset

    rendering = Rendering(str(base), None, None, 400)
    examples = [rendering.example(exchange_of("backward", pair)) for pair in PAIRS[:3]]
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    found = [example for example in examples if example is not None]
    batch = DataCollatorForLanguageModeling(pad_token_id=0)(list(dataset(found)))
    for row, example in enumerate(found):
        borne = batch["labels"][row] != IGNORED
        expected = torch.zeros_like(borne)
        expected[example.target_start : len(example.input_ids)] = True
        assert borne.equal(expected)
        assert batch["input_ids"][row][borne].tolist() == example.input_ids[example.target_start :]


def test_the_first_loss_is_the_bases_own_over_the_targets(
    base: Path, whole: tuple[Path, Registered]
) -> None:
    # With B = 0 an adapter changes nothing, so the first step's loss is the base's: by hand, over
    # any batch it lies within the spread of the pairs' own losses.
    import torch

    from backtrans.training.examples import Rendering, exchange_of

    llama = tiny_model.load_merged(base)
    rendering = Rendering(str(base), None, None, 400)
    losses = []
    for pair in PAIRS:
        example = rendering.example(exchange_of("backward", pair))
        assert example is not None
        with torch.no_grad():
            logits = llama(torch.tensor([example.input_ids])).logits[0, :-1]
        logprobs = torch.log_softmax(logits, -1)
        targets = torch.tensor(example.input_ids[1:])
        each = -logprobs[torch.arange(len(targets)), targets][example.target_start - 1 :]
        losses.append(each.mean().item())
    _, model = whole
    assert min(losses) - 1e-3 <= model.metrics.loss[0] <= max(losses) + 1e-3


def test_a_training_learns_and_says_what_it_was(base: Path, whole: tuple[Path, Registered]) -> None:
    root, model = whole
    assert model.metrics.loss[-1] < model.metrics.loss[0] / 2
    assert model.metrics.steps == len(model.metrics.loss) == SETTINGS.steps
    assert model.data == {"seed": len(PAIRS), "replay": 0}
    assert model.base == model_fingerprint(str(base))
    assert 0 < model.metrics.target_tokens < model.metrics.tokens
    assert list(Store(StoreSettings(str(root))).list(FOLDER)) == [], "its room is cleared"


def test_the_same_training_is_not_done_twice(base: Path, whole: tuple[Path, Registered]) -> None:
    root, model = whole
    assert train_here(base, root, pairs=PAIRS[::-1]) == model


def test_an_adapter_names_its_base_and_no_other_is_served(
    base: Path, whole: tuple[Path, Registered], tmp_path: Path
) -> None:
    root, model = whole
    adapter = folder_of(root, model)
    config = json.loads((adapter / "adapter_config.json").read_text())
    assert base_of(adapter) == model_fingerprint(str(base))
    assert config["base_model_name_or_path"] == base.name, "no path of this machine"
    assert {path.suffix for path in adapter.iterdir()} == {".json", ".safetensors"}
    check_base(adapter, str(base))
    tiny_model.save_model(tmp_path, positions=256)
    with pytest.raises(ModelError, match=f"{adapter} was trained on another base"):
        check_base(adapter, str(tmp_path))


def test_a_full_fine_tuning_is_a_model_folder_of_its_own(base: Path, tmp_path: Path) -> None:
    model = train_here(base, tmp_path, method="full", learning_rate=3e-3, dropout=0.1)
    folder = folder_of(tmp_path, model)
    before, after = check_model(base), check_model(folder, 512)
    assert {k: v for k, v in after.items() if k != "dtype"} == {
        k: v for k, v in before.items() if k != "dtype"
    }, "the training's dropout and padding stay out of the configuration"
    assert tensors(folder).keys() == tensors(base).keys()
    assert not same(tensors(folder), tensors(base))
    assert (folder / "tokenizer.json").read_bytes() == (base / "tokenizer.json").read_bytes()
    assert model.metrics.loss[-1] < model.metrics.loss[0] / 2


@pytest.mark.parametrize("changes", [{}, {"method": "full", "dropout": 0.1}])
def test_a_training_that_goes_on_ends_as_one_that_was_not_stopped(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    from backtrans.training import sft

    put = Room.complete

    def dies(room: Room, step: int, *rest: Any) -> None:
        put(room, step, *rest)
        if step == 4:
            raise RuntimeError("the machine is gone")

    monkeypatch.setattr(sft.Room, "complete", dies)
    with pytest.raises(RuntimeError, match="is gone"):
        train_here(base, tmp_path / "stopped", **changes)
    monkeypatch.setattr(sft.Room, "complete", put)
    found = train_here(base, tmp_path / "stopped", **changes)
    expected = train_here(base, tmp_path / "whole", **changes)
    assert found.metrics.loss == expected.metrics.loss
    assert found.metrics.tokens == expected.metrics.tokens
    assert found.metrics.target_tokens == expected.metrics.target_tokens
    stopped, whole = folder_of(tmp_path / "stopped", found), folder_of(tmp_path / "whole", expected)
    assert same(tensors(stopped), tensors(whole))


@pytest.fixture
def driver(base: Path, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A driver with its worker, in processes of their own."""
    started = subprocess.Popen(
        [sys.executable, "-m", "tests.training.killed", str(base), str(tmp_path)], cwd=ROOT
    )
    yield started
    started.kill()
    started.wait()


def test_a_driver_killed_in_mid_training_takes_its_worker_along_and_the_next_goes_on(
    base: Path, tmp_path: Path, driver: subprocess.Popen[bytes], whole: tuple[Path, Registered]
) -> None:
    checkpoints = tmp_path / FOLDER
    while not list(checkpoints.glob("*/checkpoints/*.json")):
        assert driver.poll() is None, "it ended before it was killed"
        time.sleep(0.02)
    children = Path(f"/proc/{driver.pid}/task/{driver.pid}/children").read_text().split()
    workers = [int(pid) for pid in children if _is_worker(int(pid))]
    assert len(workers) == 1
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    while any(map(_is_worker, workers)):
        time.sleep(0.02)
    (name,) = (path.name for path in checkpoints.iterdir())
    assert Room(Store(StoreSettings(str(tmp_path))), name).last_step() > 0, "it has what to go on"
    found = train_here(base, tmp_path)
    _, expected = whole
    assert found.fingerprint == expected.fingerprint
    assert found.metrics.loss == expected.metrics.loss
    assert same(tensors(folder_of(tmp_path, found)), tensors(folder_of(*whole)))


def _is_worker(pid: int) -> bool:
    try:
        return b"tests.training.halting" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def test_a_loss_that_is_no_number_stops_and_the_last_good_checkpoint_stays(
    base: Path, tmp_path: Path
) -> None:
    changes = {"learning_rate": 1e30, "max_grad_norm": 1e30, "method": "full", "warmup_share": 0.0}
    with pytest.raises(TrainingDiverged, match=r"backward: \w+ is (nan|inf) at step \d of 6"):
        train_here(base, tmp_path, spread=replace(SPREAD, checkpoint_steps=1), **changes)
    store = Store(StoreSettings(str(tmp_path)))
    (name,) = {info.key.split("/")[1] for info in store.list(FOLDER)}
    room = Room(store, name)
    assert room.fetch(tmp_path / "last") == room.last_step() == 1
    logged = json.loads((tmp_path / "last/trainer_state.json").read_text())["log_history"]
    assert all(math.isfinite(entry["loss"]) for entry in logged)
    assert not (tmp_path / "models").exists()


@pytest.fixture
def job(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    """What the workers of a training are told, of which none is started."""
    told: list[Job] = []
    monkeypatch.setattr(training, "launch", lambda job, **_: told.append(job))
    settings = StoreSettings(str(tmp_path / "root"))
    with pytest.raises(TrainingFailed, match="without an error and without a model"):
        training.train("backward", gathered(PAIRS), SETTINGS, training.Base(str(base)), settings)
    return told[0]


@pytest.mark.parametrize(
    ("error", "raised", "recorded"),
    [
        (ModelError("it is not here"), True, True),
        (StoreError("it is away"), True, False),  # another attempt may find it there
        (TrainingDiverged("loss is nan"), False, False),  # by the first worker
    ],
)
def test_a_worker_of_several_does_not_end_in_silence_where_the_others_would_wait_for_it(
    job: Job, monkeypatch: pytest.MonkeyPatch, error: Exception, raised: bool, recorded: bool
) -> None:
    from backtrans.training import sft

    trained: list[sft.Place] = []

    def fails(job: Job, place: sft.Place, *rest: Any) -> None:
        trained.append(place)
        raise error

    monkeypatch.setattr(sft, "_train", fails)
    second = sft.Place(1, 2)
    with pytest.raises(type(error)) if raised else nullcontext():
        sft.work(job, second)
    found = Room(Store(job.store), job.fingerprint).failure(job.launch)
    assert found == (Failure(type(error).__name__, str(error)) if recorded else None)
    if recorded:  # who is started anew does not try again
        sft.work(job, sft.Place(0, 2))
        assert trained == [second]


def test_a_base_that_does_not_load_is_an_error_that_names_it(base: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    tiny_model.save_model(broken)
    config = json.loads((broken / "config.json").read_text())
    (broken / "config.json").write_text(json.dumps(config | {"model_type": "nonsense"}))
    with pytest.raises(ModelError, match=f"{broken}: the model does not load"):
        train_here(broken, tmp_path / "root")


def test_a_checkpoint_holds_no_pickle_and_nothing_of_the_trainers_own(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What torch wrote is read with weights_only=True, here as in the trainer, which lets numpy's
    # own state of its generator through.
    import torch
    from transformers.trainer import safe_globals

    monkeypatch.setattr(Room, "clear", lambda room: None)
    train_here(base, tmp_path)
    paths = list((tmp_path / FOLDER).glob("*/checkpoints/*-*/*"))
    names = {path.name for path in paths}
    assert "adapter_model.safetensors" in names
    assert names.isdisjoint({"training_args.bin", "README.md"})
    states = [path for path in paths if path.suffix in (".pt", ".pth", ".bin")]
    assert {path.name for path in states} == {"optimizer.pt", "scheduler.pt", "rng_state.pth"}
    with safe_globals():
        for path in states:
            torch.load(path, weights_only=True)
