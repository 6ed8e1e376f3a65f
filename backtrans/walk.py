"""A run's passage through its phases: models are trained, work is mapped, commits come back.

Promises: nothing is opened, and no model is trained, where nothing waits for it; once what the run
may cost is spent, no model is trained and no engine asked any more, and what needs neither goes on;
what has been under way for too long is said while it is.

Does not know: which phases there are, what is pending.
"""

from collections import Counter
from collections.abc import Sequence

from backtrans import logs
from backtrans.accounts import Observer
from backtrans.journal import Journal
from backtrans.ledger import Commit
from backtrans.models import Registered
from backtrans.runtime.portions import held_at_once, portions
from backtrans.spending import Costs, Spending
from backtrans.stalls import Stalls
from backtrans.standing import Standing
from backtrans.told import tell
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
            logs.happened("training begun", run=settings.run, role=role)
            model = trained.train(role, settings.run, observer.note, kept)
            logs.happened(
                "model trained", run=settings.run, role=role, seconds=model.metrics.seconds
            )
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
        self,
        runtime: Runtime,
        observer: Observer,
        standing: Standing,
        due: list[Commit],
        spending: Spending,
        costs: Costs,
        journal: Journal,
    ) -> None:
        self.made: Counter[str] = Counter()
        self.given_up: list[str] = []
        self.left = 0
        """Addresses that a spent budget left, of the phases that were come to."""
        self.standing = standing
        self._due = due  # commits with rows that are to be done again
        self._costs = costs
        self._runtime = runtime
        self._observer = observer
        self._spending = spending
        self._journal = journal

    def due(self, *stages: str) -> set[str]:
        """Return the shards with rows that are to be done again in these stages."""
        return {commit.shard for commit in self._due if commit.stage in stages}

    def train(self, trained: Trained, roles: Sequence[RoleName], settings: RuntimeSettings) -> None:
        """Train those models of the roles that the recipe trains and that are missing."""
        wanted = [role for role in roles if role in trained.roles and not self._spending.reached]
        train_missing(trained, wanted, self._runtime, settings, self._observer)

    def carry(self, work: Work, addresses: list[Address], settings: RuntimeSettings) -> None:
        """Map work over addresses; nothing is opened where there are none."""
        spending = self._spending
        if work.uses_engine and spending.reached:
            self.left += len(addresses)
            return
        if not addresses:
            return
        self._observer.phase(work.name, len(addresses))
        logs.happened("stage begun", run=settings.run, stages=work.name, shards=len(addresses))
        spending.begin()
        coming, at_once = len(addresses), settings.max_workers * settings.in_flight
        held, handed = held_at_once(settings, coming), portions(addresses, settings)
        stalls = Stalls(self._journal, self._observer, settings.run, work.name, handed, held)
        with stalls.watched():
            for receipt in self._runtime.map(work, addresses, settings):
                stalls.heard(receipt)
                coming -= 1
                if receipt.outcome == "left":
                    self.left += 1
                    continue
                self._observer.receipt(receipt)
                self.standing.committed.add(receipt.commits)
                made = [
                    commit
                    for commit in receipt.commits
                    if commit.run == settings.run and not self._costs.is_counted(commit)
                ]
                self.made.update(commit.stage for commit in made)
                tell(receipt, made, settings.run, work.name)
                if receipt.outcome == "quarantined":
                    self.given_up.append(f"{receipt.address.name}: {receipt.error}")
                was_going_on = spending.reached is None
                usages = [self._costs.of(commit) for commit in made]
                if spending.add(usages, work.gpus_each, min(coming, at_once - 1)) and was_going_on:
                    self._journal.stop(settings.run)
                    self._observer.note(
                        f"{spending.said()}: what has begun is finished, and no more"
                    )
        # Workers have taken commits of these back, and replaced others.
        self.standing.doubt({commit.shard for commit in self._due})
