"""Which output is compared with which: those of the same instruction, of the same dataset.

Promises: every instruction of the set has one output on each side, or there is no evaluation but an
error that names file and row. AlpacaEval takes what both files have and warns of the rest; a win
rate over fewer instructions than were meant is another figure under the same name, so here it is
refused.

Does not know: who judges, what an output is worth.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from backtrans.errors import InputError
from backtrans.evaluation.outputs import Instruction, Instructions, Output, Outputs

Key = tuple[str | None, str]

T = TypeVar("T", bound=Instruction)


@dataclass(frozen=True, slots=True)
class Pair:
    """An instruction and its two outputs."""

    id: str  # its place in the set, from 1
    dataset: str | None
    instruction: str
    candidate: Output
    reference: Output


def paired(
    candidate: Outputs, reference: Outputs, instructions: Instructions | None = None
) -> list[Pair]:
    """Pair two sides' outputs, in the order of the set: the instructions, else the reference's.

    Without instructions both sides must answer the same set; with them, each must answer all of
    them, and what else it answers is let be. Datasets are compared where every side names them.
    Raises: InputError for what is missing, doubled, or of another set, naming file and row.
    """
    asked: Sequence[Instruction] = instructions.rows if instructions else reference.rows
    sides: list[Sequence[Instruction]] = [asked, candidate.rows, reference.rows]
    by_dataset = all(each.dataset is not None for rows in sides for each in rows)
    source = instructions.source if instructions else reference.source
    keys = [*_indexed(asked, source, by_dataset)]
    ours = _indexed(candidate.rows, candidate.source, by_dataset)
    theirs = _indexed(reference.rows, reference.source, by_dataset)
    for side, name in ((ours, candidate.source), (theirs, reference.source)):
        lacking = [each.row for key, each in zip(keys, asked, strict=True) if key not in side]
        if len(lacking) == len(keys):
            raise InputError(f"{name}: another instruction set: it has none of {source}'s")
        if lacking:
            raise InputError(
                f"{name}: no output for {len(lacking):,} of the {len(keys):,} instructions of"
                f" {source}, the first of them in its row {lacking[0]}"
            )
    if instructions is None:
        known = set(keys)
        if foreign := [each.row for key, each in ours.items() if key not in known]:
            raise InputError(
                f"{candidate.source}: row {foreign[0]}: its instruction is not in {source}; so in"
                f" {len(foreign):,} row(s). Name the set as `instructions` to leave them out"
            )
    return [
        Pair(str(number), each.dataset, each.instruction, ours[key], theirs[key])
        for number, (key, each) in enumerate(zip(keys, asked, strict=True), start=1)
    ]


def _indexed(rows: Sequence[T], source: str, by_dataset: bool) -> dict[Key, T]:
    found: dict[Key, T] = {}
    for each in rows:
        key = (each.dataset if by_dataset else None, each.instruction)
        if key in found:
            raise InputError(
                f"{source}: row {each.row}: the same instruction as in row {found[key].row}"
            )
        found[key] = each
    return found
