"""How scores are distributed, and how many there are at all.

Does not know: who scored, or by which form.
Source: 2408.04614 appendix B: 88% of its scores were valid, 13.6% of the pool had a 5.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

A4, A5 = 4.0, 4.5
"""Source: 2308.06259 section 3.3 and its appendix."""


@dataclass(frozen=True, slots=True)
class ScoreShares:
    """Shares of all pairs, from 0 to 1: whose score is valid, and of each whole number, rounded.

    `mean` is of the valid ones; None where there is none.
    """

    valid: float
    of: dict[str, float]
    a4: float
    a5: float
    mean: float | None


def score_shares(scores: Sequence[float | None]) -> ScoreShares:
    """Sum scores up; there is one at least, None where it is invalid."""
    valid = [score for score in scores if score is not None]
    # Half goes up, as the threshold of 4.5 has it; round() would send it to the even number.
    rounded = Counter(int(score + 0.5) for score in valid)
    n = len(scores)
    return ScoreShares(
        valid=len(valid) / n,
        of={str(number): rounded[number] / n for number in range(1, 6)},
        a4=sum(score >= A4 for score in valid) / n,
        a5=sum(score >= A5 for score in valid) / n,
        mean=sum(valid) / len(valid) if valid else None,
    )
