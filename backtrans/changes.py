"""What changed between two snapshots: rows added, removed and changed, and why.

Shards whose part both snapshots name have the same rows and are not read. Of the others the
two parts are compared, shard by shard, so that memory is that of two parts.

Promises: every row that is in one A4 and not in the other is told once, with a reason; a row that
is in both is told when a column other than `run` differs. Reasons:

    new object, object gone            the shard's input object came or went
    object changed                     an object of that name was there, with other content
    shard not complete                 the object is in both, and the shard in one
    taken down                         withdrawn by a takedown
    not scored                         refused by a stage before curating
    any other reject reason            refused by curating, or by choosing among responses

Does not know: why an object came or went.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from backtrans.ledger import Ledger, stage_key
from backtrans.records import Row, is_kept
from backtrans.snapshots import PUBLISHED, Snapshot, published_columns, read_manifest

Kind = Literal["added", "removed", "changed"]

NOT_SCORED = "not scored"
"""The reason of a row that the other part does not hold at all: refused before it was scored."""

_COMPARED = [name for name in PUBLISHED.names if name != "run"]


@dataclass(frozen=True, slots=True)
class Change:
    """One row that differs."""

    kind: Kind
    reason: str  # for a changed row: the columns that differ
    id: str
    document_id: str | None
    object: str


@dataclass(frozen=True, slots=True)
class _Shard:
    """A shard as one manifest names it."""

    object: str
    part: str
    taken_down: frozenset[str]
    curated: str | None  # the key of its curated commit, where the part is a later stage's


def changes(ledger: Ledger, before: Snapshot, after: Snapshot) -> Iterator[Change]:
    """Yield what differs in A4, shard by shard. Raises: KeyMissing where a part has expired."""
    old, new = _shards(ledger, before), _shards(ledger, after)
    for name in dict.fromkeys([*old, *new]):
        was, now = old.get(name), new.get(name)
        if was is None and now is not None:
            yield from _all("added", _whence(now, new, old, "new object"), _kept(ledger, now))
        elif now is None and was is not None:
            yield from _all("removed", _whence(was, old, new, "object gone"), _kept(ledger, was))
        elif was is not None and now is not None and was != now:
            yield from _between(ledger, was, now)


def _shards(ledger: Ledger, snapshot: Snapshot) -> dict[str, _Shard]:
    found = snapshot.fingerprints

    def curated(shard: str) -> str | None:
        return stage_key("curate", found["curate"], shard) if "choose" in found else None

    return {
        row["shard"]: _Shard(
            row["object"], row["part"], frozenset(row["taken_down"]), curated(row["shard"])
        )
        for row in read_manifest(ledger, snapshot).to_pylist()
    }


def _whence(shard: _Shard, mine: dict[str, _Shard], other: dict[str, _Shard], alone: str) -> str:
    """Say why a shard is in one snapshot only; `alone` where its object is too."""
    there = {name for name, each in other.items() if each.object == shard.object}
    if not there:
        return alone
    here = {name for name, each in mine.items() if each.object == shard.object}
    return "shard not complete" if here & there else "object changed"


def _rows(ledger: Ledger, shard: _Shard) -> dict[str, Row]:
    """Return the rows of a part, and of the curated one those that never came to it: refused."""
    part = ledger.read_rows(shard.part)
    rows = {row["id"]: row for row in _with_outcomes(part)}
    if shard.curated and (commit := ledger.commit_of("curate", shard.curated)) is not None:
        curated = {row["id"]: row for row in _with_outcomes(ledger.read_part(commit))}
        rows = {name: row for name, row in curated.items() if not is_kept(row)} | rows
    return rows


def _with_outcomes(part: pa.Table) -> list[Row]:
    outcomes = part["reject_reason"].to_pylist()
    rows = published_columns(part).to_pylist()
    return [{**row, "reject_reason": why} for row, why in zip(rows, outcomes, strict=True)]


def _kept(ledger: Ledger, shard: _Shard) -> list[Row]:
    return [row for row in _rows(ledger, shard).values() if _why_not(row, shard) is None]


def _all(kind: Kind, reason: str, rows: list[Row]) -> Iterator[Change]:
    for row in rows:
        yield _change(kind, reason, row)


def _between(ledger: Ledger, was: _Shard, now: _Shard) -> Iterator[Change]:
    """Compare the two parts of one shard, or what a takedown left of one part."""
    old = _rows(ledger, was)
    new = old if was.part == now.part else _rows(ledger, now)
    for name in dict.fromkeys([*old, *new]):
        before, after = _why_not(old.get(name), was), _why_not(new.get(name), now)
        if before is not None and after is None:
            yield _change("added", before, new[name])
        elif before is None and after is not None:
            yield _change("removed", after, old[name])
        elif before is None and after is None:
            differ = [c for c in _COMPARED if old[name][c] != new[name][c]]
            if differ:
                yield _change("changed", ", ".join(differ), new[name])


def _why_not(row: Row | None, shard: _Shard) -> str | None:
    """Say why a row is not in a snapshot; None where it is."""
    if row is None:
        return NOT_SCORED
    if row["id"] in shard.taken_down:
        return "taken down"
    return None if is_kept(row) else str(row["reject_reason"])


def _change(kind: Kind, reason: str, row: Row) -> Change:
    return Change(kind, reason, row["id"], row["document_id"], row["object"])
