"""The models that a recipe trains: on which data, under which name, and made when they are missing.

Promises: what a model is called follows from data, base and settings, so it is known before it is
trained, and without torch.

Does not know: when they are needed, who watches.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import BinaryIO, TypeVar

from backtrans.engines.model_files import model_fingerprint
from backtrans.errors import ConfigError, ModelError
from backtrans.finetuning import Finetune, Training
from backtrans.models import REGISTERED, Registered, Registry
from backtrans.placement import Placement, on_gpus
from backtrans.recipe import Model, Recipe
from backtrans.store import Store, StoreSettings, list_inputs, open_input
from backtrans.training.pairs import (
    Exchange,
    Refused,
    RoleName,
    TrainingData,
    TrainingPair,
    gathered,
)
from backtrans.training.seed import SeedSettings, read_exchanges, read_pairs
from backtrans.training.settings import PRESETS, Spread, TrainingSettings
from backtrans.training.train import Base, train, training_fingerprint

ROLES: tuple[RoleName, ...] = ("backward", "forward")

Row = TypeVar("Row")


class Trained:
    """What a configuration trains. Reading `data` reads the seed's files, once."""

    def __init__(self, recipe: Recipe, placement: Placement, store: StoreSettings) -> None:
        self._recipe = recipe
        self._placement = placement
        self._store = store
        self._registry = Registry(Store(store))
        self._first: dict[RoleName, TrainingData] = {}
        self._named: dict[RoleName, str] = {}

    @property
    def roles(self) -> tuple[RoleName, ...]:
        """The roles whose models the recipe trains."""
        return tuple(role for role in ROLES if self._model(role).trained)

    @cached_property
    def seed(self) -> tuple[TrainingPair | Refused, ...]:
        """The rows of the seed's files. Raises: InputError naming file and row."""
        said = self._training.seed
        columns = {str(ours): theirs for ours, theirs in said.columns.items()}
        settings = SeedSettings(said.format, columns, said.language, said.max_chars)
        return tuple(self._rows(said.paths, lambda file, name: read_pairs(file, name, settings)))

    @cached_property
    def replay(self) -> tuple[Exchange | Refused, ...]:
        """The exchanges that the forward model replays. Raises: InputError naming file and row."""
        said = self._training.replay
        return tuple(self._rows(said.paths, read_exchanges)) if said else ()

    def data(self, role: RoleName, kept: Sequence[TrainingPair] = ()) -> TrainingData:
        """Return what a role's model is trained on: the seed, what a round kept, what is replayed.

        The first model of a role has no round before it.
        """
        replay = self.replay if role == "forward" else ()
        if kept:
            return gathered([*self.seed, *kept], replay)
        if role not in self._first:
            self._first[role] = gathered(self.seed, replay)
        return self._first[role]

    def settings(self, role: RoleName) -> TrainingSettings:
        """Return how a role's model is trained. Raises: ConfigError."""
        found = self._section(role).settings()
        replay = self._training.replay
        share = replay.share if replay and role == "forward" else 0.0
        return replace(found, replay_share=share)

    def base(self, role: RoleName) -> Base:
        """Return what a role's model is made of."""
        model = self._model(role)
        scripted = model.engine == "scripted"
        return Base(model.path, model.revision, model.chat_template, scripted)

    def fingerprint(self, role: RoleName, kept: Sequence[TrainingPair] = ()) -> str:
        """Return the name of a role's model, trained or not yet. Raises: InputError, ModelError."""
        if kept:
            return self._fingerprint(role, self.data(role, kept))
        if role not in self._named:
            self._named[role] = self._fingerprint(role, self.data(role))
        return self._named[role]

    def _fingerprint(self, role: RoleName, data: TrainingData) -> str:
        return training_fingerprint(role, data.digest, self.settings(role), self.base(role))

    def served(self, role: RoleName) -> Model:
        """Return a role's model as it is opened: a trained one under its name in the registry."""
        model = self._model(role)
        return self.opened(role, self.fingerprint(role)) if model.trained else model

    def opened(self, role: RoleName, fingerprint: str) -> Model:
        """Return how the model of this name plays a role: on the recipe's base, or by itself."""
        model = self._model(role)
        if model.engine == "scripted":  # without weights: it goes by its seed
            return model.model_copy(update={"seed": int(fingerprint[:8], 16), "trained": False})
        lora = self.settings(role).method == "lora"
        place = (
            {"adapter": REGISTERED + fingerprint}
            if lora
            else {"path": REGISTERED + fingerprint, "revision": None, "adapter": None}
        )
        return model.model_copy(update={**place, "trained": False})

    def check(self, model: Model) -> str | None:
        """Return the name of the registered model that a recipe names itself, if it names one.

        Raises: ModelError where it is not registered, is an adapter and named as none, or is one of
        another base.
        """
        place, path = ("adapter", model.adapter) if model.adapter else ("path", model.path)
        if not path.startswith(REGISTERED):
            return None
        name = path.removeprefix(REGISTERED)
        if (record := self._registry.of(name)) is None:
            raise ModelError(f"{path}: no such model is registered in {self._store.root}")
        if (record.kind == "lora") != (place == "adapter"):
            raise ModelError(f"{path}: is a {record.kind} model, and stands as {place}")
        if record.kind == "lora":
            base = model_fingerprint(model.path, model.revision)
            if base != record.base:
                raise ModelError(
                    f"{path}: was trained on another base: on {record.base_name}"
                    f" ({record.base}), and {model.path} is {base}"
                )
        return name

    def registered(self, role: RoleName, kept: Sequence[TrainingPair] = ()) -> Registered | None:
        """Return the record of a role's model, if it is trained."""
        return self._registry.of(self.fingerprint(role, kept))

    def where(self, model: Registered) -> str:
        """Return where a model's files lie, as other programs open them."""
        return self._registry.store.url(f"models/{model.fingerprint}/{model.attempt}")

    def train(
        self,
        role: RoleName,
        run: str,
        say: Callable[[str], None],
        kept: Sequence[TrainingPair] = (),
    ) -> Registered:
        """Train a role's model unless it is registered; Ray, where it is used, is joined already.

        `kept`: pairs of A5, beside the seed; they give another model.
        Raises: TrainingDiverged, TrainingFailed, ModelError, InputError, ConfigError, StoreError.
        """
        return train(
            role,
            self.data(role, kept),
            self.settings(role),
            self.base(role),
            self._store,
            spread=self.spread(role),
            on_ray=self._placement.runtime == "ray",
            run=run,
            say=say,
        )

    def spread(self, role: RoleName) -> Spread:
        """Return where and how a role's model is trained."""
        said = self._placement.training
        preset = PRESETS.get(self._section(role).preset or "")
        many = said.workers > 1
        gpus_each = 1.0 if on_gpus(self._placement) else 0.0
        sharded = said.sharded
        if sharded is None:
            sharded = many and gpus_each > 0 and preset is not None and preset.sharded
        recompute = said.recompute
        if recompute is None:
            recompute = preset is not None and preset.recompute
        if many and self._placement.runtime == "local":
            raise ConfigError("placement.training.workers: more than 1 needs runtime: ray")
        return Spread(
            workers=said.workers,
            gpus_each=gpus_each,
            examples_each=said.examples_each,
            checkpoint_steps=said.checkpoint_steps,
            sharded=sharded,
            recompute=recompute,
            max_failures=said.max_failures,
        )

    @property
    def _training(self) -> Training:
        if (said := self._recipe.training) is None:
            raise ConfigError("recipe.training: required where a model is trained, and missing")
        return said

    def _section(self, role: RoleName) -> Finetune:
        return self._training.backward if role == "backward" else self._training.forward

    def _model(self, role: RoleName) -> Model:
        models = self._recipe.models
        return models.backward if role == "backward" else models.forward

    def _rows(
        self, paths: Iterable[str], read: Callable[[BinaryIO, str], Iterator[Row]]
    ) -> Iterator[Row]:
        for info in list_inputs(list(paths), self._store):
            with open_input(info.key, self._store) as file:
                yield from read(file, info.key)
