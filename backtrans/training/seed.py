"""Read what a training begins with: seed pairs, and exchanges to be replayed.

Pairs are rows of JSON Lines (plain, .gz, .zst) or Parquet with an instruction and an output, under
these names or others; or OpenAssistant's conversation trees. Replayed exchanges are rows with
"prompt" and "completion", or with "messages" of which the last is the assistant's.

Promises: every row is a pair, or a `Refused` with its reason; what is no row at all (a broken line,
a stream that breaks off, other columns) is an InputError that names the file and the row.

Does not know: which rows are duplicates, what tokens are, where files lie.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Literal

from backtrans.corpus.rows import rows
from backtrans.dialogue import Message
from backtrans.errors import InputError
from backtrans.training.oasst import is_tree, pair_of
from backtrans.training.pairs import Exchange, Refused, TrainingPair

VERSION = "seed/1"
"""What reads the rows."""

_SPEAKERS = ("system", "user", "assistant")


@dataclass(frozen=True, slots=True)
class SeedSettings:
    """How seed files are read."""

    format: Literal["auto", "pairs", "oasst"] = "auto"  # auto: by the first row
    columns: Mapping[str, str] = field(default_factory=dict)  # our name -> theirs
    language: str = "en"  # of conversation trees
    max_chars: int | None = None  # of an instruction and of an output, each


def read_pairs(
    file: BinaryIO, name: str, settings: SeedSettings = SeedSettings()
) -> Iterator[TrainingPair | Refused]:
    """Yield a seed's pairs, or why a row is none. Raises: InputError naming file and row."""
    columns = [settings.columns.get(ours, ours) for ours in ("instruction", "output")]
    trees = settings.format == "oasst"
    for number, row in rows(file, name):
        where = f"{name}: row {number:,}"
        if number == 1 and settings.format == "auto":
            trees = not set(columns) <= row.keys() and is_tree(row)
        if trees:
            if not is_tree(row):
                raise InputError(f"{where}: no conversation tree: it has {_named(row)}")
            found = pair_of(row, settings.language)
        else:
            if missing := [column for column in columns if column not in row]:
                raise InputError(
                    f"{where}: has no column {' and '.join(missing)}; it has {_named(row)}."
                    " Name yours, as in columns: {instruction: prompt, output: answer}"
                )
            found = _pair(row[columns[0]], row[columns[1]])
        yield _bounded(found, where, settings.max_chars)


def read_exchanges(file: BinaryIO, name: str) -> Iterator[Exchange | Refused]:
    """Yield a file's exchanges, or why a row is none. Raises: InputError as above."""
    for number, row in rows(file, name):
        where = f"{name}: row {number:,}"
        if "prompt" in row and "completion" in row:
            prompt, answer = row["prompt"], row["completion"]
            if isinstance(prompt, str) and isinstance(answer, str):
                yield Exchange((Message("user", prompt),), answer)
                continue
            turns = [*_list(prompt), *_list(answer)]
        elif "messages" in row:
            turns = _list(row["messages"])
        else:
            raise InputError(
                f"{where}: needs prompt and completion, or messages; it has {_named(row)}"
            )
        yield _exchange(turns, where)


def _named(row: dict[str, Any]) -> str:
    return ", ".join(sorted(row)) or "none"


def _pair(instruction: Any, output: Any) -> TrainingPair | Refused:
    if not isinstance(instruction, str) or not isinstance(output, str):
        return Refused("not_text")
    return TrainingPair(instruction, output)


def _bounded(
    found: TrainingPair | Refused, where: str, max_chars: int | None
) -> TrainingPair | Refused:
    if isinstance(found, Refused):
        return Refused(found.why, where)
    if not found.instruction.strip() or not found.output.strip():
        return Refused("empty", where)
    longest = max(len(found.instruction), len(found.output))
    if max_chars is not None and longest > max_chars:
        return Refused("too_long", f"{where}: {longest:,} characters > {max_chars:,}")
    return found


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _exchange(turns: list[Any], where: str) -> Exchange | Refused:
    messages = []
    for turn in turns:
        match turn:
            case {"role": str(role), "content": str(content)} if role in _SPEAKERS:
                messages.append(Message(role, content))  # type: ignore[arg-type]
            case _:
                return Refused("not_text", where)
    if len(messages) < 2 or messages[-1].speaker != "assistant":
        return Refused("no_best_reply" if messages else "empty", where)
    return Exchange(tuple(messages[:-1]), messages[-1].content)
