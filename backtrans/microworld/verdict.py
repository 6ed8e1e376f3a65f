"""How well a run did, against the world's truth: pure figures over published rows.

A row is a dict with `id`, `instruction`, and what the judge said of it: `score` (the expectation)
and, where likelihood was asked for, `min_token_logprob`. The truth is the world's documents.

Promises: a row without a score counts as not selected, and a true 5 that never became a row counts
as missed; shares of nothing are None, never 0.

Does not know models, thresholds' origin, or files.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backtrans.microworld.truth import matches, token_f1
from backtrans.microworld.world import WorldDocument, true_rating

Row = Mapping[str, Any]

A5_SCORE = 4.5
"""Source: 2308.06259: A5 holds what scores at least 4.5."""

MIN_TOKEN_LOGPROB_FLOOR = -3.38
"""The demo's floor on min-token log p(y|x), in nats.
Source: `python -m backtrans.microworld.calibrate`, on pairs of the calibration world."""


@dataclass(frozen=True, slots=True)
class Backward:
    """How often the backward model found the instruction of a clean page."""

    pages: int
    exact: float | None
    match: float | None  # equal slots in any paraphrase
    f1: float | None


@dataclass(frozen=True, slots=True)
class Selection:
    """What a rule selected from the pool. `true` counts the selected that are true 5s."""

    selected: int
    true: int
    good: int  # true 5s in the whole pool
    precision: float | None
    recall: float | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Everything measured of one run. `base_rate` is the share of true 5s in the pool."""

    pool: int
    base_rate: float | None
    seen_names: Backward
    fresh_names: Backward
    plain_auc: float | None  # of the expected digit
    floored_auc: float | None  # of the same, what lies under the floor put last
    plain: Selection  # the expected digit alone
    floored: Selection  # the expected digit and the floor on likelihood
    floor: float


def verdict(
    rows: Iterable[Row],
    documents: Sequence[WorldDocument],
    *,
    threshold: float = A5_SCORE,
    floor: float = MIN_TOKEN_LOGPROB_FLOOR,
) -> Verdict:
    """Measure a run: the pool is `documents`, the rows are what was published of it."""
    by_id = {row["id"]: row for row in rows}
    truth = {d.id: true_rating(d, _asked(by_id.get(d.id))) == 5 for d in documents}
    chosen = {i for i, row in by_id.items() if _at_least(row, "score", threshold)}
    likely = {i for i in chosen if _at_least(by_id[i], "min_token_logprob", floor)}
    scored = {i: row for i, row in by_id.items() if row.get("score") is not None}
    plain = [(row["score"], truth[i]) for i, row in scored.items()]
    # A score is at least 1: 0 puts what the floor refuses under all that it does not.
    floored = [
        (row["score"] if _at_least(row, "min_token_logprob", floor) else 0.0, truth[i])
        for i, row in scored.items()
    ]
    return Verdict(
        pool=len(documents),
        base_rate=_share(sum(truth.values()), len(documents)),
        seen_names=backward(by_id, [d for d in documents if not d.fresh_name]),
        fresh_names=backward(by_id, [d for d in documents if d.fresh_name]),
        plain_auc=auc(plain),
        floored_auc=auc(floored),
        plain=selection(chosen, truth),
        floored=selection(likely, truth),
        floor=floor,
    )


def backward(by_id: Mapping[str, Row], documents: Sequence[WorldDocument]) -> Backward:
    """Measure instructions on clean pages; a page without a row is a miss."""
    clean = [d for d in documents if d.quality == 5]
    pairs = [(_asked(by_id.get(d.id)), d.instruction) for d in clean]
    return Backward(
        pages=len(clean),
        exact=_share(sum(asked == latent for asked, latent in pairs), len(pairs)),
        match=_share(sum(matches(asked, latent) for asked, latent in pairs), len(pairs)),
        f1=_share(sum(token_f1(asked, latent) for asked, latent in pairs), len(pairs)),
    )


def selection(chosen: set[str], truth: Mapping[str, bool]) -> Selection:
    """Measure a set of ids against the truth."""
    true = sum(truth[i] for i in chosen)
    good = sum(truth.values())
    return Selection(len(chosen), true, good, _share(true, len(chosen)), _share(true, good))


def auc(scored: Sequence[tuple[float, bool]]) -> float | None:
    """Return the probability that a true row outscores a false one; a tie counts half."""
    order = sorted(scored, key=lambda pair: pair[0])
    positives = sum(truth for _, truth in order)
    negatives = len(order) - positives
    if not positives or not negatives:
        return None
    ranks = 0.0
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and order[end][0] == order[start][0]:
            end += 1
        ranks += (start + 1 + end) / 2 * sum(truth for _, truth in order[start:end])
        start = end
    return (ranks - positives * (positives + 1) / 2) / (positives * negatives)


def _asked(row: Row | None) -> str:
    return str(row["instruction"] or "") if row is not None else ""


def _at_least(row: Row, key: str, limit: float) -> bool:
    value = row.get(key)
    return value is not None and value >= limit


def _share(part: float, whole: int) -> float | None:
    return part / whole if whole else None
