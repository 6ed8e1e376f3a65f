"""Keep the pairs that the judge thinks well of, and say why the others go.

Reads a shard's segments, pairs and scores, and joins them by id into rows that stand alone: the
instruction, the response, the judgement and where it all came from. A4 holds the kept rows, A5
those of them whose `split` says so.

Without the filter every scored pair is kept, those that would be refused as `rest`.

Promises: every scored pair comes out kept or refused; the order is the shard's; A4 and A5 hold the
same pairs with the filter and without. Does not know models, nor how rows are gathered into splits.
"""

import asyncio
from dataclasses import dataclass

import pyarrow as pa

from backtrans.corpus.contamination import NGrams
from backtrans.evaluations import EvaluationSettings, index
from backtrans.ledger import Commit, Ledger
from backtrans.records import CURATED, Reject, Row, is_kept, rejected, table
from backtrans.settling import Made, committed, settled
from backtrans.store import Store, StoreSettings
from backtrans.thresholds import Thresholds
from backtrans.work import Address

STAGE = "curate"


def curate(
    segments: dict[str, Row],
    pairs: dict[str, Row],
    scores: list[Row],
    thresholds: Thresholds,
    evaluations: NGrams | None = None,
) -> list[Row]:
    """Join kept scores with their pairs and segments and judge each. Rows: N scores -> N.

    An instruction that is an evaluation set's goes whatever its score; responses have been looked
    at when they were selected.
    """
    rows = []
    for score in scores:
        segment, pair = segments[score["id"]], pairs[score["id"]]
        row = {
            **segment,
            **score,
            "instruction": pair["instruction"],
            "response": segment["text"],
            "backward_role": pair["role_version"],
            "backward_model": pair["model"],
            "forward_role": score["role_version"],
            "forward_model": score["model"],
            "probability": thresholds.probability(score),
        }
        match = evaluations.match(pair["instruction"]) if evaluations else None
        verdict = thresholds.judge(score) if match is None else match.reject
        if isinstance(verdict, Reject):
            # The text stays in the segment's part; a refused row need not carry it again.
            rows.append(rejected({**row, "response": None}, verdict))
        else:
            rows.append({**row, "split": verdict})
    return rows


@dataclass(frozen=True, slots=True)
class CurateWork:
    """The stage as a runtime takes it."""

    store: StoreSettings
    thresholds: Thresholds
    run: str
    select_key: str  # fingerprints of the stages that it reads, and its own
    backtranslate_key: str
    score_key: str
    curate_key: str
    evaluations: EvaluationSettings
    name: str = STAGE
    uses_engine: bool = False
    gpus_each: float = 0.0

    def open(self) -> "CurateWorker":
        """Open the store in this process."""
        return CurateWorker(self, Ledger(Store(self.store)))


class CurateWorker:
    """Curates one shard after another."""

    def __init__(self, work: CurateWork, ledger: Ledger) -> None:
        self._work = work
        self._ledger = ledger
        self._evaluations = index(work.evaluations)

    async def do(self, address: Address) -> tuple[list[Commit], int]:
        """Curate a shard unless that is done. Raises: StoreError where an upstream is missing."""
        return await asyncio.to_thread(self._do, address)

    def close(self) -> None:
        """Hold nothing."""

    def _do(self, address: Address) -> tuple[list[Commit], int]:
        work = self._work
        return settled(
            self._ledger,
            STAGE,
            work.curate_key,
            address,
            work.run,
            lambda: self._made(address.shard),
        )

    def _made(self, shard: str) -> Made:
        work, ledger = self._work, self._ledger
        selected = committed(ledger, "select", work.select_key, shard)
        paired = committed(ledger, "backtranslate", work.backtranslate_key, shard)
        scored = committed(ledger, "score", work.score_key, shard)
        segments, pairs, scores = map(self._kept, (selected, paired, scored))
        rows = curate(
            {row["id"]: row for row in segments},
            {row["id"]: row for row in pairs},
            [{**row, "run": scored.run} for row in scores],
            work.thresholds,
            self._evaluations,
        )
        reads = (selected.part, paired.part, scored.part)
        return Made(table(rows, CURATED), len(scores), reads)

    def _kept(self, commit: Commit) -> list[Row]:
        part: pa.Table = self._ledger.read_part(commit)
        return [row for row in part.to_pylist() if is_kept(row)]
