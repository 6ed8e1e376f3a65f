"""The cascade of `bench.judging`: which pairs go on, what it takes of them, and its cost.

Promises: which expectations go on is chosen on the pairs that are handed over, and on no others. A
cascade that is run is the package's own (`InstructionBacktranslation`), on an engine of its own;
one that is reckoned asks nothing, and is made of what both judges said alone.

Does not know: where pairs come from, what is printed.
"""

import itertools
import time
from collections.abc import Sequence

from backtrans import InstructionBacktranslation
from backtrans.judge.account import Account
from backtrans.judge.settings import Judge, Judging, SendOn
from backtrans.ledger import Usage
from backtrans.microworld.verdict import A5_SCORE, MIN_TOKEN_LOGPROB_FLOOR
from backtrans.microworld.world import RatedPair
from backtrans.placement import EngineOptions
from backtrans.recipe import Model, Sampling, Score
from backtrans.records import Reject, Row

PRECISION_LOSS, RECALL_LOSS = 0.005, 0.02
MAX_TOKENS = 96
"""A review of this world has some 30."""

OPTIONS = EngineOptions(device="cpu", eager=True, max_batched_tokens=4096)
CHEAP = Score()
GREEDY = Sampling(max_tokens=MAX_TOKENS, temperature=0.0, top_p=1.0)
DEAR = Score(form="reasoned", sampling=GREEDY, signals=["likelihood"])

Outcome = Row | Reject
Asked = tuple[list[Outcome], Usage]
Interval = tuple[float, float]

# ---------------------------------------------------------------------- what is taken


def expectation(outcome: Outcome) -> float | None:
    return None if isinstance(outcome, Reject) else outcome["score"]


def in_a5(score: float | None, min_token_logprob: float | None) -> bool:
    """Say whether a pair is taken: a likelihood that was not asked for refuses nothing."""
    likely = min_token_logprob is None or min_token_logprob >= MIN_TOKEN_LOGPROB_FLOOR
    return score is not None and score >= A5_SCORE and likely


def taken(outcome: Outcome) -> bool:
    if isinstance(outcome, Reject):
        return False
    return in_a5(outcome["score"], outcome.get("min_token_logprob"))


def figures(chosen: Sequence[bool], pairs: Sequence[RatedPair]) -> tuple[float, float]:
    """Return precision and recall of what is taken."""
    true = sum(take and pair.rating == 5 for take, pair in zip(chosen, pairs, strict=True))
    good = sum(pair.rating == 5 for pair in pairs)
    return true / max(1, sum(chosen)), true / max(1, good)


# ---------------------------------------------------------------------- what goes on


def chosen_intervals(
    cheap: Sequence[Outcome], dear: Sequence[Outcome], pairs: Sequence[RatedPair]
) -> dict[str, Interval]:
    """Choose which expectations of the cheap judge go on. The pairs are the calibration world's."""
    precision, recall = figures([taken(each) for each in dear], pairs)
    points = [round(1 + 0.1 * step, 1) for step in range(42)]
    least: dict[str, tuple[int, Interval]] = {}
    for low, high in itertools.combinations(points, 2):
        goes = [low < (expectation(each) or 0.0) < high for each in cheap]
        takes = [
            taken(theirs if on else ours)
            for on, ours, theirs in zip(goes, cheap, dear, strict=True)
        ]
        got = figures(takes, pairs)
        if got[0] < precision - PRECISION_LOSS:
            continue
        names = ["frugal", *(["faithful"] if got[1] >= recall - RECALL_LOSS else [])]
        for name in names:
            least[name] = min(least.get(name, (len(pairs), (low, high))), (sum(goes), (low, high)))
    return {name: interval for name, (_, interval) in least.items()}


def judging(model: Model, interval: Interval) -> Judging:
    """Return the cascade whose cheap judge sends on what lies in an interval."""
    low, high = interval
    send_on = SendOn(threshold=(low + high) / 2, margin=(high - low) / 2)
    cheap = Judge(name="cheap", model=model, score=CHEAP, send_on=send_on)
    return Judging(judges=[cheap, Judge(name="dear", model=model, score=DEAR)], engine=OPTIONS)


# ---------------------------------------------------------------------- what it costs


def tokens(usage: Usage) -> tuple[int, int]:
    """Return the tokens asked, and those that had to be computed."""
    asked = usage.prompt_tokens + usage.output_tokens
    return asked, asked - usage.cached_tokens


def tokens_of(account: Account) -> tuple[int, int]:
    asked = sum(cost.tokens for cost in account.costs.values())
    return asked, asked - sum(cost.cached_tokens for cost in account.costs.values())


def cascaded(
    model: Model, interval: Interval, pairs: Sequence[RatedPair]
) -> tuple[list[bool], Account, float]:
    """Judge a pool by a cascade; return what it takes, what it cost, and the seconds."""
    with InstructionBacktranslation(judging(model, interval)) as judge:
        judge.judge("Is it so?", "It is.")  # opens the engine
        began = time.monotonic()
        found, account = judge.judge_counted([(p.instruction, p.output) for p in pairs])
        seconds = time.monotonic() - began
    return [in_a5(each.expectation, each.min_token_logprob) for each in found], account, seconds


def reckoned(
    interval: Interval, cheap: Asked, dear: Asked
) -> tuple[list[bool], tuple[int, int], float, int]:
    """Return what a cascade would take of pairs that both judges have judged, and its cost."""
    low, high = interval
    goes = [low < (expectation(each) or 0.0) < high for each in cheap[0]]
    takes = [
        taken(theirs if on else ours)
        for on, ours, theirs in zip(goes, cheap[0], dear[0], strict=True)
    ]
    share = sum(goes) / len(goes)
    asked, computed = (
        round(a + share * b) for a, b in zip(tokens(cheap[1]), tokens(dear[1]), strict=True)
    )
    return takes, (asked, computed), cheap[1].seconds + share * dear[1].seconds, sum(goes)
