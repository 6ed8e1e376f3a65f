"""From what is curated to what users read: a snapshot, its card, and the lake table.

Where the recipe rewrites, what is published are the pairs after that; they are meant wherever
curated pairs are spoken of here.

Promises: nothing is published of a corpus of which too little is curated; a lake table that is out
of reach is said before any work; a run that dies between the snapshot and the table's transaction
leaves that to the next, which does nothing where it is done.

Does not know: how shards came to be curated.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from backtrans.accounts import LakeStatus, StageStatus
from backtrans.config import Config
from backtrans.errors import ConfigError
from backtrans.lake.refresh import held_number, lake_table, refresh
from backtrans.ledger import Ledger
from backtrans.report.card import Card
from backtrans.resolution import Resolved
from backtrans.snapshots import Snapshot
from backtrans.stages.publish import Histogram, digest_of, publish
from backtrans.standing import Standing
from backtrans.work import Address


@dataclass(frozen=True, slots=True)
class Published:
    """What came of publishing. `superseded`: things no longer stand as they were looked at."""

    snapshot: Snapshot | None
    complete: float  # share of the shards that are curated
    superseded: bool = False


class Publication:
    """What one configuration publishes from one root."""

    def __init__(self, config: Config, resolved: Resolved, ledger: Ledger) -> None:
        self._config = config
        self._resolved = resolved
        self._ledger = ledger

    def check(self) -> None:
        """Look at the lake table, if there is to be one. Raises: ConfigError, StoreError."""
        self.lake_status()

    def complete(
        self, standing: Standing, stage: str, shards: list[Address], unread: list[Address]
    ) -> float:
        """Return the share of the shards that are committed in a stage; 1 of no shards."""
        total = len(shards) + len(unread)
        return standing.table(stage, shards).num_rows / total if total else 1.0

    def is_of(self, snapshot: Snapshot | None, standing: Standing, shards: list[Address]) -> bool:
        """Say whether a snapshot holds just what is committed of these shards."""
        if snapshot is None or snapshot.fingerprints != self._resolved.fingerprints:
            return False
        curated = standing.table(self._resolved.published_stage, shards)
        unfiltered = not self._config.recipe.curate.filter
        return snapshot.digest == digest_of(curated, standing.withdrawn, unfiltered=unfiltered)

    def publish(
        self,
        standing: Standing,
        run: str,
        shards: list[Address],
        unread: list[Address],
        stages: Callable[[], list[StageStatus]],
    ) -> Published:
        """Publish what came of a standing, if enough of it is curated.

        A takedown that comes while files are put is seen after: then the snapshot is there, and
        the next one follows it at once.
        """
        stage = self._resolved.published_stage
        curated = standing.table(stage, shards)
        complete = self.complete(standing, stage, shards, unread)
        if complete < self._config.placement.min_complete:
            return Published(None, complete)
        if standing.withdrawn_since():
            return Published(None, complete, superseded=True)
        made_at = datetime.now(UTC).isoformat(timespec="seconds")

        def card(rows: dict[str, int], histogram: Histogram) -> bytes:
            told = self._config.placement.card
            return Card(
                name=told.name,
                license=told.license,
                language=tuple(told.language),
                stages=stages(),
                models=self._resolved.card_models,
                recipe=self._config.recipe.model_dump(mode="json"),
                run=run,
                made_at=made_at,
            ).rendered(rows, histogram)

        fingerprints, gone = self._resolved.fingerprints, standing.withdrawn
        snapshot = publish(
            self._ledger,
            curated,
            fingerprints,
            run,
            made_at,
            gone,
            card,
            standing.published,
            unfiltered=not self._config.recipe.curate.filter,
        )
        superseded = snapshot is None or standing.withdrawn_since()
        return Published(None if superseded else snapshot, complete, superseded)

    def to_lake(self, snapshot: Snapshot) -> str | None:
        """Have the lake table hold a snapshot; say what was done, None without a table."""
        if (lake := self._resolved.lake) is None:
            return None
        done = refresh(self._ledger, snapshot, lake)
        return (
            f"lake table {done.uri}: snapshot {done.number}, version {done.version};"
            f" {done.added:,} file(s) new, {done.removed:,} gone, {done.kept:,} as they were"
        )

    def lake_status(self) -> LakeStatus | None:
        """Say which snapshot the lake table holds."""
        if (lake := self._resolved.lake) is None:
            return None
        return LakeStatus(lake.root, held_number(self._ledger, lake))

    def vacuum(self, older_than_hours: int, *, delete: bool) -> list[str]:
        """Return the files that the lake table holds no more; delete them when told to.

        Raises: ConfigError without a lake table.
        """
        if (lake := self._resolved.lake) is None:
            raise ConfigError("placement.lake: there is no lake table to vacuum")
        return lake_table(self._ledger, lake).vacuum(older_than_hours, delete=delete)
