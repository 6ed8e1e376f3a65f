"""Spread: lay a generation's segments out by hash, so that all that may be alike meet in one place.

An address is a batch of a generation's shards. Their texts are read once and sketched, and an
object a bucket is put with the hashes that fall into it.

Promises: one shard's texts in memory, and the hashes and sketches of one batch; a segment that an
earlier generation has is not laid out again; the batch's ids are put last, and where they are, the
batch is done. A part that is gone or broken has no segments here: whoever decides about its shard
will say so. Commits nothing.

Does not know: what is alike.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from backtrans.buckets import SEGMENTS, cut, encoded
from backtrans.corpus.duplicates import LikenessSettings, entries
from backtrans.corpus.similarity import Sketcher, Sketches, contents
from backtrans.errors import KeyMissing, PartUnreadable
from backtrans.generations import Generation, Generations, in_order
from backtrans.ledger import Commit, Ledger
from backtrans.records import SEGMENT, parquet
from backtrans.store import Store, StoreSettings
from backtrans.work import Address

_READ = ["id", "text", "reject_reason"]


@dataclass(frozen=True, slots=True)
class SpreadWork:
    """The step as a runtime takes it; an address' `first_row` is the number of a batch."""

    store: StoreSettings
    likeness: LikenessSettings
    stage_fingerprint: str
    generation: int
    name: str = "deduplicate.spread"
    uses_engine: bool = False
    gpus_each: float = 0.0

    def open(self) -> "SpreadWorker":
        """Open the store in this process, and read the records of the generations."""
        return SpreadWorker(self, Ledger(Store(self.store)))


class SpreadWorker:
    """Spreads one batch after another."""

    def __init__(self, work: SpreadWork, ledger: Ledger) -> None:
        self._ledger = ledger
        *self._earlier, self._generation = Generations(ledger, work.stage_fingerprint).upto(
            work.generation
        )
        self._sketched: Callable[[list[str]], Sketches] = contents
        if work.likeness.near:
            self._sketched = Sketcher(work.likeness.shingle_words).sketched

    async def do(self, address: Address) -> tuple[list[Commit], int]:
        """Spread a batch unless that is done."""
        await asyncio.to_thread(self._do, address.first_row)
        return [], 0

    def close(self) -> None:
        """Hold nothing."""

    def _do(self, batch: int) -> None:
        generation, store = self._generation, self._ledger.store
        done = generation.segments(batch)
        if store.exists(done):
            return
        shards = generation.shards.filter(pc.equal(generation.shards["batch"], batch))
        known = self._known(shards.filter(shards["again"])["shard"].to_pylist())
        ids, found = self._segments(shards["part"].to_pylist(), known)
        put = [
            (generation.entries(bucket, batch), table)
            for bucket, table in enumerate(cut(ids, entries(found), generation.bits))
        ]

        def put_entries(entry: tuple[str, pa.Table]) -> None:
            store.put_new(entry[0], encoded(entry[1]))

        for _ in in_order(put_entries, put):
            pass
        store.put_new(done, parquet(pa.table([ids], schema=SEGMENTS)))

    def _segments(self, parts: list[str], known: set[str]) -> tuple[pa.Array, Sketches]:
        """Return the kept segments of parts that are not known, sorted by id within each part."""
        every_id: list[str] = []
        sketches = [self._sketched([])]
        for part in parts:
            try:
                rows = self._ledger.read_rows(part, _READ)
            except (KeyMissing, PartUnreadable):
                continue
            rows = rows.filter(pc.is_null(rows["reject_reason"])).sort_by("id")
            texts = dict(zip(rows["id"].to_pylist(), rows["text"].to_pylist(), strict=True))
            new = [name for name in texts if name not in known]
            every_id += new
            sketches.append(self._sketched([texts[name] for name in new]))
        return pa.array(every_id, SEGMENT.field("id").type), Sketches(
            np.concatenate([each.content for each in sketches]),
            np.concatenate([each.bands for each in sketches]),
            np.concatenate([each.bytes for each in sketches]),
        )

    def _known(self, shards: list[str]) -> set[str]:
        """Return the ids that earlier generations have of these shards' batches."""
        if not shards:
            return set()
        places: dict[int, Generation] = {each.number: each for each in self._earlier}
        wanted: dict[int, set[int]] = defaultdict(set)
        for number, generation in places.items():
            there = pc.is_in(generation.shards["shard"], pa.array(shards, pa.string()))
            wanted[number].update(generation.shards.filter(there)["batch"].to_pylist())
        keys = [places[n].segments(batch) for n, held in wanted.items() for batch in held]
        read = self._ledger.read_rows
        return {name for table in in_order(read, keys) for name in table["id"].to_pylist()}
