"""Keep the pairs that the judge thinks well of, and say why the others go.

Reads a shard's segments, pairs and scores, and joins them by id into rows that stand alone: the
instruction, the response, the judgement and where it all came from. A4 holds the kept rows, A5
those of them whose `split` says so.

Without the filter every scored pair is kept, those that would be refused as `rest`.

Promises: every scored pair comes out kept or refused; the order is the shard's; A4 and A5 hold the
same pairs with the filter and without. Does not know models, nor how rows are gathered into splits.
"""

from dataclasses import dataclass

from backtrans.corpus.contamination import NGrams
from backtrans.evaluations import EvaluationSettings, index
from backtrans.ledger import Ledger
from backtrans.records import CURATED, Reject, Row, is_kept, rejected, table
from backtrans.settling import Made, Settler, read_committed
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

    def open(self) -> Settler:
        """Open the store in this process."""
        ledger = Ledger(Store(self.store))
        make = _Curating(self, ledger).make
        return Settler(ledger, STAGE, self.curate_key, self.run, make)


class _Curating:
    """Curates one shard after another."""

    def __init__(self, work: CurateWork, ledger: Ledger) -> None:
        self._ledger = ledger
        self._work = work
        self._evaluations = index(work.evaluations)

    def make(self, address: Address) -> Made:
        work, ledger, shard = self._work, self._ledger, address.shard
        selected, segments = read_committed(ledger, "select", work.select_key, shard)
        paired, pairs = read_committed(ledger, "backtranslate", work.backtranslate_key, shard)
        scored, scores = read_committed(ledger, "score", work.score_key, shard)
        kept = [{**row, "run": scored.run} for row in scores if is_kept(row)]
        rows = curate(
            {row["id"]: row for row in segments if is_kept(row)},
            {row["id"]: row for row in pairs if is_kept(row)},
            kept,
            work.thresholds,
            self._evaluations,
        )
        reads = (selected.part, paired.part, scored.part)
        return Made(table(rows, CURATED), len(kept), reads)
