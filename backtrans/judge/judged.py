"""What became of one pair: its judgement and how sure it is, or the reason why it has none.

`score` is the digit, as Dria's and distilabel's `InstructionBacktranslation` give it; `expectation`
beside it is the mean over the five digits, which is what a run calls its score.

Promises: the columns are the same for every pair, whatever the judge; of two naming schemes the
columns differ in three names and in nothing else.

Does not know: models, files.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import pyarrow as pa

from backtrans.records import Reject, Row

Names = Literal["dria", "distilabel"]

RENAMED: Mapping[Names, Mapping[str, str]] = {
    "dria": {},
    "distilabel": {"reasoning": "reason", "model": "model_name"},
}
"""Source: the outputs of Dria's singleton of that name, and of distilabel 1.5's task."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What one judge of several said. `sent_on` says why the next was asked; None: it was not.

    `compared` marks one that was asked for the sake of comparison alone.
    """

    name: str
    expectation: float | None
    entropy: float | None
    reject_reason: str | None = None
    sent_on: str | None = None
    compared: bool = False


@dataclass(frozen=True, slots=True)
class Judged:
    """A pair and its judgement. Units: entropy and log-probabilities in nats."""

    instruction: str | None
    generation: str | None
    score: int | None = None  # the digit written (reasoned), else the most probable one
    reasoning: str | None = None  # the judge's words, in the reasoned form
    model: str | None = None
    expectation: float | None = None  # over the digits 1 to 5
    distribution: tuple[float, ...] | None = None  # P(1) .. P(5), sums to 1
    entropy: float | None = None
    off_digit_mass: float | None = None
    form: str | None = None  # constrained | reasoned | second_ask
    parse_failure: str | None = None
    min_token_logprob: float | None = None
    mean_logprob: float | None = None
    pmi: float | None = None
    reject_reason: str | None = None  # a key of reasons.REASONS; null where there is a score
    reject_detail: str | None = None
    judges: tuple[Decision, ...] = ()

    def to_dict(self, names: Names = "dria") -> dict[str, Any]:
        """Return it as plain values, under one of two schemes of names."""
        renamed = RENAMED[names]
        row = {renamed.get(name, name): value for name, value in asdict(self).items()}
        row["distribution"] = None if self.distribution is None else list(self.distribution)
        row["judges"] = list(row["judges"])
        return row

    @property
    def is_scored(self) -> bool:
        """Say whether there is a score."""
        return self.reject_reason is None


def judged(
    instruction: str | None,
    generation: str | None,
    outcome: Row | Reject,
    model: str | None,
    judges: tuple[Decision, ...],
) -> Judged:
    """Build what became of a pair from what the judging role returned."""
    if isinstance(outcome, Reject):
        return Judged(
            instruction,
            generation,
            model=model,
            reject_reason=outcome.reason,
            reject_detail=outcome.detail,
            judges=judges,
        )
    named = {"digit": "score", "score": "expectation"}
    fields = {named.get(name, name): value for name, value in outcome.items()}
    fields["distribution"] = tuple(fields["distribution"])
    return Judged(instruction, generation, model=model, judges=judges, **fields)


_DECISION = pa.struct(
    [
        ("name", pa.string()),
        ("expectation", pa.float64()),
        ("entropy", pa.float64()),
        ("reject_reason", pa.string()),
        ("sent_on", pa.string()),
        ("compared", pa.bool_()),
    ]
)

JUDGED = pa.schema(
    [
        ("instruction", pa.string()),
        ("generation", pa.string()),
        ("score", pa.int8()),
        ("reasoning", pa.string()),
        ("model", pa.string()),
        ("expectation", pa.float64()),
        ("distribution", pa.list_(pa.float64())),
        ("entropy", pa.float64()),
        ("off_digit_mass", pa.float64()),
        ("form", pa.string()),
        ("parse_failure", pa.string()),
        ("min_token_logprob", pa.float64()),
        ("mean_logprob", pa.float64()),
        ("pmi", pa.float64()),
        ("reject_reason", pa.string()),
        ("reject_detail", pa.string()),
        ("judges", pa.list_(_DECISION)),
    ]
)
"""The columns of a judged pair, in their order."""


def schema(names: Names) -> pa.Schema:
    """Return the columns under one of two schemes of names."""
    renamed = RENAMED[names]
    return pa.schema([field.with_name(renamed.get(field.name, field.name)) for field in JUDGED])
