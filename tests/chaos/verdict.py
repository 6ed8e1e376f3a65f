"""What is true of a root after a storm, against what an unbroken run over the same corpus gave.

Pure reading: the root's own ledger and snapshots, the bytes of its commits, and the diaries.
"""

import hashlib
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import orjson

from backtrans.entries import COMMIT, check_accounts, decoded
from backtrans.ledger import Commit, Ledger
from backtrans.records import Row
from backtrans.snapshots import SPLITS, latest, read_split
from backtrans.store import Store, StoreSettings
from tests.chaos.diary import Line


def digest(rows: Iterable[Row]) -> str:
    """Hash rows by what they hold: not by their order, nor by which run made them."""
    plain = [{k: v for k, v in row.items() if k != "run"} for row in rows]
    plain.sort(key=lambda row: str(row["id"]))
    return hashlib.sha256(orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)).hexdigest()


def published(ledger: Ledger) -> dict[str, list[Row]]:
    """Return the rows of the latest snapshot, which there must be, by split."""
    snapshot = latest(ledger)
    assert snapshot is not None, "nothing was published"
    return {
        split: [row for table in read_split(ledger, snapshot, split) for row in table.to_pylist()]
        for split in SPLITS
    }


def commit_bytes(store: Store) -> dict[str, bytes]:
    """Return every commit record as it lies there, by key."""
    return {info.key: store.get(info.key) for info in store.list("commits/")}


@dataclass(frozen=True, slots=True)
class Truth:
    """What an unbroken run gave."""

    ids: dict[str, list[str]]  # by split, sorted
    digests: dict[str, str]  # by split
    requests: dict[str, int]  # what each commit cost, by the commit's key in the store

    @classmethod
    def of(cls, root: StoreSettings) -> "Truth":
        """Take the truth from a root whose run nothing disturbed."""
        ledger = Ledger(Store(root))
        splits = published(ledger)
        commits = _commits(commit_bytes(ledger.store))
        return cls(
            {split: sorted(row["id"] for row in rows) for split, rows in splits.items()},
            {split: digest(rows) for split, rows in splits.items()},
            {key: commit.usage.requests for key, commit in commits.items()},
        )

    def requests_but_for(self, committed: Iterable[str]) -> int:
        """Return how many requests a run makes that finds these committed."""
        return sum(self.requests.values()) - sum(self.requests[key] for key in committed)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong with a root: nothing, one hopes."""

    lost: int  # rows of the splits that are not there
    doubled: int  # rows that are there more than once, or that belong to no split
    digest_equal: bool
    twice: tuple[str, ...]  # keys committed twice, or changed after they were committed
    faults: tuple[str, ...]  # whatever else

    @property
    def clean(self) -> bool:
        """Say whether nothing is wrong."""
        return self == Verdict(0, 0, True, (), ())


def verdict(
    root: StoreSettings, truth: Truth, before: dict[str, bytes], lines: list[Line]
) -> Verdict:
    """Look at a root after its last run, sweep it, and look again at what the sweep left.

    `before` holds the commits at the moment of the kill, `lines` all the diaries of this root.
    """
    ledger = Ledger(Store(root))
    after = commit_bytes(ledger.store)
    commits = _commits(after)
    faults = [f"{key}: not in an unbroken run" for key in after.keys() - truth.requests.keys()]
    faults += [f"{key}: not committed" for key in truth.requests.keys() - after.keys()]
    for key, commit in commits.items():
        check_accounts(commit, ledger.read_part(commit))
        if commit.usage.requests != truth.requests.get(key, commit.usage.requests):
            faults.append(f"{key}: {commit.usage.requests} requests, not {truth.requests[key]}")
    won = Counter(
        line.key
        for line in lines
        if line.did == "put_new" and line.won and line.key.startswith("commits/")
    )
    twice = {key for key, times in won.items() if times > 1}
    twice |= {key for key, record in before.items() if after.get(key) != record}
    faults += _left_by_a_sweep(ledger, commits)
    lost = doubled = 0
    equal = True
    for split, rows in published(ledger).items():
        there, wanted = Counter(str(row["id"]) for row in rows), Counter(truth.ids[split])
        lost += (wanted - there).total()
        doubled += (there - wanted).total()
        equal = equal and digest(rows) == truth.digests[split]
    return Verdict(lost, doubled, equal, tuple(sorted(twice)), tuple(sorted(faults)))


def _commits(records: dict[str, bytes]) -> dict[str, Commit]:
    return {key: decoded(COMMIT, key, record) for key, record in records.items()}


def _left_by_a_sweep(ledger: Ledger, commits: dict[str, Commit]) -> list[str]:
    """Sweep what nothing points at; return what was not swept and should have been, or was."""
    # The store's clock is this machine's, and nobody writes any more.
    ledger.sweep(ledger.orphans(older_than_seconds=-60.0, now=time.time()))
    there = {info.key for info in ledger.store.list("parts/")}
    named = {commit.part for commit in commits.values()}
    left = [f"{key}: an orphan that the sweep left" for key in there - named]
    left += [f"{info.key}: a leftover that the sweep left" for info in ledger.store.leftovers()]
    return left + [f"{key}: a part that the sweep took" for key in named - there]


def asked(lines: list[Line]) -> int:
    """Count the requests that reached a model."""
    return sum(line.did == "asked" for line in lines)
