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

from backtrans.corpus.document import Document, Record, Unread
from backtrans.corpus.reader import ReaderSettings, documents
from backtrans.corpus.segment import SegmentSettings, Span, spans
from backtrans.ledger import Commit, Index, Ledger, Usage, fingerprint, index_key, stage_key
from backtrans.records import SEGMENT, Reject, Row, rejected, table
from backtrans.store import Store, StoreSettings, open_input
from backtrans.takedown import Withdrawn
from backtrans.work import Address

STAGE = "select"

VERSION = "select/1"
"""Part of the fingerprint, like a role's: a new one when reading or cutting gives other rows."""


def shard_identity(object_fingerprint: str, shard_rows: int, index: int) -> str:
    """Name the shard that holds an object's rows from `index * shard_rows` on."""
    return fingerprint("shard", object_fingerprint, shard_rows, index)


def select_key(stage_fingerprint: str, shard: str) -> str:
    """Return the key under which a shard's segments are committed."""
    return stage_key(STAGE, stage_fingerprint, shard)


def segment_id(shard: str, row_in_shard: int, piece: int | None = None) -> str:
    """Name a segment, apart from any other's; `piece` counts where a document gives several."""
    name = f"{shard[:16]}-{row_in_shard:06d}"
    return name if piece is None else f"{name}-{piece}"


@dataclass(frozen=True, slots=True)
class SelectWork:
    """The stage as a runtime takes it; an address is an input object and its fingerprint."""

    store: StoreSettings  # of the root
    input: StoreSettings  # by which input objects are opened
    reader: ReaderSettings
    segment: SegmentSettings
    shard_rows: int
    stage_fingerprint: str
    run: str
    withdrawn: Withdrawn = field(default_factory=Withdrawn)
    name: str = STAGE
    uses_engine: bool = False
    gpus_each: float = 0.0

    def open(self) -> "SelectWorker":
        """Open the store in this process."""
        return SelectWorker(self, Ledger(Store(self.store)))


class SelectWorker:
    """Selects from one object after another."""

    def __init__(self, work: SelectWork, ledger: Ledger) -> None:
        self._work = work
        self._ledger = ledger

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
        if index is not None and (found := self._indexed(index)) is not None:
            return found, 0
        commits: list[Commit] = []
        made = 0
        with closing(open_input(address.object, work.input)) as file:
            records = Counted(documents(file, address.object, work.reader))
            while (first := next(records, None)) is not None:
                held = chain((first,), islice(records, work.shard_rows - 1))
                commit, won = self._commit(address, len(commits), held)
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
        self, address: Address, number: int, records: Iterator[Record]
    ) -> tuple[Commit, bool]:
        """Use up a shard's records; return its commit, and whether this call made it."""
        work, ledger = self._work, self._ledger
        shard = shard_identity(address.shard, work.shard_rows, number)
        key = select_key(work.stage_fingerprint, shard)
        if (found := ledger.commit_of(STAGE, key)) is not None:
            deque(records, maxlen=0)
            return found, False
        began = time.monotonic()
        rows_in, rows = select(records, shard, address.object, work.segment, work.withdrawn)
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
    records: Iterable[Record],
    shard: str,
    object_url: str,
    settings: SegmentSettings,
    withdrawn: Withdrawn,
) -> tuple[int, list[Row]]:
    """Build the rows of a shard's part, and say how many there must be.

    Rows: one a segment; one Reject a record that gives none. They are counted as they are found,
    before rows are built of them.
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
        found = _pieces(record, settings)
        if why := withdrawn.why(record.id, record.url, object_url):
            found = Reject("taken_down", why)
            about["metadata"] = None
        if isinstance(found, Reject):
            rows_in += 1
            rows.append(rejected({"id": segment_id(shard, row_in_shard), **about}, found))
            continue
        rows_in += len(found)
        for piece, (text, span) in enumerate(found):
            name = segment_id(shard, row_in_shard, piece if len(found) > 1 else None)
            place = {"start_char": span.start, "end_char": span.end}
            rows.append({"id": name, "text": text, **about, **place})
    return rows_in, rows


def _pieces(
    record: Document | Unread, settings: SegmentSettings
) -> list[tuple[str, Span]] | Reject:
    """Return a record's segments, text and span, or why there are none."""
    if isinstance(record, Unread):
        return record.reject
    found = spans(record, settings)
    if isinstance(found, Reject):
        return found
    return [(record.text[span.start : span.end], span) for span in found]
