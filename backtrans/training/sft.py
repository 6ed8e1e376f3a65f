"""The training itself, in each of its workers: TRL's SFTTrainer, with PEFT for adapters.

Promises: the loss is on the target's tokens alone, a mean over those of the whole batch, over all
workers; checkpoints lie in the store, and a training that goes on from one ends as one that was
never stopped (on a CPU: with the same weights); a loss or a gradient that is no finite number stops
it before anything is kept of that step.

Weights and adapters are safetensors. The optimizer's, the schedule's and the generators' states,
and a sharded model's weights in a checkpoint, are torch files, and are read with
`weights_only=True`, so that they can run no code.

Does not know: where it runs, the configuration. Imports torch, TRL and PEFT (some ten seconds), so
nothing imports this but what starts a worker.
"""

import math
import os
import shutil
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from pydantic import TypeAdapter
from torch.optim.lr_scheduler import LambdaLR
from transformers import AutoConfig, AutoModelForCausalLM, PrinterCallback, TrainerCallback
from transformers.utils.logging import disable_progress_bar
from trl import SFTTrainer

from backtrans.errors import BacktransError, ModelError, StoreError, TrainingDiverged
from backtrans.models import Metrics, ModelFile, Registered, Registry
from backtrans.store import Store
from backtrans.training.arguments import adapter_of, arguments, rate_share
from backtrans.training.examples import Example, tokenizer_of, unpacked
from backtrans.training.job import Job
from backtrans.training.room import Failure, Progress, Room
from backtrans.training.saving import save

TELL_SECONDS = 3.0
"""How often a worker says how far it is. Source: this project's choice."""

_UNSAVED = {"training_args.bin", "README.md"}
"""What a checkpoint of transformers holds that nothing reads: the first is a pickle."""


@dataclass(frozen=True, slots=True)
class Place:
    """Which worker this is, of how many."""

    rank: int = 0
    workers: int = 1


def work(job: Job, place: Place = Place()) -> None:
    """Train what a job says, and register it; an error of this package's is left in its room.

    Of several workers one may meet an error alone, and the others would wait for it for half an
    hour: so it is raised, too, and those who are started anew find in the room why there is nothing
    to try again. A loss that diverges is every worker's at once.
    Raises: what another attempt may mend (lost workers, memory; of several, a store that failed).
    """
    room = Room(Store(job.store), job.fingerprint)
    if room.failure(job.launch) is not None:
        return
    try:
        with tempfile.TemporaryDirectory(prefix="backtrans-training-") as scratch:
            _train(job, place, room, Path(scratch))
    except BacktransError as error:
        together = place.workers == 1 or isinstance(error, TrainingDiverged)
        if not together and isinstance(error, StoreError):
            raise
        if place.rank == 0 or not together:
            room.fail(job.launch, Failure(type(error).__name__, str(error)))
        if not together:
            raise


def _train(job: Job, place: Place, room: Room, scratch: Path) -> None:
    registry = Registry(Store(job.store))
    if registry.of(job.fingerprint) is not None:
        return
    examples = list(unpacked(room.examples()))
    model = load(job)
    trainer = _Trainer(job, place, room, model, dataset(examples), scratch)
    checkpoint = scratch / "resumed"
    began = room.fetch(checkpoint)
    trainer.train(resume_from_checkpoint=str(checkpoint) if began else None)
    folder = scratch / "model"
    folder.mkdir()
    save(job, trainer, folder)
    if place.rank == 0:
        files = [
            registry.put_file(job.fingerprint, job.launch, path)
            for path in sorted(folder.iterdir())
        ]
        registry.register(_record(job, trainer.state.log_history, tuple(files)))
        room.clear()
    trainer.accelerator.wait_for_everyone()


# ---------------------------------------------------------------------- what is trained


def load(job: Job) -> Any:
    """Load the base, ready to be trained. Raises: ModelError."""
    settings = job.settings
    disable_progress_bar()
    # A full fine-tuning learns in float32 whatever the arithmetic is; a frozen base need not.
    frozen = settings.method == "lora"
    dtype = getattr(torch, settings.dtype) if frozen else torch.float32
    try:
        config = AutoConfig.from_pretrained(
            job.base_path, revision=job.base_revision, trust_remote_code=False
        )
        if settings.dropout:
            if not hasattr(config, "attention_dropout"):
                raise ModelError(f"{job.base_path}: its architecture has no attention_dropout")
            config.attention_dropout = settings.dropout
        model = AutoModelForCausalLM.from_pretrained(
            job.base_path,
            revision=job.base_revision,
            config=config,
            dtype=dtype,
            use_safetensors=True,
            trust_remote_code=False,
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(f"{job.base_path}: the model does not load: {error}") from error
    return model


def dataset(examples: list[Example]) -> Dataset:
    """Return examples as the trainer takes them: token ids, and labels for the target alone."""
    return Dataset.from_dict(
        {"input_ids": [e.input_ids for e in examples], "labels": [e.labels for e in examples]}
    )


class _Trainer(SFTTrainer):
    """TRL's trainer, with this project's schedule, accounts and checkpoints."""

    def __init__(
        self, job: Job, place: Place, room: Room, model: Any, rows: Dataset, scratch: Path
    ) -> None:
        self._job = job
        self._targets = 0
        self._counted = 0
        self._last_log = time.monotonic()
        layers = sorted(model._no_split_modules or [])
        super().__init__(
            model=model,
            args=arguments(job, place.workers, scratch, layers),
            train_dataset=rows,
            processing_class=tokenizer_of(job.base_path, job.base_revision),
            peft_config=adapter_of(job.settings),
            callbacks=[_Watch(job, place, room)],
        )
        self.remove_callback(PrinterCallback)

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        if self.lr_scheduler is None:  # type: ignore[has-type]
            settings = self._job.settings
            self.lr_scheduler = LambdaLR(
                optimizer if optimizer is not None else self.optimizer,
                lambda step: rate_share(step, num_training_steps, settings),
            )
        return self.lr_scheduler

    def compute_loss(
        self,
        model: Any,
        inputs: Any,
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        if num_items_in_batch is not None:  # of the whole batch: the same in each part of it
            self._targets = int(num_items_in_batch)
        return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if "loss" in logs:
            # In the log, which checkpoints keep: so sums outlive a process.
            now = time.monotonic()
            logs["tokens"] = self._total_train_tokens - self._counted
            logs["target_tokens"] = self._targets
            logs["seconds"] = now - self._last_log
            self._counted, self._last_log = self._total_train_tokens, now
        super().log(logs, start_time)

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """Write none: the registry's record says what a model is."""


class _Watch(TrainerCallback):
    """Stops what diverges, says how far it is, and puts checkpoints into the store."""

    def __init__(self, job: Job, place: Place, room: Room) -> None:
        self._job = job
        self._place = place
        self._room = room
        self._told = 0.0

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if not logs or "loss" not in logs:
            return
        for name in ("loss", "grad_norm"):
            if not math.isfinite(value := float(logs.get(name, 0.0))):
                last = self._room.last_step()
                raise TrainingDiverged(
                    f"{self._job.role}: {name} is {value} at step {state.global_step} of"
                    f" {state.max_steps}; lower learning_rate, now {args.learning_rate:g}, or look"
                    f" for broken examples. The last good checkpoint is step {last}"
                )
        now = time.monotonic()
        if self._place.rank == 0 and now - self._told >= TELL_SECONDS:
            self._told = now
            seconds = sum(entry.get("seconds", 0.0) for entry in state.log_history)
            self._room.tell(Progress(state.global_step, state.max_steps, logs["loss"], seconds))

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        step, launch = state.global_step, self._job.launch
        # Each worker has a folder of its own, since it may have a machine of its own.
        folder = Path(args.output_dir) / f"checkpoint-{step}"
        paths = [path for path in folder.rglob("*") if path.is_file()]
        files = [
            self._room.put_file(step, launch, path) for path in paths if path.name not in _UNSAVED
        ]
        if self._place.workers > 1:
            gathered: list[list[ModelFile]] = [[] for _ in range(self._place.workers)]
            torch.distributed.all_gather_object(gathered, files)
            files = list({file.name: file for each in gathered for file in each}.values())
        if self._place.rank == 0:
            self._room.complete(step, launch, files)
        shutil.rmtree(folder, ignore_errors=True)


# ---------------------------------------------------------------------- what comes of it


def _record(job: Job, history: list[dict[str, Any]], files: tuple[ModelFile, ...]) -> Registered:
    steps = [entry for entry in history if "loss" in entry]
    metrics = Metrics(
        steps=job.steps,
        examples=job.examples,
        tokens=int(sum(entry["tokens"] for entry in steps)),
        target_tokens=int(sum(entry["target_tokens"] for entry in steps)),
        seconds=sum(entry["seconds"] for entry in steps),
        loss=tuple(float(entry["loss"]) for entry in steps),
    )
    return Registered(
        fingerprint=job.fingerprint,
        role=job.role,
        kind=job.settings.method,
        settings=asdict(job.settings),
        base=job.base_identity,
        base_name=job.base_name,
        data=job.counts,
        data_digest=job.data_digest,
        metrics=metrics,
        attempt=job.launch,
        files=files,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        run=job.run,
    )


def main() -> None:
    """Train the job on standard input: what a process of its own runs."""
    # One worker, one GPU: the trainer would take all that it sees.
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0")
    os.environ["CUDA_VISIBLE_DEVICES"] = visible.split(",")[0]
    work(TypeAdapter(Job).validate_json(sys.stdin.buffer.read()))


if __name__ == "__main__":
    main()
