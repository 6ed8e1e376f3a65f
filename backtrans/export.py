"""Write a split as a training set in the forms that TRL's trainers take, in one file.

    prompt-completion   {"prompt": "<instruction>", "completion": "<response>"}
    messages            {"messages": [{"role": "user", ...}, {"role": "assistant", ...}]}
    preference          {"prompt": "<instruction>", "chosen": "<rewrite>", "rejected": "<original>"}

The first two are SFTTrainer's, the last DPOTrainer's: of the pairs whose response is a rewrite, and
where rewrites were scored, of those whose rewrite scored higher than its original.

With tags, a sentence after each instruction says which of two distributions it is from: the
augmented pairs' or the seed's, as Humpback trains.

Promises: the file is there whole or not at all, and replaces an older one at once; memory is
bounded by one file of the split; a bad seed pair is an error that names file and row.

Does not know: snapshots, stores, the configuration.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from backtrans.errors import ConfigError, InputError, plain
from backtrans.records import Row
from backtrans.roles.role import AUGMENTED_TAG, SEED_TAG
from backtrans.training.pairs import FAULTS, WHY, TrainingPair
from backtrans.training.seed import read_pairs

BATCH_ROWS = 4096
"""Rows in a row group of a Parquet export. Source: this project's choice; some 10 MB of text."""

AFTER_PROMPT = "\n\n"
"""What stands between prompt and completion, which TRL joins as they are, as plain text. Part of
the prompt, so that no token of a byte-level tokenizer spans the two."""


@dataclass(frozen=True, slots=True)
class Form:
    """A form of training rows: its columns, and a row of it from a tagged pair."""

    schema: pa.Schema
    row: Callable[[str, str], Row]


def _prompt_completion(instruction: str, response: str) -> Row:
    return {"prompt": instruction + AFTER_PROMPT, "completion": response}


def _messages(instruction: str, response: str) -> Row:
    turns = (("user", instruction), ("assistant", response))
    return {"messages": [{"role": role, "content": content} for role, content in turns]}


FORMS = {
    "prompt-completion": Form(
        pa.schema([("prompt", pa.string()), ("completion", pa.string())]), _prompt_completion
    ),
    "messages": Form(
        pa.schema(
            [
                (
                    "messages",
                    pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())])),
                )
            ]
        ),
        _messages,
    ),
}
"""Source: TRL 1.16's dataset formats: "prompt-completion", standard, and "language modeling",
conversational. The first is trained on its completion alone, the second by the model's template."""

PREFERENCE = "preference"
"""Source: TRL 1.16's "preference" format with an explicit prompt, standard: DPOTrainer's fields."""

_PREFERENCE = pa.schema([(name, pa.string()) for name in ("prompt", "chosen", "rejected")])


def export(
    split: Iterable[pa.Table], form: str, out: Path, *, tags: bool, seed: Path | None = None
) -> int:
    """Write the pairs of a split, those of the seed before them; return how many there are.

    Rows: N of the split and M of the seed -> M + N; of preferences at most N. Raises: ConfigError
    for a name that is neither .jsonl nor .parquet, InputError for a seed that cannot be read.
    """
    if seed is not None and out.exists() and seed.exists() and out.samefile(seed):
        raise ConfigError(f"{out}: is the seed; it would be replaced by the export")
    if seed is not None and form == PREFERENCE:
        raise ConfigError("seed pairs have one response each: there is nothing to prefer in them")
    write = {".jsonl": _write_jsonl, ".parquet": _write_parquet}.get(out.suffix)
    if write is None:
        raise ConfigError(f"{out}: an export is a .jsonl or a .parquet file")
    if form == PREFERENCE:
        schema, rows = _PREFERENCE, _preferences(split, tags=tags)
    else:
        chosen = FORMS[form]
        schema = chosen.schema
        rows = (
            chosen.row(_tagged(instruction, tag, tags=tags), response)
            for instruction, response, tag in _pairs(split, seed)
        )
    try:
        with whole_file(out) as file:
            return write(rows, schema, file)
    except OSError as error:
        raise ConfigError(f"{out}: cannot be written: {error.strerror or error}") from error


def _pairs(split: Iterable[pa.Table], seed: Path | None) -> Iterator[tuple[str, str, str]]:
    if seed is not None:
        for pair in read_seed(seed):
            yield pair.instruction, pair.output, SEED_TAG
    for table in split:
        for batch in table.select(["instruction", "response"]).to_batches(BATCH_ROWS):
            for row in batch.to_pylist():
                yield row["instruction"], row["response"], AUGMENTED_TAG


def _tagged(instruction: str, tag: str, *, tags: bool) -> str:
    return f"{instruction} {tag}" if tags else instruction


_PREFERRED_BY = [
    "instruction",
    "response",
    "original_response",
    "response_from",
    "original_score",
    "rewrite_score",
]


def _preferences(split: Iterable[pa.Table], *, tags: bool) -> Iterator[Row]:
    for table in split:
        for batch in table.select(_PREFERRED_BY).to_batches(BATCH_ROWS):
            for row in batch.to_pylist():
                scored = row["rewrite_score"] is not None
                if row["response_from"] != "rewritten" or (
                    scored and row["rewrite_score"] <= row["original_score"]
                ):
                    continue
                prompt = _tagged(row["instruction"], AUGMENTED_TAG, tags=tags) + AFTER_PROMPT
                yield {
                    "prompt": prompt,
                    "chosen": row["response"],
                    "rejected": row["original_response"],
                }


# ---------------------------------------------------------------------- seed pairs


def read_seed(path: Path) -> Iterator[TrainingPair]:
    """Yield a file's pairs: of conversation trees those that are fit, else every one.

    Raises: InputError naming file and row.
    """
    try:
        with path.open("rb") as file:
            for found in read_pairs(file, str(path)):
                if isinstance(found, TrainingPair):
                    yield found
                elif found.why in FAULTS:
                    raise InputError(f"{found.detail}: {WHY[found.why]}")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {plain(error)}") from error


# ---------------------------------------------------------------------- files


def _write_jsonl(rows: Iterator[Row], schema: pa.Schema, file: BinaryIO) -> int:
    written = 0
    for row in rows:
        file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
        written += 1
    return written


def _write_parquet(rows: Iterator[Row], schema: pa.Schema, file: BinaryIO) -> int:
    written = 0
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        while batch := list(islice(rows, BATCH_ROWS)):
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))
            written += len(batch)
    return written


@contextmanager
def whole_file(out: Path) -> Iterator[BinaryIO]:
    """Lend a file beside `out` that takes its name when all went well, and is removed otherwise.

    Raises: OSError.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = out.parent / f".tmp-{uuid4().hex}"
    try:
        with unfinished.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(out)
    finally:
        unfinished.unlink(missing_ok=True)


def write_json(path: Path, whole: dict[str, Any]) -> None:
    """Write a JSON document. Raises: ConfigError where it cannot be written."""
    try:
        with whole_file(path) as file:
            file.write(orjson.dumps(whole, option=orjson.OPT_INDENT_2))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror or error}") from error
