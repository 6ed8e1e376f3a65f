"""Which split a judged pair is in: the expected scores and floors that A4 and A5 stand for.

Does not know: where judgements come from, what a pair holds.
"""

from dataclasses import dataclass

from backtrans.records import Reject, Row

REST = "rest"
"""The split of a pair that is kept though it is in neither A4 nor A5: there is no filter."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Expected scores from which a pair is in A4 and A5, and floors under its signals in nats.

    Source: 2308.06259 keeps score >= 4 as A4 and >= 4.5 as A5; how an integer reaches 4.5 it does
    not say, the expectation over the digits does.
    """

    a4: float = 4.0
    a5: float = 4.5
    floors: tuple[tuple[str, float], ...] = ()
    filter: bool = True

    def judge(self, score: Row) -> str | Reject:
        """Return the best split of a scored pair; where it is in neither, why, or `rest`."""
        if (reject := self.reject(score)) is not None:
            return reject if self.filter else REST
        return "A5" if score["score"] >= self.a5 else "A4"

    def reject(self, score: Row) -> Reject | None:
        """Say why a scored pair is in neither A4 nor A5; None where it is."""
        if score["score"] < self.a4:
            return Reject("below_a4", f"{score['score']:.3f} < {self.a4:g}")
        return self.under_floor(score)

    def under_floor(self, score: Row) -> Reject | None:
        """Say which signal of a scored pair lies below its floor; None where none does.

        A signal that is missing is under every floor: it was asked for and not to be had.
        """
        for signal, floor in self.floors:
            value = score[signal]
            if value is None or value < floor:
                return Reject("signal_below_floor", f"{signal} {value} < {floor:g}")
        return None
