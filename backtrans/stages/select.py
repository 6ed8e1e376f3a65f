"""Select: read input objects once, cut them into shards, keep the segments that could be responses.

Promises: an object is read as a stream, one shard of it in memory; every input row is in the part,
kept or with the reason why not; a shard is named by the object's content and its place in it, never
by the object's name, so the same bytes elsewhere are the same shards; what is committed is not
written again; the index is put last, when every shard that it names is committed.

Does not know: what is asked about the segments later. It trusts that an object still holds the
content that its fingerprint was taken of.
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain, islice

from backtrans.corpus.document import Record, Unread
from backtrans.corpus.reader import ReaderSettings, documents
from backtrans.corpus.screening import Screen, ScreenSettings
from backtrans.corpus.span import Span
from backtrans.evaluations import EvaluationSettings, index
from backtrans.ledger import Commit, Index, Ledger, Usage, fingerprint, index_key, stage_key
from backtrans.records import SEGMENT, SHARD_CHARS, Reject, Row, is_kept, rejected, table
from backtrans.retry import NO_RETRY, Retry
from backtrans.store import Store, StoreSettings, open_input
from backtrans.takedown import Withdrawn
from backtrans.work import Address

STAGE = "select"

BROKE_OFF = "unreadable_rest"
"""The reason that stands for any number of rows, and maybe for shards that nobody has seen."""

VERSION = "select/4"
"""Part of the fingerprint, like a role's: a new one when reading or cutting gives other rows."""


def shard_identity(object_fingerprint: str, shard_rows: int, index: int) -> str:
    """Name the shard that holds an object's rows from `index * shard_rows` on."""
    return fingerprint("shard", object_fingerprint, shard_rows, index)


def select_key(stage_fingerprint: str, shard: str) -> str:
    """Return the key under which a shard's segments are committed."""
    return stage_key(STAGE, stage_fingerprint, shard)


def segment_id(shard: str, row_in_shard: int, piece: int | None = None) -> str:
    """Name a segment, apart from any other's; `piece` counts where a document gives several."""
    name = f"{shard[:SHARD_CHARS]}-{row_in_shard:06d}"
    return name if piece is None else f"{name}-{piece}"


@dataclass(frozen=True, slots=True)
class SelectWork:
    """The stage as a runtime takes it; an address is an input object and its fingerprint."""

    store: StoreSettings  # of the root
    input: StoreSettings  # by which input objects are opened
    reader: ReaderSettings
    screen: ScreenSettings
    evaluations: EvaluationSettings
    shard_rows: int
    stage_fingerprint: str
    run: str
    retry: Retry = NO_RETRY
    withdrawn: Withdrawn = field(default_factory=Withdrawn)
    name: str = STAGE
    uses_engine: bool = False
    gpus_each: float = 0.0

    def open(self) -> "SelectWorker":
        """Open the store in this process, and the evaluation sets. Raises: InputError."""
        return SelectWorker(self, Ledger(Store(self.store)))


class SelectWorker:
    """Selects from one object after another."""

    def __init__(self, work: SelectWork, ledger: Ledger) -> None:
        self._work = work
        self._ledger = ledger
        self._screen = Screen(work.screen, index(work.evaluations))

    async def do(self, address: Address) -> tuple[list[Commit], int]:
        """Select from an object unless that is done.

        Raises: InputError when it is missing, or cannot be opened as its format.
        """
        return await asyncio.to_thread(self._do, address)

    def close(self) -> None:
        """Hold nothing."""

    def _do(self, address: Address) -> tuple[list[Commit], int]:
        work, ledger = self._work, self._ledger
        key = index_key(work.stage_fingerprint, address.shard)
        index = ledger.index_of(key)
        found = None if index is None else self._indexed(index)
        if found is not None and not any(work.retry.concerns(c, work.run) for c in found):
            return found, 0
        commits: list[Commit] = []
        made = 0
        with closing(open_input(address.object, work.input)) as file:
            records = Counted(documents(file, address.object, work.reader))
            while (first := next(records, None)) is not None:
                held = chain((first,), islice(records, work.shard_rows - 1))
                commit, won = self._commit(address, key, len(commits), held)
                commits.append(commit)
                made += won
        shards = tuple(commit.shard for commit in commits)
        ledger.put_index(Index(key, address.object, address.shard, records.rows, shards))
        return commits, made

    def _indexed(self, index: Index) -> list[Commit] | None:
        """Return the commits of an index, or None where one of them is gone."""
        keys = [select_key(self._work.stage_fingerprint, shard) for shard in index.shards]
        commits = [self._ledger.commit_of(STAGE, key) for key in keys]
        there = [commit for commit in commits if commit is not None]
        return there if len(there) == len(commits) else None

    def _commit(
        self, address: Address, index: str, number: int, records: Iterator[Record]
    ) -> tuple[Commit, bool]:
        """Use up a shard's records; return its commit, and whether this call made it."""
        work, ledger = self._work, self._ledger
        shard = shard_identity(address.shard, work.shard_rows, number)
        key = select_key(work.stage_fingerprint, shard)
        found = ledger.commit_of(STAGE, key)
        # A shard that broke off is looked at whenever its object is read: a retry that was killed
        # may have left it as it was, and what follows it is only reached now.
        again = found is not None and (
            work.retry.concerns(found, work.run) or found.refused_for((BROKE_OFF,)) > 0
        )
        if found is not None and not again:
            deque(records, maxlen=0)
            return found, False
        began = time.monotonic()
        rows_in, rows = select(records, shard, address.object, self._screen, work.withdrawn)
        if found is not None:
            return self._replace(found, index, rows, Usage(seconds=time.monotonic() - began))
        part = table(rows, SEGMENT)
        return ledger.settle(
            STAGE,
            key,
            shard=shard,
            object_url=address.object,
            first_row=number * work.shard_rows,
            rows_in=rows_in,
            part=part,
            usage=Usage(seconds=time.monotonic() - began),
            run=work.run,
        )

    def _replace(
        self, old: Commit, index: str, fresh: list[Row], usage: Usage
    ) -> tuple[Commit, bool]:
        """Put what came of reading a shard again in its part's place, if that changes anything."""
        work, ledger = self._work, self._ledger
        before = ledger.read_part(old).to_pylist()
        rows = merged(before, fresh, (*work.retry.reasons, BROKE_OFF))
        if outcomes(rows) == outcomes(before):
            return old, False
        with ledger.epochs.changing():
            if rows[-1]["row"] != before[-1]["row"] or ends_broken(before) != ends_broken(rows):
                # The object's index knows nothing of the rows that follow, nor of later shards.
                work.retry.retract_below(ledger, STAGE, old.shard)
                ledger.forget_index(index)
            part = table(rows, SEGMENT)
            commit = work.retry.replace(
                ledger, old, rows_in=len(rows), part=part, usage=usage, run=work.run
            )
        return commit, True


class Counted:
    """Records, counted as they are taken."""

    def __init__(self, records: Iterator[Record]) -> None:
        self._records = records
        self.rows = 0

    def __iter__(self) -> "Counted":
        return self

    def __next__(self) -> Record:
        record = next(self._records)
        self.rows += 1
        return record


def select(
    records: Iterable[Record], shard: str, object_url: str, screen: Screen, withdrawn: Withdrawn
) -> tuple[int, list[Row]]:
    """Build the rows of a shard's part, and say how many there must be.

    Rows: one a segment, kept or refused; one Reject a record that gives none. They are counted as
    they are found, before rows are built of them. A refused row has no text: its span says where
    that stands.
    """
    rows_in = 0
    rows: list[Row] = []
    for row_in_shard, (row, record) in enumerate(records):
        about = {
            "object": object_url,
            "row": row,
            "document_id": record.id,
            "source": record.source,
            "url": record.url,
            "added": record.added,
            "created": record.created,
            "metadata": record.metadata,
        }
        if why := withdrawn.why(record.id, record.url, object_url):
            found: list[Span] | Reject = Reject("taken_down", why)
            about["metadata"] = None
        else:
            found = record.reject if isinstance(record, Unread) else screen.spans(record)
        if isinstance(found, Reject) or isinstance(record, Unread):
            assert isinstance(found, Reject)
            rows_in += 1
            rows.append(rejected({"id": segment_id(shard, row_in_shard), **about}, found))
            continue
        rows_in += len(found)
        for piece, span in enumerate(found):
            name = segment_id(shard, row_in_shard, piece if len(found) > 1 else None)
            here = {"id": name, **about, "start_char": span.start, "end_char": span.end}
            passed = screen.look(record.text[span.start : span.end], record)
            if isinstance(passed, Reject):
                rows.append(rejected(here, passed))
            else:
                rows.append({**here, "text": passed.text, "masked": passed.found})
    return rows_in, rows


def merged(before: list[Row], fresh: list[Row], reasons: tuple[str, ...]) -> list[Row]:
    """Return a shard's rows with documents refused for these reasons as they have been read again.

    Rows: a document of which a segment comes through now has its segments as they are read now;
    all others as they were. Where the object had broken off, whatever has been read from there on.
    """
    was, now = by_document(before), by_document(fresh)
    rows: list[Row] = []
    for row, old in was.items():
        again = now.get(row, [])
        if old[0]["reject_reason"] == BROKE_OFF:
            rows += [each for each in fresh if each["row"] >= row] or old
        elif kept_ids(again) - kept_ids(old) and any(r["reject_reason"] in reasons for r in old):
            rows += again
        else:
            rows += old
    return rows


def by_document(rows: list[Row]) -> dict[int, list[Row]]:
    """Return rows by the number of their document's row in the object, in order."""
    found: dict[int, list[Row]] = {}
    for row in rows:
        found.setdefault(row["row"], []).append(row)
    return found


def kept_ids(rows: list[Row]) -> set[str]:
    """Return the ids of the rows that are kept."""
    return {row["id"] for row in rows if is_kept(row)}


def outcomes(rows: list[Row]) -> list[tuple[str, str | None]]:
    """Return what became of each row."""
    return [(row["id"], row.get("reject_reason")) for row in rows]


def ends_broken(rows: list[Row]) -> bool:
    """Say whether an object broke off within these rows."""
    return bool(rows) and rows[-1].get("reject_reason") == BROKE_OFF
