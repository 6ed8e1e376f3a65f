"""Looking after a root: what is taken down, purged, expired and swept.

Each is asked for by a person or a schedule, says first what it would do, and may be killed and done
again. None of them calls a model.

Does not know: who asks, or how the answer is shown.
"""

import math
import time
from dataclasses import dataclass
from pathlib import Path

from backtrans.accounts import Observer
from backtrans.distilled import distilled
from backtrans.errors import ConfigError
from backtrans.expiry import Expiry, expired, expiry, held, loose
from backtrans.export import PREFERENCE, export
from backtrans.generations import FOLDER, loose_entries
from backtrans.journal import STOPPED
from backtrans.models import FOLDER as MODELS
from backtrans.models import Registry
from backtrans.overview import Overview
from backtrans.pipeline import EVERY_STAGE, Pipeline
from backtrans.places import read_at_once
from backtrans.purge import Purged, find, purge
from backtrans.snapshots import (
    Snapshot,
    forget,
    latest,
    numbered,
    parts_named,
    read_split,
    snapshots,
)
from backtrans.store import is_temporary
from backtrans.takedown import Withdrawn, withdrawn
from backtrans.training import room

_STAGE_NAMES = [stage.name for stage in EVERY_STAGE]


@dataclass(frozen=True, slots=True)
class Reach:
    """What a takedown concerns: texts held, and rows of each snapshot."""

    texts: int
    published: dict[int, int]  # snapshot number -> rows
    objects: list[str]  # of the present corpus, as a whole


def reach(job: Overview, gone: Withdrawn) -> Reach:
    """Say what a takedown concerns. Reads every select part, and touches nothing."""
    standing = job.standing()
    listed = [*(found.info for found in standing.objects), *standing.withdrawn_objects]
    objects = [info for info in listed if info.key in gone.objects]
    shards = frozenset(standing.shards_of(objects))
    every = snapshots(job.ledger)
    found = find(job.ledger, gone, shards)
    published = {s.number: _rows_of(job, s, found.ids) for s in every}
    return Reach(found.rows, published, [info.key for info in objects])


def purge_withdrawn(
    pipeline: Pipeline, observer: Observer, *, run_is_dead: bool = False
) -> tuple[Purged, list[int]]:
    """Remove the bytes of all that has been taken down; return that, and the snapshots that went.

    Snapshots that hold a withdrawn row go, when one without it has been published. `run_is_dead`
    says that a run whose end is not recorded will not go on.
    Raises: ConfigError where a run may be under way; RunIncomplete where there is no whole state
    to publish, with the parts already purged.
    """
    last = pipeline.journal.last()
    if last is not None and "ended_at" not in last and not run_is_dead:
        raise ConfigError(
            f"run {last['run']} has not ended: let it, or say --run-is-dead if it was killed"
        )
    ledger, gone = pipeline.ledger, withdrawn(pipeline.ledger)
    standing = pipeline.standing()
    shards = frozenset(standing.shards_of(standing.withdrawn_objects))
    found = find(ledger, gone, shards)
    purged = purge(ledger, _STAGE_NAMES, found, last["run"] if last else "purge")
    snapshot = pipeline.republish(observer).snapshot
    assert snapshot is not None
    every = snapshots(ledger)
    older = [s for s in every if s.number != snapshot.number]
    holders = [s for s in older if _rows_of(pipeline, s, found.ids)]
    for holder in holders:
        forget(ledger, holder)
    for key in list(loose(ledger, snapshots(ledger), math.inf)):
        ledger.store.delete(key)
    for key in room.orphans(ledger.store, math.inf):  # a training's examples are texts, too
        ledger.store.delete(key)
    if pipeline.resolved.lake is not None:
        pipeline.publication.vacuum(0, delete=True)  # no run is under way, nor a transaction
    return purged, [holder.number for holder in holders]


def plan_expiry(job: Overview, keep: int, older_than_seconds: float) -> Expiry:
    """Say what goes when all but the last `keep` snapshots do that are older than that."""
    ledger = job.ledger
    every = snapshots(ledger)
    going = expired(every, keep, older_than_seconds, time.time())
    shards, _ = job.standing().shards()
    recipe = job.resolved.fingerprints
    present = held([address.shard for address in shards], recipe)
    return expiry(ledger, every, going, _STAGE_NAMES, present, recipe)


def orphans(job: Overview, older_than_seconds: float) -> list[str]:
    """Return what late or broken attempts left, older than that: nothing names it.

    Parts, temporary files, files of splits, what an expiry left of an index, files of models that
    were not registered, what trainings left in which nothing was put since, and marks that stopped
    runs which have ended. A part that a snapshot's manifest names is none, though its commit may
    have been replaced.
    """
    ledger = job.ledger
    every = snapshots(ledger)
    named = parts_named(ledger, every)
    now = time.time()
    parts = [key for key in ledger.orphans(older_than_seconds, now) if key not in named]
    unnamed = [
        *loose(ledger, every, now - older_than_seconds),
        *loose_entries(ledger, now - older_than_seconds),
    ]
    older_than = now - older_than_seconds
    trained = [*Registry(ledger.store).orphans(older_than), *room.orphans(ledger.store, older_than)]
    marks = job.journal.marks_of_ended(older_than)
    return sorted([*parts, *unnamed, *trained, *marks])


def sweep(pipeline: Pipeline, keys: list[str]) -> None:
    """Delete orphans; what has been named since they were listed stays."""
    ledger = pipeline.ledger
    apart = ("splits/", FOLDER, MODELS, room.FOLDER, STOPPED)
    ledger.sweep([key for key in keys if is_temporary(key) or not key.startswith(apart)])
    now = time.time()
    still_loose = {*loose(ledger, snapshots(ledger), now), *loose_entries(ledger, now)}
    still_loose |= {*Registry(ledger.store).orphans(now), *room.orphans(ledger.store, now)}
    still_loose.update(pipeline.journal.marks_of_ended(now))
    for key in still_loose.intersection(keys):
        ledger.store.delete(key)


def counts(job: Overview, older_than_seconds: float) -> list[str]:
    """Return what runs that have ended counted of their attempts, older than that: some three
    objects a shard and phase.
    """
    return job.journal.counts_of_ended(time.time() - older_than_seconds)


def delete_counts(job: Overview, keys: list[str]) -> None:
    """Delete counts of ended runs; nothing reads them."""
    for _ in read_at_once(job.ledger.store.delete, keys):
        pass


def write_export(
    pipeline: Pipeline,
    split: str,
    form: str,
    out: Path,
    *,
    tags: bool,
    seed: Path | None = None,
    number: int | None = None,
    own_answers: bool = False,
) -> int:
    """Write a split of a snapshot, the latest if no number says which, as a training set.

    With `own_answers` the responses are what the distilled model answered. Returns the rows
    written. Raises: ConfigError before the first snapshot, for a split that it does not have, or
    where it has no such answers; StoreError for a number that there is not.
    """
    snapshot = exported(pipeline, number)
    if split not in snapshot.files:
        raise ConfigError(f"snapshot {snapshot.number} has no split {split}: its recipe filters")
    if own_answers and form == PREFERENCE:
        raise ConfigError("preferences are between a rewrite and its original")
    read = distilled if own_answers else read_split
    return export(read(pipeline.ledger, snapshot, split), form, out, tags=tags, seed=seed)


def exported(job: Overview, number: int | None = None) -> Snapshot:
    """Return the snapshot that an export reads. Raises: ConfigError, StoreError."""
    ledger = job.ledger
    snapshot = latest(ledger) if number is None else numbered(ledger, number)
    if snapshot is None:
        raise ConfigError("no snapshot published yet: there is nothing to export")
    return snapshot


def _rows_of(job: Overview, snapshot: Snapshot, ids: set[str]) -> int:
    """Count the rows of a snapshot that have one of these ids."""
    tables = read_split(job.ledger, snapshot, snapshot.widest)
    return sum(len(ids.intersection(rows["id"].to_pylist())) for rows in tables)
