"""What a judge's two answers about a pair come to: a preference, and a win, a tie or a loss.

Promises: the preference is the mean, over both orders, of the probability that the candidate's
output is the better one, so a judge that only has a favourite place comes to 0.5 and to a tie; what
needs no judge is decided the same way every time, with a note that says so.

Does not know: how the judge was asked, or what is made of many verdicts.
"""

from dataclasses import dataclass
from typing import Literal

from backtrans.evaluation.pairing import Pair
from backtrans.records import Reject, Row

Outcome = Literal["win", "tie", "loss"]
Note = Literal["", "identical", "candidate_empty", "reference_empty"]

POINTS: dict[Outcome, float] = {"win": 1.0, "tie": 0.5, "loss": 0.0}
"""What an outcome adds to the win rate: ties as half. Source: AlpacaEval's metrics/helpers.py,
ZeroOneScoringRule."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one pair. The candidate's view: 1 is its win.

    `first` and `second` are the judge's probabilities of the candidate's output where that stood
    first and second; None where no judge was asked, which `note` explains.
    """

    preference: float
    outcome: Outcome
    first: float | None = None
    second: float | None = None
    off_letter_mass: float | None = None
    note: Note = ""

    @property
    def orders_disagree(self) -> bool:
        """Say whether the judge chose another output when their places were exchanged."""
        if self.first is None or self.second is None:
            return False
        return (self.first - 0.5) * (self.second - 0.5) < 0


def without_judge(pair: Pair) -> Verdict | None:
    """Return the verdict on a pair that needs no judge: outputs that are equal, or empty.

    Source: equal outputs are a draw without a judge in AlpacaEval (annotators/
    pairwise_evaluator.py, `_preprocess`). An empty output it hands to its judge as any other. Here
    it has lost without being asked about: an answer of nothing is an answer, so it is counted, and
    a small judge must not be able to prefer it.
    """
    ours, theirs = pair.candidate.output, pair.reference.output
    if ours == theirs:
        return Verdict(0.5, "tie", note="identical")
    match bool(ours.strip()), bool(theirs.strip()):
        case False, False:
            return Verdict(0.5, "tie", note="identical")
        case False, True:
            return Verdict(0.0, "loss", note="candidate_empty")
        case True, False:
            return Verdict(1.0, "win", note="reference_empty")
    return None


def verdict(fields: Row | Reject, tie_margin: float) -> Verdict | Reject:
    """Return the verdict that the comparing role's fields come to, the candidate being `one`.

    A tie: the two orders disagree, or the preference is within the margin of 0.5.
    """
    if isinstance(fields, Reject):
        return fields
    first, second = fields["a_one_first"], 1.0 - fields["a_other_first"]
    preference = (first + second) / 2
    found = Verdict(preference, "tie", first, second, fields["off_letter_mass"])
    if found.orders_disagree or abs(preference - 0.5) <= tie_margin:
        return found
    outcome: Outcome = "win" if preference > 0.5 else "loss"
    return Verdict(preference, outcome, first, second, fields["off_letter_mass"])
