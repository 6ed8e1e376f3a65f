"""A run's passage through its phases: models are trained, work is mapped, commits come back.

Promises: nothing is opened, and no model is trained, where nothing waits for it.

Does not know: which phases there are, what is pending.
"""

from collections import Counter
from collections.abc import Sequence

from backtrans.accounts import Observer
from backtrans.ledger import Commit
from backtrans.models import Registered
from backtrans.standing import Standing
from backtrans.trained import Trained
from backtrans.training.pairs import RoleName, TrainingPair
from backtrans.work import Address, Runtime, RuntimeSettings, Work


def train_missing(
    trained: Trained,
    roles: Sequence[RoleName],
    runtime: Runtime,
    settings: RuntimeSettings,
    observer: Observer,
    kept: Sequence[TrainingPair] = (),
) -> list[Registered]:
    """Return these roles' models, trained now where they are missing: a phase each.

    `kept` are pairs of a round before, which are learnt beside the seed.
    """
    models = []
    for role in roles:
        model = trained.registered(role, kept)
        if model is None:
            observer.phase(f"train.{role}", 1)
            runtime.ready(settings)
            model = trained.train(role, settings.run, observer.note, kept)
            loss, seconds = model.metrics.loss, model.metrics.seconds
            observer.note(
                f"{role}: trained in {seconds:,.0f} s, loss {loss[0]:.3f} -> {loss[-1]:.3f};"
                f" {trained.where(model)}"
            )
        models.append(model)
    return models


class Walk:
    """One run's passage through its phases, and what came of them."""

    def __init__(
        self, runtime: Runtime, observer: Observer, standing: Standing, due: list[Commit]
    ) -> None:
        self.made: Counter[str] = Counter()
        self.given_up: list[str] = []
        self.standing = standing
        self._due = due  # commits with rows that are to be done again
        self._runtime = runtime
        self._observer = observer

    def due(self, *stages: str) -> set[str]:
        """Return the shards with rows that are to be done again in these stages."""
        return {commit.shard for commit in self._due if commit.stage in stages}

    def train(self, trained: Trained, roles: Sequence[RoleName], settings: RuntimeSettings) -> None:
        """Train those models of the roles that the recipe trains and that are missing."""
        wanted = [role for role in roles if role in trained.roles]
        train_missing(trained, wanted, self._runtime, settings, self._observer)

    def carry(self, work: Work, addresses: list[Address], settings: RuntimeSettings) -> None:
        """Map work over addresses; nothing is opened where there are none."""
        if not addresses:
            return
        self._observer.phase(work.name, len(addresses))
        for receipt in self._runtime.map(work, addresses, settings):
            self._observer.receipt(receipt)
            self.standing.committed.add(receipt.commits)
            self.made.update(c.stage for c in receipt.commits if c.run == settings.run)
            if receipt.outcome == "quarantined":
                self.given_up.append(f"{receipt.address.name}: {receipt.error}")
        # Workers have taken commits of these back, and replaced others.
        self.standing.doubt({commit.shard for commit in self._due})
