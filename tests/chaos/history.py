"""What readers of the splits saw during a storm, and whether all of it could have been one truth.

A reader asks for the latest snapshot and reads all its files, again and again; each time is a
`Read`. `faults` judges a whole history of them, of any number of readers. It is a pure function: it
knows no store, so that it is shown to see each fault by histories made up for that.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from backtrans.errors import BacktransError
from backtrans.ledger import Ledger
from backtrans.snapshots import SPLITS, latest, read_manifest, read_split
from tests.chaos.verdict import digest


@dataclass(frozen=True, slots=True)
class Read:
    """What one reader saw at one time."""

    reader: str
    turn: int  # counts this reader's reads
    number: int  # of the snapshot; 0 where there was none yet
    said: dict[str, int] = field(default_factory=dict)  # rows by split, by the record
    ids: dict[str, list[str]] = field(default_factory=dict)  # by split, as they lie in the files
    digests: dict[str, str] = field(default_factory=dict)  # by split, of what was read
    manifest_rows: int = 0  # kept rows of the shards that the manifest names
    failure: str = ""  # what the reader was told instead of rows


def look(ledger: Ledger, reader: str, turn: int) -> Read:
    """Read the latest snapshot whole, as a user does who opens its files."""
    number = 0
    try:
        snapshot = latest(ledger)
        if snapshot is None:
            return Read(reader, turn, 0)
        number = snapshot.number
        rows = {
            split: [row for file in read_split(ledger, snapshot, split) for row in file.to_pylist()]
            for split in SPLITS
        }
        manifest = read_manifest(ledger, snapshot)
    except BacktransError as failure:
        return Read(reader, turn, number, failure=str(failure))
    return Read(
        reader,
        turn,
        number,
        dict(snapshot.rows),
        {split: [str(row["id"]) for row in rows[split]] for split in SPLITS},
        {split: digest(rows[split]) for split in SPLITS},
        sum(manifest["kept_rows"].to_pylist()),
    )


def faults(history: Iterable[Read]) -> list[str]:
    """Return what no reader should have seen, a line a fault.

    Every read is one whole snapshot: as many rows as its record and its manifest say, A5 in A4, no
    id twice. A reader's numbers never go back. A number is one snapshot, whoever reads it and when.
    """
    found: list[str] = []
    first: dict[int, Read] = {}
    last: dict[str, Read] = {}
    for read in sorted(history, key=lambda r: (r.reader, r.turn)):
        where = f"{read.reader}, read {read.turn}, snapshot {read.number}"
        if read.failure:
            found.append(f"{where}: {read.failure}")
        elif read.number:
            found += [f"{where}: {fault}" for fault in _torn(read)]
            known = first.setdefault(read.number, read)
            if (read.digests, read.said) != (known.digests, known.said):
                found.append(f"{where}: not what {known.reader} saw in its read {known.turn}")
        before = last.get(read.reader)
        if before is not None and read.number < before.number:
            found.append(f"{where}: after snapshot {before.number} in read {before.turn}")
        last[read.reader] = read
    return found


def _torn(read: Read) -> list[str]:
    found = []
    for split, ids in read.ids.items():
        if len(ids) != read.said[split]:
            found.append(f"{split} has {len(ids)} rows, and its record says {read.said[split]}")
        if twice := [name for name, times in Counter(ids).items() if times > 1]:
            found.append(f"{split} has {', '.join(sorted(twice))} more than once")
    if alone := set(read.ids["A5"]) - set(read.ids["A4"]):
        found.append(f"A5 has {', '.join(sorted(alone))}, which A4 has not")
    if len(read.ids["A4"]) != read.manifest_rows:
        rows = f"A4 has {len(read.ids['A4'])} rows"
        found.append(f"{rows}, and its manifest's shards keep {read.manifest_rows}")
    return found
