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

from backtrans.engines.model_files import model_fingerprint
from backtrans.entries import fingerprint
from backtrans.models import Registered, Registry
from backtrans.store import Store, StoreSettings
from backtrans.training.pairs import RoleName, TrainingData
from backtrans.training.settings import Spread, TrainingSettings

VERSION = "training/1"
"""Part of every fingerprint: a new one whenever rendering or the loop changes what is learnt."""


@dataclass(frozen=True, slots=True)
class Base:
    """The model that a training begins with; `chat_template` replaces its tokenizer's own."""

    path: str
    revision: str | None = None
    chat_template: str | None = None

    def identity(self) -> str:
        """Name it by content. Raises: ModelError."""
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
    spread: Spread = Spread(),
    run: str = "",
    say: Callable[[str], None] = lambda line: None,
) -> Registered:
    """Return the model that this training makes, trained now unless it is registered.

    Raises: TrainingDiverged (its last good checkpoint stays), TrainingFailed, ModelError,
    ConfigError, InputError (no data), StoreError.
    """
    name = training_fingerprint(role, data.digest, settings, base)
    if (known := Registry(Store(store)).of(name)) is not None:
        return known
    raise NotImplementedError
