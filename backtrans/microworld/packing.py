"""Examples packed into rows, so that little of a row is padding, and a rubric is computed once.

Promises: what shares a row begins with the same rubric, or with none; nothing is cut.

Does not know: what examples teach.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

OPEN_ROWS = 6
"""Rows that wait for an example that fits: more waste less padding."""


@dataclass(frozen=True, slots=True)
class Example:
    """Token ids, and the loss weight of *predicting* each of them.

    The first `shared_tokens` ids are the rubric, the same in every example of that number, so that
    several examples can share it in one row.
    """

    ids: list[int]
    weights: list[float]
    shared_tokens: int = 0


def with_shared(example: Example, rubrics: list[list[int]]) -> Example:
    """Mark the rubric at an example's head, if one is there."""
    for rubric in rubrics:
        if example.ids[: len(rubric)] == rubric:
            return replace(example, shared_tokens=len(rubric))
    return example


def rows(source: Iterator[Example], length: int) -> Iterator[list[Example]]:
    """Pack examples into rows: what a row holds shares one rubric, or none; all fit in `length`.

    An example too long for a row of its own is left out. Ends with its source.
    """
    opened: dict[int, list[list[Example]]] = {}
    for example in source:
        if len(example.ids) > length:
            continue
        queue = opened.setdefault(example.shared_tokens, [])
        fitting = [row for row in queue if row_tokens([*row, example]) <= length]
        if fitting:
            max(fitting, key=row_tokens).append(example)
            continue
        queue.append([example])
        if len(queue) > OPEN_ROWS:
            fullest = max(queue, key=row_tokens)
            queue.remove(fullest)
            yield fullest
    for queue in opened.values():
        yield from queue


def row_tokens(row: list[Example]) -> int:
    """Count a row's tokens, the rubric once."""
    return sum(len(e.ids) - e.shared_tokens for e in row) + row[0].shared_tokens
