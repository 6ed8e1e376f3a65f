"""Deduplicate: refuse the segments that are copies of earlier ones, and keep the first of each.

An address is a shard. What its segments are copies of has been found and gathered; here the shard's
part is committed: ids and outcomes, no text.

Promises: every kept segment of select comes out kept or refused, in the shard's order; the detail
names the segment that it is a copy of. Verdicts are read once a worker for the shards of a span
that it gets one after another.

Does not know: how segments are compared; it trusts that all that it needs has been gathered.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from backtrans.corpus.similarity import estimated
from backtrans.errors import StoreError
from backtrans.generations import SPAN_BATCHES, Generation, Generations
from backtrans.ledger import Ledger, stage_key
from backtrans.records import DEDUPLICATED, Reject, Row, is_kept, rejected, table
from backtrans.settling import Made, Settler
from backtrans.store import Store, StoreSettings
from backtrans.work import Address

STAGE = "deduplicate"

VERSION = "deduplicate/1"
"""Part of the fingerprint: a new one when the same segments in the same order are judged otherwise.
"""

_SPANS_HELD = 2
"""Spans whose verdicts a worker holds: shards come in order, so it needs one, or two at a seam."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a segment is a copy of."""

    same: bool  # the same words; else alike
    like: str
    agreeing: int

    @property
    def reject(self) -> Reject:
        """The reason for which such a segment is refused."""
        if self.same:
            return Reject("duplicate", f"the words of {self.like}")
        return Reject("near_duplicate", f"{estimated(self.agreeing):.2f} like {self.like}")


def judged(segments: list[str], verdicts: Mapping[str, Verdict]) -> list[Row]:
    """Build the rows of a part. Rows: N -> N."""
    return [
        rejected({"id": name}, verdicts[name].reject) if name in verdicts else {"id": name}
        for name in segments
    ]


@dataclass(frozen=True, slots=True)
class DeduplicateWork:
    """The stage as a runtime takes it."""

    store: StoreSettings
    run: str
    select_key: str  # fingerprints of the stage that it reads, and its own
    stage_fingerprint: str
    generation: int  # the last one that is finished
    name: str = STAGE
    uses_engine: bool = False
    gpus_each: float = 0.0

    def open(self) -> Settler:
        """Open the store in this process, and read the records of the generations."""
        ledger = Ledger(Store(self.store))
        make = _Deduplicating(self, ledger).make
        return Settler(ledger, STAGE, self.stage_fingerprint, self.run, make)


class _Deduplicating:
    """Decides about one shard after another."""

    def __init__(self, work: DeduplicateWork, ledger: Ledger) -> None:
        self._ledger = ledger
        self._select_key = work.select_key
        self._listed: dict[str, list[tuple[Generation, int, str]]] = {}
        for generation in Generations(ledger, work.stage_fingerprint).upto(work.generation):
            columns = (generation.shards[name].to_pylist() for name in ("shard", "batch", "part"))
            for shard, batch, part in zip(*columns, strict=True):
                self._listed.setdefault(shard, []).append((generation, batch, part))
        self._spans: OrderedDict[tuple[int, int], dict[str, Verdict]] = OrderedDict()
        self._lock = threading.Lock()

    def make(self, address: Address) -> Made:
        shard = address.shard
        part = self._part(shard)
        rows = self._ledger.read_rows(part, ["id", "reject_reason"]).to_pylist()
        segments = [row["id"] for row in rows if is_kept(row)]
        wanted = set(segments)
        verdicts: dict[str, Verdict] = {}
        for generation, batch, _ in self._listed[shard]:
            in_span = self._verdicts(generation, batch // SPAN_BATCHES)
            verdicts |= {name: in_span[name] for name in wanted if name in in_span}
        return Made(table(judged(segments, verdicts), DEDUPLICATED), len(segments), (part,))

    def _part(self, shard: str) -> str:
        """Return the part of select that is decided about, one that a generation names.

        Where that is no longer the one that counts, what is committed is stale, and is done again.
        """
        key = stage_key("select", self._select_key, shard)
        selected = self._ledger.commit_of("select", key)
        listed = [part for _, _, part in self._listed.get(shard, [])]
        if selected is None or not listed:
            raise StoreError(f"select/{key}: not in a generation, though {STAGE} was asked for it")
        return selected.part if selected.part in listed else listed[-1]

    def _verdicts(self, generation: Generation, span: int) -> dict[str, Verdict]:
        """Return the verdicts of a span."""
        with self._lock:  # shards in flight together want the same
            place = (generation.number, span)
            if place not in self._spans:
                while len(self._spans) >= _SPANS_HELD:
                    self._spans.popitem(last=False)
                self._spans[place] = self._read(generation, span)
            self._spans.move_to_end(place)
            return self._spans[place]

    def _read(self, generation: Generation, span: int) -> dict[str, Verdict]:
        rows = self._ledger.read_rows(generation.copies(span))
        return {
            row["id"]: Verdict(row["same"], row["like"], row["agreeing"])
            for row in rows.to_pylist()
        }
