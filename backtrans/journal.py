"""What runs leave beside their commits: their records, how often they tried, what they gave up.

The layout under the root:

    runs/<run>.json                           recipe, placement, figures of a run
    attempts/<run>/<stage>/<key>.<n>          put_new: how often a run has begun a shard
    stopped/<run>                             there once a run is to begin nothing more
    searches/<run>/<stage>/<key>.json         which rows of a shard an engine may die of
    quarantine/<run>/<stage>/<key>.json       a shard given up in that run, with its error

Promises: an attempt is counted before it begins, in the store, so that the count outlives the
process that died of it; nothing here decides what is committed.

Does not know: why an attempt failed, or what a run is to do next.
"""

from typing import Any

from backtrans.entries import (
    QUARANTINED,
    RUN,
    SEARCHED,
    Quarantined,
    Searched,
    checked_name,
    decoded,
    encoded,
)
from backtrans.errors import KeyMissing
from backtrans.places import names, place, read_at_once
from backtrans.store import Store

__all__ = ["STOPPED", "Journal", "Quarantined"]

STOPPED = "stopped/"
"""Where runs are told to begin nothing more."""

COUNTS = ("attempts/", "searches/")
"""What runs write down of their attempts."""


class Journal:
    """The journal of all runs, over one store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def begin_attempt(self, run: str, stage: str, key: str, where: str = "") -> int:
        """Count one more attempt of this run at a key, from 1; safe against concurrent callers.

        Where it is made is kept with it.
        """
        start = place("attempts", run, stage, key)
        number = 1
        while not self.store.put_new(f"{start}.{number}", where.encode()):
            number += 1
        return number

    def attempted_where(self, run: str, stage: str, key: str, number: int) -> str:
        """Return where an attempt was made. Raises: KeyMissing for one that was not counted."""
        return self.store.get(f"{place('attempts', run, stage, key)}.{number}").decode()

    def attempted(self, run: str, stage: str, key: str) -> bool:
        """Say whether a run has counted any attempt at a key."""
        return self.store.exists(f"{place('attempts', run, stage, key)}.1")

    def stop(self, run: str) -> None:
        """Have the workers of a run begin nothing more; what they have begun they finish."""
        self.store.put(STOPPED + checked_name(run), b"")

    def stopped(self, run: str) -> bool:
        """Say whether a run is to begin nothing more."""
        return self.store.exists(STOPPED + checked_name(run))

    def marks_of_ended(self, older_than: float) -> list[str]:
        """Return the keys of marks of that age, in seconds since the epoch, that stop no run now.

        A run that was killed has not ended: its workers may be there still, and see the mark.
        """
        return self._of_ended(STOPPED, older_than)

    def counts_of_ended(self, older_than: float) -> list[str]:
        """Return the keys of counts of attempts, and of searches, of runs that have ended.

        Only within its run is a count of any use: a later run begins anew.
        """
        return [key for folder in COUNTS for key in self._of_ended(folder, older_than)]

    def _of_ended(self, folder: str, older_than: float) -> list[str]:
        keys = [info.key for info in self.store.list(folder) if info.modified < older_than]
        of = {key: key.removeprefix(folder).split("/")[0] for key in keys}

        def is_over(run: str) -> bool:
            record = place("runs", run) + ".json"
            try:
                return "ended_at" in decoded(RUN, record, self.store.get(record))
            except KeyMissing:
                return True

        every = sorted(set(of.values()))
        over = dict(zip(every, read_at_once(is_over, every), strict=True))
        return [key for key in keys if over[of[key]]]

    def search(self, run: str, stage: str, key: str) -> Searched:
        """Return how far the search through a shard is, from the beginning on."""
        where = place("searches", run, stage, key) + ".json"
        try:
            return decoded(SEARCHED, where, self.store.get(where))
        except KeyMissing:
            return Searched()

    def put_search(self, run: str, stage: str, key: str, searched: Searched) -> None:
        """Record how far it is; one worker at a time searches through a shard."""
        self.store.put(place("searches", run, stage, key) + ".json", encoded(searched))

    def quarantine(self, record: Quarantined) -> None:
        """Record a shard given up."""
        where = place("quarantine", record.run, record.stage, record.key) + ".json"
        self.store.put(where, encoded(record))

    def quarantined(self, run: str) -> list[Quarantined]:
        """Return what a run gave up, sorted by stage and key."""
        found = [info.key for info in self.store.list(place("quarantine", run) + "/")]

        def read(key: str) -> Quarantined:
            return decoded(QUARANTINED, key, self.store.get(key))

        return sorted(read_at_once(read, found), key=lambda q: (q.stage, q.key))

    def put_run(self, run: str, record: dict[str, Any]) -> None:
        """Record a run, replacing what it recorded before: only its own driver writes it."""
        self.store.put(place("runs", run) + ".json", encoded(record))

    def run_of(self, run: str) -> dict[str, Any]:
        """Return the record of a run. Raises: KeyMissing, StoreError."""
        key = place("runs", run) + ".json"
        return decoded(RUN, key, self.store.get(key))

    def runs(self) -> list[dict[str, Any]]:
        """Return the records of all runs, sorted by the name of the run."""
        keys = [f"runs/{run}.json" for run in sorted(names(self.store, "runs/"))]

        def read(key: str) -> dict[str, Any]:
            return decoded(RUN, key, self.store.get(key))

        return list(read_at_once(read, keys))

    def last(self) -> dict[str, Any] | None:
        """Return the record of the latest run, if there was one."""
        runs = self.runs()
        return runs[-1] if runs else None
