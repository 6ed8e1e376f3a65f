"""Which columns of a file are judged, and how a judgement stands beside a row's own columns.

Promises: every column of the input is in the output; where it has the name of one of the
judgement's it is called `input_...`; a column that is not there is an error that names the nearest.

Does not know: models, batches, files beside the output.
"""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pyarrow as pa

from backtrans import tabular
from backtrans.errors import InputError
from backtrans.judge.judged import Names, schema
from backtrans.records import Row

GENERATIONS = ("generation", "response", "output", "completion")
"""What the judged text's column may be called where none is named. Source: distilabel and Dria,
docs/splits.md, AlpacaEval and Alpaca, TRL."""

TEXTS = ("instruction", "generation")
"""What the two are called in the output, whatever the input calls them."""


@dataclass(frozen=True, slots=True)
class Columns:
    """What a file calls the two texts."""

    instruction: str
    generation: str

    def kept(self, names: Iterable[str], scheme: Names) -> dict[str, str]:
        """Return what a row's own columns are called in the output, but for the two texts."""
        own = {self.instruction, self.generation} & set(TEXTS)
        return kept_names([name for name in names if name not in own], set(schema(scheme).names))

    def beside(self, row: Row, judgement: Row, scheme: Names) -> Row:
        """Set a judgement, in its columns' order and without its texts, behind a row's own."""
        names = self.kept(row, scheme)
        kept = {names[name]: value for name, value in row.items() if name in names}
        texts = [row.get(self.instruction), row.get(self.generation)]
        wanted = schema(scheme).names
        return {**kept, **dict(zip(wanted, [*texts, *judgement.values()], strict=True))}

    def output_schema(self, kept: pa.Schema, scheme: Names) -> pa.Schema:
        """Return what the output holds, where a row's own columns are these."""
        names = self.kept(kept.names, scheme)
        fields = [kept.field(name).with_name(names[name]) for name in kept.names if name in names]
        return pa.schema([*fields, *schema(scheme)])


def found_columns(
    source: str, there: Sequence[str], instruction: str, generation: str | None
) -> Columns:
    """Return the columns of the two texts. Raises: InputError that names the nearest."""
    if generation is None:
        generation = next((name for name in GENERATIONS if name in there), GENERATIONS[0])
    for name in (instruction, generation):
        if name not in there:
            near = difflib.get_close_matches(name, there, n=1)
            meant = f"; did you mean {near[0]!r}?" if near else "."
            raise InputError(
                f"{source}: no column {name!r}{meant} There are: {', '.join(there)};"
                " --instruction and --generation name others"
            )
    return Columns(instruction, generation)


def columns_of(path: Path, instruction: str, generation: str | None) -> Columns:
    """Look at a file's first row. Raises: InputError where the file cannot be judged."""
    first = next(tabular.rows(path, None), None)
    if first is None:
        raise InputError(f"{path}: holds no rows")
    found = found_columns(f"{path}", list(first[1]), instruction, generation)
    for name in (found.instruction, found.generation):
        value = first[1][name]
        if value is not None and not isinstance(value, str):
            kind = type(value).__name__
            raise InputError(f"{path}: row 1: {name!r} holds no text: it is of type {kind}")
    return found


def kept_names(names: Iterable[str], taken: set[str]) -> dict[str, str]:
    """Return what columns are called beside those that are taken: each by a name of its own."""
    names = list(names)
    used = taken | set(names)
    found: dict[str, str] = {}
    for name in names:
        new = name
        while new in taken or (new != name and new in used):
            new = f"input_{new}"
        found[name] = new
        used.add(new)
    return found


def widened(known: pa.Schema, batch: Sequence[Row], path: Path) -> pa.Schema:
    """Return a schema that holds these rows, too; JSON's columns have no type until the last row.

    Raises: InputError for a column of two kinds.
    """
    for name in dict.fromkeys(chain.from_iterable(batch)):
        try:
            kind = pa.array([row.get(name) for row in batch]).type
            one = pa.schema([(name, kind)])
            known = pa.unify_schemas([known, one], promote_options="permissive")
        except (pa.ArrowException, OverflowError) as error:
            raise InputError(
                f"{path}: {name!r} holds values of several kinds, which a column of Parquet cannot:"
                f" write to *.jsonl ({error})"
            ) from error
    return known
