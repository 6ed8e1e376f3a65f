"""The rows that stages hand on, and the Arrow schemas of the parts that hold them.

Promises: a schema is explicit, so that a column that happens to be all null keeps its type; every
part ends in the two columns of an outcome, so that a kept row and a reject are told apart by one
test, `reject_reason is null`, and no row is ever merely absent.

Does not know: where parts lie, which stage wrote them, how they are counted.
"""

import io
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from backtrans.reasons import REASONS

SHARD_CHARS = 16
"""So much of a shard's name begins the ids of its segments. Source: this project's choice: 64 bits
of a hash."""

Row = dict[str, Any]
"""One row of a part: the keys of its schema, plain Python values."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A row refused: `reason` is a key of `reasons.REASONS`, `detail` says what was seen."""

    reason: str
    detail: str = ""

    def __post_init__(self) -> None:
        if self.reason not in REASONS:
            raise ValueError(f"unknown reject reason {self.reason!r}; add it to reasons.REASONS")


_OUTCOME = [("reject_reason", pa.string()), ("reject_detail", pa.string())]

_PROVENANCE = [
    ("object", pa.string()),  # the input object's URL when the row was read
    ("row", pa.int64()),  # zero-based row in that object
    ("document_id", pa.string()),
    ("start_char", pa.int64()),  # the segment's span in the document's text, end exclusive
    ("end_char", pa.int64()),
    ("masked", pa.list_(pa.string())),  # kinds of personal data masked in it, in order
    ("source", pa.string()),
    ("url", pa.string()),
    ("added", pa.string()),
    ("created", pa.string()),
    ("metadata", pa.string()),  # the document's metadata as JSON text, whatever its shape
]

SEGMENT = pa.schema([("id", pa.string()), ("text", pa.string()), *_PROVENANCE, *_OUTCOME])
"""A self-contained piece of a document that could be a response."""

DEDUPLICATED = pa.schema([("id", pa.string()), *_OUTCOME])
"""Whether a segment is a copy of an earlier one: a sidecar, ids only."""

PAIR = pa.schema(
    [
        ("id", pa.string()),  # the segment's
        ("instruction", pa.string()),
        ("role_version", pa.string()),
        ("model", pa.string()),
        *_OUTCOME,
    ]
)
"""The backtranslated instruction of a segment. The text is not repeated (law 6)."""

_JUDGEMENT = [
    ("score", pa.float64()),  # the expectation over the digits 1 to 5
    ("digit", pa.int8()),  # the digit written (reasoned), else the most probable one
    ("distribution", pa.list_(pa.float64(), 5)),  # P(1) .. P(5), sums to 1
    ("entropy", pa.float64()),  # of the distribution, in nats
    ("off_digit_mass", pa.float64()),  # probability that lay on no digit: a health figure
    ("form", pa.string()),  # constrained | reasoned | second_ask
    ("reasoning", pa.string()),
    ("parse_failure", pa.string()),  # why the reasoned text gave no score, when it did not
    ("min_token_logprob", pa.float64()),  # of the response given the instruction, in nats
    ("mean_logprob", pa.float64()),
    ("pmi", pa.float64()),  # mean log p(y|x) - mean log p(y), nats a token
]

JUDGEMENT = tuple(name for name, _ in _JUDGEMENT)
"""The columns of a judgement, in whichever part it stands."""

SCORE = pa.schema(
    [
        ("id", pa.string()),
        *_JUDGEMENT,
        ("role_version", pa.string()),
        ("model", pa.string()),
        *_OUTCOME,
    ]
)
"""What the forward model made of a pair: a sidecar, ids and figures only."""

CURATED = pa.schema(
    [
        ("id", pa.string()),
        ("instruction", pa.string()),
        ("response", pa.string()),
        ("split", pa.string()),  # A5 | A4 | rest: the best split that the row belongs to
        ("probability", pa.float64()),  # that the pair is good, by the recipe's selector
        *_JUDGEMENT,
        *_PROVENANCE,
        ("backward_role", pa.string()),
        ("backward_model", pa.string()),
        ("forward_role", pa.string()),
        ("forward_model", pa.string()),
        ("run", pa.string()),  # the run that committed the row's score
        *_OUTCOME,
    ]
)
"""A pair with its response, its judgement and where it all came from."""


REWRITE = pa.schema(
    [
        ("id", pa.string()),
        ("text", pa.string()),  # the rewritten response: what a judge reads, as it does a segment's
        ("role_version", pa.string()),
        ("model", pa.string()),
        *_OUTCOME,
    ]
)
"""A better response to the instruction of a curated pair, as an aligned model writes it."""

DISTILLED = pa.schema(
    [
        ("id", pa.string()),
        ("answer", pa.string()),
        ("role_version", pa.string()),
        ("model", pa.string()),
        *_OUTCOME,
    ]
)
"""A model's own response to the instruction of a curated pair: a sidecar."""

REWRITTEN = [
    ("response_from", pa.string()),  # rewritten | original; null: the recipe does not rewrite
    ("original_response", pa.string()),  # the segment, where the response is a rewrite
    ("rewrite_reject", pa.string()),  # why the response is not the rewrite, where it is not
    ("original_score", pa.float64()),  # of the segment
    ("rewrite_score", pa.float64()),  # of the rewrite, where it was scored
    ("rewrite_novelty", pa.float64()),  # share of its runs of three words that are not the source's
    ("rewrite_new_words", pa.float64()),  # share of its words that are not the source's
    ("rewrite_length_ratio", pa.float64()),  # its characters to the source's
    ("dropped_numbers", pa.int32()),  # how many of the source's numbers are not in it
    ("dropped_numbers_listed", pa.list_(pa.string())),  # the first of them
    ("dropped_names", pa.int32()),
    ("dropped_names_listed", pa.list_(pa.string())),
    ("rewrite_leaks", pa.list_(pa.string())),  # what in it speaks of a draft or a text
    ("rewrite_refusals", pa.list_(pa.string())),  # what in it declines
    ("rewrite_role", pa.string()),
    ("rewrite_model", pa.string()),
]
"""The columns by which a pair that went through rewriting says what became of it."""

CHOSEN = pa.schema([*[(f.name, f.type) for f in CURATED][:-2], *REWRITTEN, *_OUTCOME])
"""A curated pair whose response is the rewrite, or the original where that was not taken."""


def parquet(rows: pa.Table, *, plain: Sequence[str] = ()) -> bytes:
    """Encode a table as the bytes of a Parquet file, whole (law 8).

    `plain` columns hold what nothing makes smaller, such as hashes: they are written as they are.
    """
    sink = io.BytesIO()
    if not plain:
        pq.write_table(rows, sink, compression="zstd")
        return sink.getvalue()
    others = [name for name in rows.column_names if name not in plain]
    compression = dict.fromkeys(others, "zstd")
    pq.write_table(
        rows, sink, compression=compression, use_dictionary=others, write_statistics=others
    )
    return sink.getvalue()


def rejected(row: Row, reject: Reject) -> Row:
    """Return `row` marked as refused."""
    return {**row, "reject_reason": reject.reason, "reject_detail": reject.detail}


def is_kept(row: Row) -> bool:
    """Say whether a row of any part was kept."""
    return row.get("reject_reason") is None


def table(rows: Iterable[Row], schema: pa.Schema) -> pa.Table:
    """Build a part's table; columns that a row lacks are null. Rows: N -> N."""
    return pa.Table.from_pylist(list(rows), schema=schema)


@dataclass(frozen=True, slots=True)
class Counts:
    """How the rows of one part came out (law 1): `rows_in == kept + sum(rejects)`.

    `rows_in` is what the stage was given, counted by the stage on its own way in; it is compared
    with the part before a commit, never derived from it.
    """

    rows_in: int
    kept: int
    rejects: dict[str, int]

    @property
    def rejected(self) -> int:
        """How many rows were refused, whatever the reason."""
        return sum(self.rejects.values())

    @classmethod
    def of(cls, rows_in: int, part: pa.Table) -> "Counts":
        """Count a part's outcomes beside the number of rows that went in."""
        reasons = Counter(part.column("reject_reason").to_pylist())
        kept = reasons.pop(None, 0)
        return cls(rows_in, kept, {str(k): n for k, n in sorted(reasons.items())})
