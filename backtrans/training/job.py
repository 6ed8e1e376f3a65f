"""A training as its workers are told of it: plain values that travel as JSON; no secret.

Does not know: torch, where workers run.
"""

from dataclasses import dataclass

from backtrans.errors import ConfigError
from backtrans.store import StoreSettings
from backtrans.training.pairs import RoleName
from backtrans.training.settings import Spread, TrainingSettings


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker needs; the examples lie in the store."""

    fingerprint: str
    role: RoleName
    settings: TrainingSettings
    spread: Spread
    base_path: str
    base_revision: str | None
    base_identity: str
    base_name: str
    store: StoreSettings
    counts: dict[str, int]
    data_digest: str
    examples: int
    launch: str  # names what this launch puts
    run: str

    @property
    def batch(self) -> int:
        """The examples of one update, over all workers."""
        return self.settings.batch_for(self.examples)

    @property
    def steps(self) -> int:
        """The number of updates."""
        return self.settings.steps_of(self.examples)

    @property
    def examples_each(self) -> int:
        """What one worker takes at once: the most that divides its share of a batch evenly.

        Raises: ConfigError where a batch cannot be shared out.
        """
        share, rest = divmod(self.batch, self.spread.workers)
        if rest or not share:
            raise ConfigError(
                f"a batch of {self.batch} examples cannot be shared out to"
                f" {self.spread.workers} workers"
            )
        fitting = range(1, min(share, self.spread.examples_each) + 1)
        return max(each for each in fitting if share % each == 0)
