"""Choose each curated pair's response: the rewrite, or the original where that was not to be had.

Reads a shard's curated pairs, their rewrites and, where these were scored, the judge's word on
them. A rewrite that was refused, that fails a check of the recipe, or that holds words of an
evaluation set is not taken; the recipe says whether the original stands in for it or the pair goes.
One that scores lower than its original always leaves the original in place.

Promises: every curated pair comes out kept or refused, in the shard's order; the judgement in a row
is of the response in it, where there is one; a threshold here costs no model call. Does not know
models, nor how rows are gathered into splits.
"""

from dataclasses import dataclass
from typing import Literal

from backtrans.corpus.contamination import NGrams
from backtrans.errors import AccountingError
from backtrans.evaluations import EvaluationSettings, index
from backtrans.ledger import Ledger
from backtrans.records import CHOSEN, JUDGEMENT, Reject, Row, is_kept, rejected, table
from backtrans.rewriting import RefuseSettings, figures
from backtrans.settling import Made, Settler, read_committed
from backtrans.store import Store, StoreSettings
from backtrans.thresholds import Thresholds
from backtrans.work import Address

STAGE = "choose"
VERSION = "choose/1"

SCORED_LOWER = "scored_lower"
"""What a row says of a rewrite that was scored, and less than its original. No row is refused."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What decides between a rewrite and its original."""

    refuse: RefuseSettings
    fallback: Literal["original", "drop"]
    thresholds: Thresholds

    def lower(self, rewrite: Row, original: Row) -> bool:
        """Say whether a rewrite's judgement is worse: a lower score, or a floor it falls under.

        With a selector it is its probability that must not be lower.
        """
        if self.thresholds.value(rewrite) < self.thresholds.value(original):
            return True
        return bool(self.thresholds.under_floor(rewrite)) and not self.thresholds.under_floor(
            original
        )


def choose(
    curated: list[Row],
    rewrites: dict[str, Row],
    scores: dict[str, Row] | None,
    choice: Choice,
    evaluations: NGrams | None = None,
) -> list[Row]:
    """Choose for each curated pair. Rows: N curated -> N.

    `rewrites` has a row, kept or refused, of every pair; `scores` of every kept rewrite, or is None
    where rewrites are not scored. Raises: KeyError where one is missing.
    """
    rows = []
    for pair in curated:
        rewrite = rewrites[pair["id"]]
        row = {
            **pair,
            "response_from": "original",
            "original_score": pair["score"],
            "rewrite_role": rewrite["role_version"],
            "rewrite_model": rewrite["model"],
        }
        if not is_kept(rewrite):
            reason, detail = rewrite["reject_reason"], rewrite["reject_detail"]
            row["rewrite_reject"] = reason
            rows.append(_without(row, Reject("not_rewritten", f"{reason}: {detail}"), choice))
            continue
        row |= figures(pair["response"], rewrite["text"])
        refused = choice.refuse.verdict(row)
        if refused is None and evaluations and (match := evaluations.match(rewrite["text"])):
            refused = match.reject
        score = None if scores is None else scores[pair["id"]]
        if score is not None and is_kept(score):
            row["rewrite_score"] = score["score"]
        elif score is not None and refused is None:
            refused = Reject("rewrite_unscored", f"{score['reject_reason']}")
        if refused is not None:
            rows.append(_without({**row, "rewrite_reject": refused.reason}, refused, choice))
        elif score is not None and choice.lower(score, pair):
            rows.append({**row, "rewrite_reject": SCORED_LOWER})
        else:
            rows.append(_with(row, rewrite["text"], score, choice))
    return rows


def _with(row: Row, text: str, score: Row | None, choice: Choice) -> Row:
    """Return a row whose response is the rewrite, with the judgement and the split of that."""
    taken = {
        **row,
        "response_from": "rewritten",
        "response": text,
        "original_response": row["response"],
    }
    if score is None:
        return taken
    taken |= {name: score[name] for name in JUDGEMENT}
    taken |= {
        "probability": choice.thresholds.probability(score),
        "forward_role": score["role_version"],
        "forward_model": score["model"],
        "run": score["run"],
    }
    # It scores no lower and falls under no further floor, so it is in A4 where the original was.
    split = choice.thresholds.judge(taken)
    assert isinstance(split, str)
    return {**taken, "split": split}


def _without(row: Row, refused: Reject, choice: Choice) -> Row:
    """Return a row of which the rewrite is not taken."""
    if choice.fallback == "original":
        return row
    # The texts stay in the parts that this one was made from.
    return rejected({**row, "response": None, "response_from": None}, refused)


@dataclass(frozen=True, slots=True)
class ChooseWork:
    """The stage as a runtime takes it."""

    store: StoreSettings
    choice: Choice
    run: str
    curate_key: str  # fingerprints of the stages that it reads, and its own
    rewrite_key: str
    rescore_key: str | None  # None: rewrites are not scored
    choose_key: str
    evaluations: EvaluationSettings
    name: str = STAGE
    uses_engine: bool = False
    gpus_each: float = 0.0

    def open(self) -> Settler:
        """Open the store in this process."""
        ledger = Ledger(Store(self.store))
        make = _Choosing(self, ledger).make
        return Settler(ledger, STAGE, self.choose_key, self.run, make)


class _Choosing:
    """Chooses in one shard after another."""

    def __init__(self, work: ChooseWork, ledger: Ledger) -> None:
        self._ledger = ledger
        self._work = work
        self._evaluations = index(work.evaluations)

    def make(self, address: Address) -> Made:
        work, ledger, shard = self._work, self._ledger, address.shard
        curated, pairs = read_committed(ledger, "curate", work.curate_key, shard)
        rewritten, rewrites = read_committed(ledger, "rewrite", work.rewrite_key, shard)
        reads, scores = [curated.part, rewritten.part], None
        if work.rescore_key is not None:
            scored, rescored = read_committed(ledger, "rescore", work.rescore_key, shard)
            scores = {row["id"]: {**row, "run": scored.run} for row in rescored}
            reads.append(scored.part)
        kept = [row for row in pairs if is_kept(row)]
        by_id = {row["id"]: row for row in rewrites}
        try:
            rows = choose(kept, by_id, scores, work.choice, self._evaluations)
        except KeyError as error:
            raise AccountingError(f"{address.name}: row {error} is missing upstream") from error
        return Made(table(rows, CHOSEN), len(kept), tuple(reads))
