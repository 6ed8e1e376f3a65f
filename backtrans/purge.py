"""Remove the bytes of what has been taken down: from parts, orphans, and old snapshots.

A row of a select part becomes a reject without its text; in the parts of later stages, and in the
splits, it is not there at all. A part that others share is written anew without it, its commit
replaced, and the old part deleted.

Promises: when it returns, no object under the root holds a text that was taken down. Killed at any
instant, it is finished by doing it again; a run in between finds what it needs, or computes it.

Does not know: the corpus itself, which is not ours to change. Do it while no run is under way: a
run that has read a text already may still commit what it makes of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from backtrans.ledger import Ledger, Usage
from backtrans.records import Reject, is_kept, rejected, table
from backtrans.takedown import COLUMNS, Withdrawn

REASON = "taken_down"

_TOLD_BY_COLUMNS = ("select", "curate", "choose")
"""The stages whose rows say themselves which document they are of; the others hold ids."""


@dataclass(slots=True)
class Found:
    """Where withdrawn rows lie."""

    ids: set[str] = field(default_factory=set)
    shards: set[str] = field(default_factory=set)  # those of commits that hold one
    rows: int = 0  # of select parts, with a text


@dataclass(slots=True)
class Purged:
    """What was removed."""

    rows: int = 0
    parts: int = 0
    orphans: int = 0


def find(ledger: Ledger, withdrawn: Withdrawn, shards: frozenset[str]) -> Found:
    """Look through all parts for withdrawn rows. `shards`: those of withdrawn objects.

    Rows that a purge before has emptied are found too: it may have been killed after them.
    """
    found = Found()
    by_part = {c.part: c for stage in _TOLD_BY_COLUMNS for c in ledger.commits(stage)}
    for stage in _TOLD_BY_COLUMNS:
        for info in ledger.store.list(f"parts/{stage}/"):
            part = ledger.read_rows(info.key, ["id", *COLUMNS, "reject_reason"])
            commit = by_part.get(info.key)
            whole = commit is not None and commit.shard in shards
            mask = pa.array([True] * part.num_rows if whole else withdrawn.mask(part), pa.bool_())
            rows = part.filter(mask)
            if rows.num_rows == 0:
                continue
            found.ids.update(rows["id"].to_pylist())
            if commit is not None:
                found.shards.add(commit.shard)
            if stage == "select":
                found.rows += rows["reject_reason"].null_count
    return found


def purge(ledger: Ledger, stages: list[str], found: Found, run: str) -> Purged:
    """Write anew what shares a part with a withdrawn row, and delete what nothing names.

    `stages` in the job's order; `run` is what the commits name as theirs.
    """
    done = Purged()
    replaced: dict[str, str] = {}  # part -> the part in its place
    with ledger.epochs.changing():
        for stage in stages:
            for commit in list(ledger.commits(stage)):
                if commit.shard not in found.shards:
                    continue
                part = ledger.read_part(commit)
                clean = (
                    _emptied(part, found.ids) if stage == "select" else _without(part, found.ids)
                )
                reads = tuple(replaced.get(key, key) for key in commit.reads)
                if clean is None and reads == commit.reads:
                    continue
                clean = part if clean is None else clean
                new = ledger.replace(
                    commit, rows_in=clean.num_rows, part=clean, usage=Usage(), run=run, reads=reads
                )
                replaced[commit.part] = new.part
                ledger.store.delete(commit.part)
                done.parts += 1
    done.rows = found.rows
    for key in list(_orphans(ledger, found.ids, stages)):
        ledger.store.delete(key)
        done.orphans += 1
    return done


def _emptied(part: pa.Table, ids: set[str]) -> pa.Table | None:
    """Return a select part whose withdrawn rows are rejects that hold no text; None if it has none.

    Rows: N -> N.
    """
    if not any(row["id"] in ids and is_kept(row) for row in _outcomes(part)):
        return None
    rows = []
    for row in part.to_pylist():
        if row["id"] in ids and is_kept(row):
            named = {k: row[k] for k in ("id", "object", "row", "document_id", "url")}
            row = rejected(named, Reject(REASON, "its text was purged"))
        rows.append(row)
    return table(rows, part.schema)


def _without(part: pa.Table, ids: set[str]) -> pa.Table | None:
    """Return a part without the withdrawn rows; None if it has none."""
    gone = pc.is_in(part["id"], pa.array(sorted(ids), pa.string()))
    return part.filter(pc.invert(gone)) if pc.any(gone).as_py() else None


def _outcomes(part: pa.Table) -> Iterator[dict[str, str | None]]:
    yield from part.select(["id", "reject_reason"]).to_pylist()


def _orphans(ledger: Ledger, ids: set[str], stages: list[str]) -> Iterator[str]:
    """Yield the parts that no commit names and that hold a withdrawn row, and unfinished files.

    Whatever their age: no run is under way. What an unfinished file holds nobody can tell.
    """
    named = {commit.part for stage in stages for commit in ledger.commits(stage)}
    for info in ledger.store.list("parts/"):
        if info.key not in named:
            held = ledger.read_rows(info.key, ["id"])["id"].to_pylist()
            if not ids.isdisjoint(held):
                yield info.key
    for info in ledger.store.leftovers():
        yield info.key
