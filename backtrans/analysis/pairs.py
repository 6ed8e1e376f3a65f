"""Sets of pairs to analyse: instructions, responses, and scores where there are some.

Promises: every pair has both texts, or the set is an error that names file and row; a score that is
no number from 1 to 5 is kept as what it is, an invalid one, and counted.

Does not know: snapshots, what is measured of a set.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from backtrans import tabular
from backtrans.errors import InputError
from backtrans.records import Row

RESPONSES = ("response", "generation", "output", "completion")
"""What the response's column may be called where none is named. Source: docs/splits.md,
distilabel, AlpacaEval and Alpaca, TRL."""

LOWEST, HIGHEST = 1.0, 5.0
"""Source: 2308.06259 table 19."""


@dataclass(frozen=True, slots=True)
class Columns:
    """What a file calls its fields; a response of None is the first of RESPONSES in the row."""

    instruction: str = "instruction"
    response: str | None = None
    score: str = "score"


@dataclass(slots=True)
class PairSet:
    """A set, column by column. A score of None is an invalid one; no scores: the set has none."""

    name: str
    instructions: list[str] = field(default_factory=list)
    responses: list[str] = field(default_factory=list)
    scores: list[float | None] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.instructions)


def read_pairs(name: str, path: Path, columns: Columns) -> PairSet:
    """Read a file, or the files of a folder. Raises: InputError naming file and row."""
    wanted = {columns.instruction, columns.score}
    wanted |= set(RESPONSES) if columns.response is None else {columns.response}

    def rows() -> Iterator[tuple[str, Row]]:
        for file in tabular.files(path):
            for number, row in tabular.rows(file, wanted):
                yield f"{file}: row {number}", row

    return _gathered(name, str(path), rows(), columns)


def pairs_of(name: str, tables: Iterable[pa.Table]) -> PairSet:
    """Return the pairs of a published split's tables. Raises: InputError where it is empty."""
    columns = Columns(response="response")
    wanted = ["instruction", "response", "score"]

    def rows() -> Iterator[tuple[str, Row]]:
        for table in tables:
            for batch in table.select(wanted).to_batches(tabular.BATCH_ROWS):
                for row in batch.to_pylist():
                    yield name, row

    return _gathered(name, name, rows(), columns)


def _gathered(name: str, source: str, rows: Iterable[tuple[str, Row]], columns: Columns) -> PairSet:
    found, scored = PairSet(name), False
    for where, row in rows:
        response = columns.response or next((c for c in RESPONSES if c in row), RESPONSES[0])
        for column in (columns.instruction, response):
            if not isinstance(row.get(column), str):
                there = ", ".join(row) or "no column"
                raise InputError(f"{where}: needs the text {column}; there is {there}")
        found.instructions.append(row[columns.instruction])
        found.responses.append(row[response])
        found.scores.append(_valid(row.get(columns.score)))
        scored = scored or columns.score in row
    if not found.instructions:
        raise InputError(f"{source}: holds no rows")
    if not scored:
        found.scores.clear()
    return found


def _valid(score: Any) -> float | None:
    if isinstance(score, bool) or not isinstance(score, int | float):
        return None
    return float(score) if LOWEST <= score <= HIGHEST else None
