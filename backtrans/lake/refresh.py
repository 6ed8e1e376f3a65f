"""Bring the lake table to a snapshot: put the files that are new, then one transaction.

Promises: afterwards the table equals the snapshot row by row, whatever snapshot it held before, or
nothing has changed; files whose rows are the same stay. Safe to call at any time and from several
drivers: a table that holds the snapshot, or a later one, is left alone, and a driver that dies
leaves at worst files that no transaction names (`vacuum` finds them).

Does not know: how snapshots come about, or Delta.
"""

from dataclasses import dataclass
from uuid import uuid4

from backtrans.errors import KeyMissing, StoreError
from backtrans.lake.files import Cut, data_files
from backtrans.lake.table import LakeTable, TableFile
from backtrans.ledger import Ledger
from backtrans.snapshots import Snapshot, read_split
from backtrans.store import StoreSettings

_NAME = "lake/owner"
"""The object under the root that holds the name by which its lake table knows it. It is not the
root's URL: another root at the same place, whose snapshots count from 1 again, is another owner."""

_ATTEMPTS = 5
"""How often a transaction is tried that met another. Source: this project's choice; another
publisher's makes this one needless, so only strangers' (a compaction, say) can take several."""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a table holds, and what this call did about it; counts are of files."""

    uri: str
    number: int
    version: int
    added: int = 0
    removed: int = 0
    kept: int = 0


def lake_table(ledger: Ledger, settings: StoreSettings) -> LakeTable:
    """Return the table at a place as this root's. Touches nothing."""
    try:
        owner = ledger.store.get(_NAME).decode()
    except KeyMissing:
        owner = "nobody"  # a root that has never published to a lake owns no table
    return LakeTable(settings, owner)


def held_number(ledger: Ledger, settings: StoreSettings) -> int | None:
    """Return the number of the snapshot that the table holds, None where there is no table.

    Raises: StoreError for a table that this root did not write.
    """
    held = lake_table(ledger, settings).held()
    return held.number if held else None


def refresh(
    ledger: Ledger, snapshot: Snapshot, settings: StoreSettings, cut: Cut | None = None
) -> Refreshed:
    """Bring the table to the snapshot, unless it is there or further.

    Rows: all of the snapshot's -> the same in the table. Raises: StoreError.
    """
    ledger.store.put_new(_NAME, uuid4().hex.encode())
    table = lake_table(ledger, settings)
    put: dict[str, TableFile] = {}  # by digest, over all attempts: a file is put once
    for _ in range(_ATTEMPTS):
        before = table.held()
        if before is not None and before.number >= snapshot.number:
            return Refreshed(table.uri, before.number, before.version, kept=len(before.files))
        files = before.files if before else []
        held = {(file.split, file.digest): file for file in files}
        added: list[TableFile] = []
        kept: set[str] = set()
        for file in data_files(read_split(ledger, snapshot, snapshot.widest), cut or Cut()):
            if (found := held.get((file.split, file.digest))) is not None:
                kept.add(found.path)
                continue
            if file.digest not in put:
                put[file.digest] = table.put(file)
            added.append(put[file.digest])
        removed = [file for file in files if file.path not in kept]
        if table.commit(before, snapshot.number, snapshot.digest, added, removed):
            version = before.version + 1 if before else 0
            counts = (len(added), len(removed), len(kept))
            return Refreshed(table.uri, snapshot.number, version, *counts)
    raise StoreError(f"{table.uri}: another writer came first, {_ATTEMPTS} times in a row")
