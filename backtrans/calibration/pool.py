"""The pool that a calibration is about: every pair that the judge has scored.

It is a run's latest scores, kept or not, or a file with a row a pair.

Promises: a pair's id follows from its content; a row without a score is passed over and counted; a
score or signal that is no finite number is an error that names file and row.

Does not know: how pairs are drawn, what people say of them.
"""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import orjson

from backtrans import tabular
from backtrans.analysis.pairs import HIGHEST, LOWEST, RESPONSES
from backtrans.errors import InputError
from backtrans.ledger import Ledger
from backtrans.records import Row, is_kept
from backtrans.standing import Standing
from backtrans.thresholds import Feature, column_of

FIGURES = tuple(map(column_of, get_args(Feature)))
"""What is kept of a judgement, by its columns in the splits: all that a selector may read of it."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A pair with its judgement: FIGURES, and the distribution where it is known."""

    id: str
    instruction: str
    response: str
    judgement: Row


def identity(instruction: str, response: str) -> str:
    """Name a pair by its content. What begins with a letter is no number to a spreadsheet."""
    content = hashlib.sha256(orjson.dumps([instruction, response]))
    return f"p{content.hexdigest()[:20]}"


def read_scored(path: Path) -> Iterator[Scored | None]:
    """Yield the pairs of a file, or of a folder's files; None for a row without a score.

    Rows: N -> N. A file's `expectation` is the expected score and its `score` then the digit;
    without it `score` is the expected score. Raises: InputError naming file and row.
    """
    wanted = {"instruction", *RESPONSES, *FIGURES, "expectation", "distribution", "reject_reason"}
    for file in tabular.files(path):
        for number, row in tabular.rows(file, wanted):
            yield _scored(row, f"{file}: row {number}") if is_kept(row) else None


def scored_of(ledger: Ledger, standing: Standing) -> Iterator[Scored]:
    """Yield every pair of a run that has a score, whether curating kept it or not."""
    for commits in standing.by_shard(["score", "select", "backtranslate"]):
        if len(commits) < 3:
            continue
        scores, segments, pairs = (ledger.read_part(each).to_pylist() for each in commits)
        texts = {row["id"]: row["text"] for row in segments}
        asked = {row["id"]: row["instruction"] for row in pairs}
        for row in filter(is_kept, scores):
            instruction, text = asked[row["id"]], texts[row["id"]]
            yield Scored(identity(instruction, text), instruction, text, _judgement(row))


def _scored(row: Row, where: str) -> Scored | None:
    response = next((row[c] for c in RESPONSES if isinstance(row.get(c), str)), None)
    instruction = row.get("instruction")
    if not isinstance(instruction, str) or response is None:
        needed = f"needs the texts instruction and {' or '.join(RESPONSES)}"
        raise InputError(f"{where}: {needed}; there is {', '.join(row) or 'no column'}")
    found = dict(row)
    if "expectation" in row:
        found |= {"score": row["expectation"], "digit": row.get("digit", row.get("score"))}
    for name in FIGURES:
        if (value := found.get(name)) is not None and not _finite(value):
            raise InputError(f"{where}: {name} is {value!r}, no finite number")
    if (score := found.get("score")) is None:
        return None
    if not LOWEST <= score <= HIGHEST:
        raise InputError(f"{where}: the score is {score!r}, not from {LOWEST:g} to {HIGHEST:g}")
    return Scored(identity(instruction, response), instruction, response, _judgement(found))


def _judgement(row: Row) -> Row:
    distribution = row.get("distribution")
    whole = isinstance(distribution, list) and len(distribution) == 5
    known = whole and all(map(_finite, distribution or ()))
    return {name: row.get(name) for name in FIGURES} | {
        "distribution": distribution if known else None
    }


def _finite(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value)
