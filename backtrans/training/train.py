"""Train a model once: the same data, base and settings are one model, found again when it is there.

    data = gathered([*seed, *a5], replay)
    model = train("forward", data, settings, base, store, spread=Spread(workers=8, gpus_each=1))

Promises: idempotent by fingerprint, and safe to kill: what is registered is not trained again, and
what was begun goes on from its last checkpoint. What the model is trained on is rendered by the
prompter that its engine asks through, so that both see the same token ids.

Does not know: the configuration, rounds, what the model is used for.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from uuid import uuid4

from backtrans.engines.model_files import model_fingerprint
from backtrans.entries import fingerprint
from backtrans.errors import TrainingFailed
from backtrans.models import Metrics, Registered, Registry
from backtrans.store import Store, StoreSettings
from backtrans.training.examples import Rendering, packed, render
from backtrans.training.job import Job
from backtrans.training.launch import launch
from backtrans.training.pairs import RoleName, TrainingData
from backtrans.training.room import Room
from backtrans.training.settings import Spread, TrainingSettings

VERSION = "training/1"
"""Part of every fingerprint: a new one whenever rendering or the loop changes what is learnt."""


ONE_WORKER = Spread()


@dataclass(frozen=True, slots=True)
class Base:
    """The model that a training begins with; `chat_template` replaces its tokenizer's own."""

    path: str
    revision: str | None = None
    chat_template: str | None = None
    scripted: bool = False  # no model: one that answers by rule

    def identity(self) -> str:
        """Name it by content. Raises: ModelError."""
        if self.scripted:
            return self.path
        return model_fingerprint(self.path, self.revision)


def training_fingerprint(
    role: RoleName, data_digest: str, settings: TrainingSettings, base: Base
) -> str:
    """Name the model that a training makes, before it is made. Loads no torch."""
    settled = asdict(settings)
    return fingerprint(VERSION, role, data_digest, settled, base.identity(), base.chat_template)


def train(
    role: RoleName,
    data: TrainingData,
    settings: TrainingSettings,
    base: Base,
    store: StoreSettings,
    *,
    spread: Spread = ONE_WORKER,
    on_ray: bool = False,
    run: str = "",
    say: Callable[[str], None] = lambda line: None,
) -> Registered:
    """Return the model that this training makes, trained now unless it is registered.

    `on_ray`: by Ray Train, on the cluster that this process has joined; else by one process of its
    own. Raises: TrainingDiverged (its last good checkpoint stays), TrainingFailed, ModelError,
    ConfigError, InputError (no data), StoreError.
    """
    name = training_fingerprint(role, data.digest, settings, base)
    registry = Registry(Store(store))
    if (known := registry.of(name)) is not None:
        return known
    if base.scripted:
        return registry.register(_scripted(role, data, settings, base, name, run))
    rendering = Rendering(base.path, base.revision, base.chat_template, settings.max_tokens)
    examples, counts = render(role, data, settings, rendering)
    job = Job(
        fingerprint=name,
        role=role,
        settings=settings,
        spread=spread,
        base_path=base.path,
        base_revision=base.revision,
        base_identity=base.identity(),
        base_name=base.path.rstrip("/").rsplit("/", 1)[-1],
        store=store,
        counts=counts,
        data_digest=data.digest,
        examples=len(examples),
        launch=uuid4().hex,
        run=run,
    )
    room = Room(Store(store), name)
    room.put_examples(packed(examples))
    going_on = f", going on from step {step:,}" if (step := room.last_step()) else ""
    say(
        f"{role}: {len(examples):,} examples ({described(counts)}), {job.steps:,} steps of"
        f" {job.batch}{going_on}"
    )
    launch(job, on_ray=on_ray, say=say)
    if (made := registry.of(name)) is None:
        raise TrainingFailed(f"{role}: ended without an error and without a model")
    return made


def _scripted(
    role: RoleName,
    data: TrainingData,
    settings: TrainingSettings,
    base: Base,
    name: str,
    run: str,
) -> Registered:
    """Return the record of a training that trains nothing, for engines without a model."""
    return Registered(
        fingerprint=name,
        role=role,
        kind="scripted",
        settings=asdict(settings),
        base=base.identity(),
        base_name=base.path,
        data=data.counts,
        data_digest=data.digest,
        metrics=Metrics(0, len(data.pairs), 0, 0, 0.0, (0.0,)),
        attempt=uuid4().hex,
        files=(),
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        run=run,
    )


def described(counts: dict[str, int]) -> str:
    """Say counts by kind and reason in a line."""
    return ", ".join(f"{name} {count:,}" for name, count in counts.items() if count)
