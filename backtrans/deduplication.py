"""What deduplicating a corpus takes: its generations, and the work that brings them to decisions.

A run finishes the generations that are begun, by whomever, and begins one for the shards that are
in none. Each is spread by hash, matched bucket by bucket and gathered, and then its shards can be
decided about.

Promises: a segment is refused where an earlier one is like it: any of its generation, and of those
before it one that was kept and that the corpus still has. So decisions hang on nothing but which
shards were new together, and which had gone; one that is committed stays. Two drivers at once do
each other's work, harmlessly. Memory: an Arrow row a shard, and its identity.

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
from backtrans.works import Works

STAGE = "deduplicate"


class Deduplication:
    """The stage's work over one ledger, as far as the recipe has the stage."""

    def __init__(self, ledger: Ledger, resolved: Resolved, works: Works) -> None:
        self._ledger = ledger
        self._resolved = resolved
        self._works = works

    def phases(
        self, run: str, standing: Standing, corpus: list[Address]
    ) -> Iterator[tuple[Work, list[Address]]]:
        """Yield work and its addresses, each when what came before has been done.

        `corpus` are all its shards. Where a generation cannot be finished, there is
        nothing more: its shards, and those of later ones, stay pending.
        """
        if STAGE not in self._resolved.stages:
            return
        pending = standing.pending((STAGE,), standing.reached(("select",), corpus))
        if not pending:
            return
        generations = Generations(self._ledger, self._resolved.fingerprints[STAGE])
        selected = standing.table("select", pending)
        while True:
            known = generations.upto()
            for generation in known:
                yield from self._finish(generation)
                if not self._is_finished(generation):
                    return
            parts = [part for each in known for part in each.shards["part"].chunks]
            listed = pc.is_in(selected["part"], pa.chunked_array(parts, pa.string()))
            fresh = selected.filter(pc.invert(listed))
            if fresh.num_rows == 0:
                break
            # What a takedown withdrew still counts: its copies had better not come instead.
            present = standing.shards_of(standing.withdrawn_objects)
            present += [address.shard for address in corpus]
            generations.begin(known, fresh, present)
        number = known[-1].number if known else 0
        yield self._works.deduplicate_work(run, number), pending

    def _finish(self, generation: Generation) -> Iterator[tuple[Work, list[Address]]]:
        """Yield what is left to do of a generation before its shards can be decided about."""
        if self._is_finished(generation):
            return
        number = generation.number
        batches, spans = range(generation.batches), range(generation.spans)
        buckets, last = range(generation.buckets), generation.spans - 1
        steps: list[tuple[Work, str, list[str]]] = [
            (self._works.spread_work(number), "batch", [generation.segments(b) for b in batches]),
            (
                self._works.match_work(number),
                "bucket",
                [generation.verdicts(b, last) for b in buckets],
            ),
            (self._works.gather_work(number), "span", [generation.copies(s) for s in spans]),
        ]
        for work, kind, keys in steps:
            if left := self._left(generation, keys):
                yield work, _addresses(generation, kind, left)
                if self._left(generation, keys):
                    return
        self._ledger.store.put_new(generation.finished, b"")

    def _is_finished(self, generation: Generation) -> bool:
        return self._ledger.store.exists(generation.finished)

    def _left(self, generation: Generation, keys: list[str]) -> list[int]:
        """Return which of these objects are not there, by their places; one listing."""
        kind = keys[0].removeprefix(generation.folder).split("/")[0]
        listed = self._ledger.store.list(f"{generation.folder}{kind}/")
        there = {info.key for info in listed}
        return [place for place, key in enumerate(keys) if key not in there]


def _addresses(generation: Generation, kind: str, numbers: list[int]) -> list[Address]:
    name, folder = f"generation {generation.number}, {kind}", generation.folder.split("/")[-2]
    return [Address(f"{folder}-{kind}-{n}", folder, f"{name} {n}", n) for n in numbers]
