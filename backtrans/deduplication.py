"""What deduplicating a corpus takes: its generations, and the work that brings them to decisions.

A run finishes the generations that are begun, by whomever, and begins one for the shards that are
in none. Each is spread by hash, matched bucket by bucket, and then its shards can be decided about.

Promises: a segment is refused where an earlier one, by generation and then by id, is like it; so
decisions hang on nothing but which shards were new together, and one that is committed stays. Two
drivers at once do each other's work, harmlessly. Memory: an Arrow row a shard.

Does not know: how work is mapped, what is done with what is kept.
"""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from backtrans.generations import Generation, Generations
from backtrans.ledger import Ledger
from backtrans.resolution import Resolved
from backtrans.standing import Standing
from backtrans.work import Address, Work

STAGE = "deduplicate"


class Deduplication:
    """The stage's work over one ledger, as far as the recipe has the stage."""

    def __init__(self, ledger: Ledger, resolved: Resolved) -> None:
        self._ledger = ledger
        self._resolved = resolved

    def phases(
        self, run: str, standing: Standing, shards: list[Address]
    ) -> Iterator[tuple[Work, list[Address]]]:
        """Yield work and its addresses, each when what came before has been done.

        `shards` are those that are selected from. Where a generation cannot be finished, there is
        nothing more: its shards, and those of later ones, stay pending.
        """
        if STAGE not in self._resolved.stages:
            return
        pending = standing.pending((STAGE,), shards)
        if not pending:
            return
        generations = Generations(self._ledger, self._resolved.fingerprints[STAGE])
        selected = standing.table("select", pending)
        while True:
            known = generations.upto()
            for generation in known:
                yield from self._finish(generation)
                if not self._is_matched(generation):
                    return
            parts = [part for each in known for part in each.shards["part"].chunks]
            listed = pc.is_in(selected["part"], pa.chunked_array(parts, pa.string()))
            fresh = selected.filter(pc.invert(listed))
            if fresh.num_rows == 0:
                break
            generations.begin(known, fresh)
        number = known[-1].number if known else 0
        yield self._resolved.deduplicate_work(run, number), pending

    def _finish(self, generation: Generation) -> Iterator[tuple[Work, list[Address]]]:
        """Yield what is left to do of a generation before its shards can be decided about."""
        if self._is_matched(generation):
            return
        resolved, number = self._resolved, generation.number
        spread = [generation.segments(batch) for batch in range(generation.batches)]
        batches = self._left(generation, spread)
        if batches:
            yield resolved.spread_work(number), _addresses(generation, "batch", batches)
        if batches and self._left(generation, spread):
            return
        last = generation.spans - 1
        matched = [generation.verdicts(bucket, last) for bucket in range(generation.buckets)]
        buckets = self._left(generation, matched)
        if buckets:
            yield resolved.match_work(number), _addresses(generation, "bucket", buckets)
        if not (buckets and self._left(generation, matched)):
            self._ledger.store.put_new(generation.matched, b"")

    def _is_matched(self, generation: Generation) -> bool:
        return self._ledger.store.exists(generation.matched)

    def _left(self, generation: Generation, keys: list[str]) -> list[int]:
        """Return which of these objects are not there, by their places; one listing."""
        kind = keys[0].removeprefix(generation.folder).split("/")[0]
        listed = self._ledger.store.list(f"{generation.folder}{kind}/")
        there = {info.key for info in listed}
        return [place for place, key in enumerate(keys) if key not in there]


def _addresses(generation: Generation, kind: str, numbers: list[int]) -> list[Address]:
    name, folder = f"generation {generation.number}, {kind}", generation.folder.split("/")[-2]
    return [Address(f"{folder}-{kind}-{n}", folder, f"{name} {n}", n) for n in numbers]
