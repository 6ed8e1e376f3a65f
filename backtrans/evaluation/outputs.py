"""Outputs and instructions in AlpacaEval's format: rows of instruction, output, generator, dataset.

Promises: every row is whole: an instruction that is a text, an output that is one (it may be empty,
never missing), one generator in a file; anything else is an error that names file and row.

Does not know: which instructions another file holds (`pairing`), what a judge says.
Source: AlpacaEval's README, "Evaluating a model": a list of objects with these keys.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backtrans import tabular
from backtrans.errors import InputError

COLUMNS = ("instruction", "output", "generator", "dataset")


@dataclass(frozen=True, slots=True)
class Instruction:
    """What was asked. `row` is its number in the file; `dataset`, the part of the set it is of."""

    row: int
    dataset: str | None
    instruction: str


@dataclass(frozen=True, slots=True)
class Output(Instruction):
    """What was answered; tokens where an engine counted them."""

    output: str
    output_tokens: int | None = None
    unfinished: bool = False


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where the outputs are from, and who wrote them."""

    source: str  # what errors call it: a file
    generator: str
    rows: tuple[Output, ...]


@dataclass(frozen=True, slots=True)
class Instructions:
    """The instructions of a set, which a model is to answer."""

    source: str
    rows: tuple[Instruction, ...]


def read_outputs(path: Path) -> Outputs:
    """Read a file of outputs; the file's name is the generator's where no row names one.

    Raises: InputError naming file and row.
    """
    found: list[Output] = []
    generator: str | None = None
    for number, fields in _rows(path):
        output, said = fields.get("output"), fields.get("generator")
        where = f"{path}: row {number}"
        if not isinstance(output, str):
            raise InputError(f"{where}: needs the text output; one that is empty counts as a loss")
        if said is not None and not isinstance(said, str):
            raise InputError(f"{where}: its generator is no text")
        if found and said != generator:
            raise InputError(f"{where}: is of generator {said!r}, and the rows before of another")
        generator = said
        found.append(Output(number, fields["dataset"], fields["instruction"], output))
    return Outputs(str(path), generator or path.stem, tuple(found))


def read_instructions(path: Path) -> Instructions:
    """Read a file of instructions; what else its rows hold is let be.

    Raises: InputError naming file and row.
    """
    found = [Instruction(n, fields["dataset"], fields["instruction"]) for n, fields in _rows(path)]
    return Instructions(str(path), tuple(found))


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the rows, each with an instruction, and a dataset or None."""
    in_datasets: bool | None = None
    for number, row in tabular.rows(path, COLUMNS):
        instruction, dataset = row.get("instruction"), row.get("dataset")
        where = f"{path}: row {number}"
        if not isinstance(instruction, str) or not instruction.strip():
            raise InputError(f"{where}: needs the text instruction")
        if dataset is not None and not isinstance(dataset, str):
            raise InputError(f"{where}: its dataset is no text")
        if in_datasets is not None and in_datasets != (dataset is not None):
            raise InputError(f"{where}: either every row names a dataset, or none does")
        in_datasets = dataset is not None
        yield number, {**row, "dataset": dataset}
    if in_datasets is None:
        raise InputError(f"{path}: holds no rows")
