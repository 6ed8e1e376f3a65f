"""Retention: let old snapshots go, with what only they hold; and find what nothing holds.

A snapshot holds its splits, the commits of its shards in every stage of its recipe, and the index
by which copies were found. What a kept snapshot or the present corpus and recipe hold too stays.

Promises: nothing that is kept ever names what is gone, killed at any instant: what names others
goes first. What is killed half-way is finished by the next expiry, or swept.

Does not know: which snapshots a reader is on. Keep those that are younger than the longest reading.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime

from backtrans.generations import index_of
from backtrans.ledger import Ledger, index_key, stage_key
from backtrans.snapshots import Snapshot, forget, parts_named, read_manifest

DEDUPLICATE = "deduplicate"
"""The stage whose fingerprint names an index."""

Held = set[tuple[str, str]]
"""Commits, as (stage, key)."""


@dataclass(frozen=True, slots=True)
class Expiry:
    """What an expiry takes away."""

    snapshots: list[Snapshot]
    commits: list[tuple[str, str]]  # (stage, key), the last stage first
    parts: list[str]
    indexes: list[str]  # keys of objects whose shards go
    files: list[str]  # of splits, and of what copies were found by


def expired(
    every: list[Snapshot], keep: int, older_than_seconds: float, now: float
) -> list[Snapshot]:
    """Return the snapshots that may go: all but the last `keep`, where they are older than that.

    The latest always stays. `now` is seconds since the epoch.
    """
    may_go = every[: max(0, len(every) - max(keep, 1))]
    return [s for s in may_go if _published(s) < now - older_than_seconds]


def expiry(
    ledger: Ledger,
    every: list[Snapshot],
    going: list[Snapshot],
    stages: list[str],
    present: Held,
    recipe: Mapping[str, str],
) -> Expiry:
    """Say what goes with these snapshots. `present`: what the present corpus and recipe hold.

    `recipe`: the present fingerprint of each stage. Decisions about what the corpus has no more are
    part of its index, so the index stays whole while anyone's fingerprint names it.
    """
    kept = [s for s in every if s not in going]
    held = present.union(*(commits_of(ledger, s) for s in kept))
    lost = set().union(*(commits_of(ledger, s) for s in going)) - held
    order = {stage: number for number, stage in enumerate(reversed(stages))}
    commits = sorted(lost, key=lambda each: (order[each[0]], each[1]))
    named = parts_named(ledger, kept)
    found = [ledger.commit_of(stage, key) for stage, key in commits]
    parts = [commit.part for commit in found if commit is not None and commit.part not in named]
    # Under other recipes, what an object's shards are called stands in indexes of their own.
    selects = {snapshot.fingerprints["select"] for snapshot in going}
    indexes = [
        index.key
        for index in ledger.indexes()
        for select in selects
        if index.key == index_key(select, index.fingerprint)
        and any(("select", stage_key("select", select, shard)) in lost for shard in index.shards)
    ]
    folders = {s.folder for s in going} - {s.folder for s in kept}
    files = [info.key for folder in sorted(folders) for info in ledger.store.list(folder)]
    found_by = {s.fingerprints.get(DEDUPLICATE) for s in going} - {None}
    found_by -= {s.fingerprints.get(DEDUPLICATE) for s in kept} | {recipe.get(DEDUPLICATE)}
    files += [key for each in sorted(filter(None, found_by)) for key in index_of(ledger, each)]
    return Expiry(going, commits, parts, indexes, files)


def expire(ledger: Ledger, what: Expiry) -> None:
    """Take it away, what names others first."""
    with ledger.epochs.changing() if what.commits else nullcontext():
        for snapshot in what.snapshots:
            forget(ledger, snapshot)
        for key in what.indexes:
            ledger.forget_index(key)
        for stage, key in what.commits:
            ledger.retract(stage, key)
        for key in (*what.parts, *what.files):
            ledger.store.delete(key)


def commits_of(ledger: Ledger, snapshot: Snapshot) -> Held:
    """Return the commits that a snapshot holds."""
    shards = read_manifest(ledger, snapshot)["shard"].to_pylist()
    return held(shards, snapshot.fingerprints)


def held(shards: Iterable[str], fingerprints: dict[str, str]) -> Held:
    """Return the commits of shards in every stage of a recipe."""
    return {(s, stage_key(s, f, shard)) for shard in shards for s, f in fingerprints.items()}


def loose(ledger: Ledger, every: list[Snapshot], older_than: float) -> Iterator[str]:
    """Yield the files of splits that no snapshot names and that are older than a moment.

    A publisher that died, or one of two with the same number, leaves them.
    """
    folders = {snapshot.folder for snapshot in every}
    for info in ledger.store.list("splits/"):
        folder = "/".join(info.key.split("/")[:2]) + "/"
        if folder not in folders and info.modified < older_than:
            yield info.key


def _published(snapshot: Snapshot) -> float:
    return datetime.fromisoformat(snapshot.published_at).timestamp()
