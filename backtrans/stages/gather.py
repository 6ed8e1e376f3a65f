"""Gather: bring together what the buckets of a generation say of each segment.

An address is a span of batches. Its verdicts lie in as many objects as there are buckets; later
steps, and later generations, read one.

Promises: one row a copy, sorted by id: an earlier segment with the same words before one that is
merely alike, then the earliest. Memory: the verdicts of a span. Commits nothing.

Does not know: texts, shards.
"""

import asyncio
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from backtrans.buckets import VERDICTS
from backtrans.generations import Generations, in_order
from backtrans.ledger import Commit, Ledger
from backtrans.records import parquet
from backtrans.store import Store, StoreSettings
from backtrans.work import Address


@dataclass(frozen=True, slots=True)
class GatherWork:
    """The step as a runtime takes it; an address' `first_row` is the number of a span."""

    store: StoreSettings
    stage_fingerprint: str
    generation: int
    name: str = "deduplicate.gather"
    uses_engine: bool = False
    gpus_each: float = 0.0

    def open(self) -> "GatherWorker":
        """Open the store in this process, and read the records of the generations."""
        return GatherWorker(self, Ledger(Store(self.store)))


class GatherWorker:
    """Gathers one span after another."""

    def __init__(self, work: GatherWork, ledger: Ledger) -> None:
        self._ledger = ledger
        *_, self._generation = Generations(ledger, work.stage_fingerprint).upto(work.generation)

    async def do(self, address: Address) -> tuple[list[Commit], int]:
        """Gather a span unless that is done."""
        await asyncio.to_thread(self._do, address.first_row)
        return [], 0

    def close(self) -> None:
        """Hold nothing."""

    def _do(self, span: int) -> None:
        generation, store = self._generation, self._ledger.store
        if store.exists(generation.copies(span)):
            return
        keys = [generation.verdicts(bucket, span) for bucket in range(generation.buckets)]
        verdicts = pa.concat_tables(in_order(self._ledger.read_rows, keys))
        store.put_new(generation.copies(span), parquet(first_of_each(verdicts)))


def first_of_each(verdicts: pa.Table) -> pa.Table:
    """Return one of VERDICTS a segment. Rows: N -> as many as there are ids."""
    order = [("id", "ascending"), ("same", "descending")]
    order += [(name, "ascending") for name in ("generation", "like", "agreeing")]
    rows = verdicts.sort_by(order).combine_chunks()
    if rows.num_rows == 0:
        return VERDICTS.empty_table()
    ids = rows["id"].combine_chunks()
    is_first = np.ones(len(ids), bool)
    is_first[1:] = pc.not_equal(ids[1:], ids[:-1]).to_numpy(zero_copy_only=False)
    return rows.filter(pa.array(is_first)).cast(VERDICTS)
