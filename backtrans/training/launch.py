"""Start a training's workers, and wait for what comes of them: Ray Train, or one process.

Promises: lost workers are started again and go on from the last checkpoint; a worker's own error
(a loss that diverges, a model that does not load) is raised here as what it is, and is not tried
again; with this process its worker ends, however this process ends.

Does not know: what a training does.
"""

import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import TypeAdapter

from backtrans import errors
from backtrans.engines.lifeline import Lifeline
from backtrans.errors import BacktransError, StoreError, TrainingFailed
from backtrans.store import Store
from backtrans.training.job import Job
from backtrans.training.room import Room

LISTEN_SECONDS = 5.0
"""How often the driver looks how far the training is."""

WORKER = "backtrans.training.sft"
"""What a process of its own runs."""

_TAIL_CHARS = 2000

JOB = TypeAdapter(Job)


def launch(job: Job, *, on_ray: bool, say: Callable[[str], None]) -> None:
    """Carry a training through. Raises: TrainingFailed, or what its worker raised."""
    room = Room(Store(job.store), job.fingerprint)
    with _listening(job, room, say):
        said = _on_ray(job) if on_ray else _in_a_process(job)
    if (failure := room.failure(job.launch)) is not None:
        kind = getattr(errors, failure.kind, BacktransError)
        raise kind(failure.message)
    if said:
        raise TrainingFailed(f"{job.role}: {said}")


def _in_a_process(job: Job) -> str:
    """Train in a process of its own; return what it said where it failed.

    Not in this one: torch and TRL take gigabytes and seconds, and a device that they hold is not
    given back.
    """
    with tempfile.TemporaryFile() as log:
        lifeline = Lifeline()
        try:
            with lifeline.tying():
                process = subprocess.Popen(
                    [sys.executable, "-m", WORKER],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            try:
                process.communicate(JOB.dump_json(job))
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
        finally:
            lifeline.end()
        if process.returncode == 0:
            return ""
        log.seek(0)
        tail = log.read().decode(errors="replace")[-_TAIL_CHARS:]
        return f"its process ended with exit code {process.returncode}:\n{tail}"


def _on_ray(job: Job) -> str:
    """Train on the cluster that this process has joined; return Ray's words where it failed."""
    from ray.train import FailureConfig, RunConfig, ScalingConfig, TrainingFailedError
    from ray.train.torch import TorchConfig, TorchTrainer

    spread = job.spread
    on_gpus = spread.gpus_each > 0
    resources = {"CPU": 1.0} | ({"GPU": spread.gpus_each} if on_gpus else {})
    with tempfile.TemporaryDirectory(prefix="backtrans-ray-train-") as scratch:
        trainer = TorchTrainer(
            _loop,
            train_loop_config={"job": JOB.dump_json(job).decode()},
            torch_config=TorchConfig(backend="nccl" if on_gpus else "gloo"),
            scaling_config=ScalingConfig(
                num_workers=spread.workers, use_gpu=on_gpus, resources_per_worker=resources
            ),
            run_config=RunConfig(
                name=job.launch,
                storage_path=scratch,  # Ray's own notes; what matters lies in the store
                failure_config=FailureConfig(max_failures=spread.max_failures),
            ),
        )
        try:
            trainer.fit()
        except TrainingFailedError as error:
            return str(error)[-_TAIL_CHARS:]
    return ""


def _loop(config: dict[str, Any]) -> None:
    """Train in one of Ray Train's workers."""
    from ray.train import get_context

    from backtrans.training.sft import Place, work

    context = get_context()
    place = Place(context.get_world_rank(), context.get_world_size())
    work(JOB.validate_json(config["job"]), place)


@contextmanager
def _listening(job: Job, room: Room, say: Callable[[str], None]) -> Iterator[None]:
    """Say how far the training is, while this block lasts."""
    over = threading.Event()

    def listen() -> None:
        told = -1
        while not over.wait(LISTEN_SECONDS):
            try:
                progress = room.progress()
            except StoreError:  # what fails for the training too is said there
                continue
            if progress is not None and progress.step != told:
                told = progress.step
                say(
                    f"{job.role}: step {progress.step:,} of {progress.steps:,},"
                    f" loss {progress.loss:.3f}, {progress.seconds:,.0f} s"
                )

    listener = threading.Thread(target=listen, daemon=True, name="training")
    listener.start()
    try:
        yield
    finally:
        over.set()
        listener.join()
