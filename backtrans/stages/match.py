"""Match: find, for each new segment of a bucket, the earliest segment that it is a copy of.

An address is a bucket of a generation. The bucket's new segments are held; those of earlier
generations pass by, object after object, in their order. Of these the ones count that were kept
there, and whose shard the corpus still has.

Promises: memory is that of the bucket's new segments, 350 bytes a hash at most, whose number the
generation bounds on average (`BUCKET_ROWS`), and of a few objects that pass by. Verdicts are put a
span of batches an object, the last span last. Commits nothing.

Does not know: texts, shards, what becomes of copies.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from backtrans.buckets import VERDICTS, entries_of
from backtrans.corpus.duplicates import NOTHING, Entries, LikenessSettings, Places, Verdicts
from backtrans.corpus.similarity import SKETCH_BYTES, bytes_needed
from backtrans.generations import SPAN_BATCHES, Generation, Generations, in_order
from backtrans.ledger import Commit, Ledger
from backtrans.records import parquet
from backtrans.store import Store, StoreSettings
from backtrans.work import Address


@dataclass(frozen=True, slots=True)
class MatchWork:
    """The step as a runtime takes it; an address' `first_row` is the number of a bucket."""

    store: StoreSettings
    likeness: LikenessSettings
    stage_fingerprint: str
    generation: int
    name: str = "deduplicate.match"
    uses_engine: bool = False
    gpus_each: float = 0.0

    def open(self) -> "MatchWorker":
        """Open the store in this process, and read the records of the generations."""
        return MatchWorker(self, Ledger(Store(self.store)))


class MatchWorker:
    """Matches one bucket after another."""

    def __init__(self, work: MatchWork, ledger: Ledger) -> None:
        self._ledger = ledger
        *self._earlier, self._generation = Generations(ledger, work.stage_fingerprint).upto(
            work.generation
        )
        likeness = work.likeness
        self._needed = bytes_needed(likeness.threshold) if likeness.near else SKETCH_BYTES

    async def do(self, address: Address) -> tuple[list[Commit], int]:
        """Match a bucket unless that is done."""
        await asyncio.to_thread(self._do, address.first_row)
        return [], 0

    def close(self) -> None:
        """Hold nothing."""

    def _do(self, bucket: int) -> None:
        generation, store = self._generation, self._ledger.store
        if store.exists(generation.verdicts(bucket, generation.spans - 1)):
            return
        tables = list(self._tables(generation, bucket))
        batch = np.repeat(np.arange(len(tables)), [table.num_rows for table in tables])
        new = pa.concat_tables(tables).combine_chunks()
        del tables
        found = self._found(bucket, new)
        span = batch[found.segment] // SPAN_BATCHES
        for number in range(generation.spans):
            verdicts = found.table.filter(pa.array(span == number))
            store.put_new(generation.verdicts(bucket, number), parquet(verdicts))

    def _found(self, bucket: int, new: pa.Table) -> "_Found":
        verdicts = Verdicts(entries_of(new), self._needed)
        named = _Named()
        for generation in self._earlier:
            for table in self._counting(generation, bucket):
                entries = entries_of(table)
                named.add(generation.number, table["id"], entries, verdicts.show(entries))
        same, like, agreeing = verdicts.close()
        chosen = np.where(same == NOTHING, like, same)
        segment = np.flatnonzero(chosen != NOTHING)
        generations, ids = named.of(chosen[segment], self._generation.number, new["id"])
        table = pa.table(
            [
                new["id"].take(pa.array(segment)),
                pa.array(same[segment] != NOTHING),
                pa.array(generations),
                ids,
                pa.array(agreeing[segment]),
            ],
            schema=VERDICTS,
        )
        return _Found(segment, table)

    def _counting(self, generation: Generation, bucket: int) -> Iterator[pa.Table]:
        """Yield an earlier generation's entries that count for this one, in order."""
        copies = VERDICTS.empty_table()
        for batch, table in enumerate(self._tables(generation, bucket)):
            if batch % SPAN_BATCHES == 0:
                key = generation.copies(batch // SPAN_BATCHES)
                copies = self._ledger.read_rows(key, ["id"])
            yield self._generation.counts(table, copies)

    def _tables(self, generation: Generation, bucket: int) -> Iterator[pa.Table]:
        """Yield the entries of a generation that fall into a bucket, and some beside, in order."""
        bits = self._generation.bits
        keys = [generation.entries(bucket, batch, bits) for batch in range(generation.batches)]
        return in_order(self._ledger.read_rows, keys)


@dataclass(frozen=True, slots=True)
class _Found:
    """The copies of a bucket: where they are among the new, and VERDICTS."""

    segment: Places
    table: pa.Table


class _Named:
    """The names of earlier segments that new ones are copies of; of the others, the number."""

    def __init__(self) -> None:
        self._shown = 0
        self._places: list[Places] = [np.zeros(0, np.int64)]
        self._generations: list[Places] = [np.zeros(0, np.int64)]
        self._ids: list[pa.Array] = []

    def add(self, generation: int, ids: pa.ChunkedArray, entries: Entries, used: Places) -> None:
        """Remember those that are used of the segments that were shown."""
        if len(used):
            self._places.append(used + self._shown)
            self._generations.append(np.full(len(used), generation))
            self._ids += ids.take(pa.array(used)).chunks
        self._shown += entries.segments

    def of(self, chosen: Places, own: int, new: pa.ChunkedArray) -> tuple[Places, pa.ChunkedArray]:
        """Return generation and id of segments, counted as `Verdicts` counts them."""
        places, generations = np.concatenate(self._places), np.concatenate(self._generations)
        is_new = chosen >= self._shown
        at = np.where(is_new, chosen - self._shown + len(places), 0)
        at[~is_new] = np.searchsorted(places, chosen[~is_new])
        ids = pa.chunked_array([*self._ids, *new.chunks], pa.string())
        numbers = np.full(len(chosen), own)
        numbers[~is_new] = generations[at[~is_new]]
        return numbers, ids.take(pa.array(at))
