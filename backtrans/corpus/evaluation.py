"""Read an evaluation set: the texts of its rows, from JSON Lines or Parquet.

Promises: every row is read, or none: a row that nobody looks for would be a hole that nobody sees,
so what would refuse a document here raises InputError.

Does not know: where files lie; which field holds a prompt and which an answer.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from backtrans.corpus.rows import rows
from backtrans.errors import ConfigError, InputError

# A reject's detail names the set, and is read again: no white space.
SET_NAME = re.compile(r"[A-Za-z0-9][\w./-]{0,199}")


@dataclass(frozen=True, slots=True)
class EvaluationSet:
    """An evaluation set: of each row its texts, such as a prompt and an answer."""

    name: str
    texts: Sequence[Sequence[str]]

    def __post_init__(self) -> None:
        if not SET_NAME.fullmatch(self.name):
            raise ConfigError(f"{self.name!r} cannot name an evaluation set: letters, digits, ._/-")

    @property
    def fingerprint(self) -> str:
        """Name the set by its content: the same rows in the same order under the same name."""
        digest = hashlib.sha256(self.name.encode())
        for row in self.texts:
            digest.update(b"\0row %d" % len(row))
            for text in row:
                data = text.encode("utf-8", "surrogatepass")
                digest.update(b"\0%d\0" % len(data) + data)
        return digest.hexdigest()


def read_evaluation(
    file: BinaryIO, file_name: str, name: str, fields: Sequence[str] = ()
) -> EvaluationSet:
    """Read a set from a file: of each row the strings in `fields`, or in all of them.

    Lists and objects within a row are gone through; what is not a string is left out.
    Raises: InputError, naming the file, when a row cannot be read, or a field is in no row.
    """
    texts: list[tuple[str, ...]] = []
    seen: set[str] = set()
    for _, row in rows(file, file_name, first=0):  # as matches count them
        wanted = fields or list(row)
        seen.update(field for field in wanted if field in row)
        texts.append(tuple(text for field in wanted for text in strings(row.get(field))))
    if missing := [field for field in fields if field not in seen]:
        raise InputError(f"{file_name}: no row has the field {', '.join(missing)}")
    if not any(texts):
        raise InputError(f"{file_name}: no row holds a text")
    return EvaluationSet(name, texts)


def strings(value: Any) -> Iterator[str]:
    """Yield the strings in a value, in order, however deep; keys are not among them."""
    held = [value]
    while held:
        value = held.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            held += reversed(value.values())
        elif isinstance(value, list | tuple):
            held += reversed(value)
