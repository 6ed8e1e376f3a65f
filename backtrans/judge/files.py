"""A file's pairs, judged into another file: in batches, in order, resumed where it stopped.

When every batch has its part, the output is written beside, takes its name by one rename, and the
parts go. So the same command, run again after a kill at any instant, asks about the batches that
were under way and about no other.

Promises: memory is bounded by the batches in flight (a JSON list is held whole by who reads it);
every row of the input is a row of the output, at its place, with every column; a file that another
judge wrote, or of other rows, is not replaced unasked.

Does not know: how pairs are judged, what the terminal shows.
"""

import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from backtrans import tabular
from backtrans.errors import ConfigError
from backtrans.export import whole_file, write_json
from backtrans.judge.account import Account
from backtrans.judge.columns import Columns, columns_of, widened
from backtrans.judge.judged import Judged, Names
from backtrans.judge.parts import Parts, Texts
from backtrans.ledger import fingerprint
from backtrans.records import Row

BATCH_ROWS = 512
IN_FLIGHT = 3
"""Rows of a batch, the most that a kill takes back of each, and batches under way at once, so that
an engine does not run dry where one ends. Source: this project's choice: 1,536 rows are three
times `MAX_IN_FLIGHT`, and some 5 MB of text."""

SAY_SECONDS = 30.0
"""How often progress is said. Source: this project's choice."""

Batch = tuple[list[Judged], Account]


@dataclass(frozen=True, slots=True)
class Scoring:
    """How a file is judged, and by whom."""

    judge: str  # by content: what decides every judgement
    submit: Callable[[Texts], "Future[Batch]"]
    settings: dict[str, Any]  # of the judge, for the record
    instruction: str
    generation: str | None
    names: Names
    overwrite: bool
    say: Callable[[str], None]

    def file(self, path: Path, out: Path) -> Account:
        """Judge a file into another. Raises: InputError, ConfigError, what the judge raises."""
        write = _WRITERS.get(out.suffix)
        if write is None:
            endings = " or ".join(f"*{ending}" for ending in _WRITERS)
            raise ConfigError(f"{out}: its ending does not say what to write: name it {endings}")
        if out.exists() and path.exists() and out.samefile(path):
            raise ConfigError(f"{out}: is the input; it would be replaced by the output")
        columns = columns_of(path, self.instruction, self.generation)
        parts = Parts(out, self.judge)
        if (done := self._done(path, out)) is not None:
            self.say(f"{out}: is there already: these rows, by this judge")
            parts.remove()
            return done
        kept = tabular.schema(path)
        typed = pa.schema([]) if kept is None and out.suffix == ".parquet" else None
        try:
            parts.begin()
            account, digest, typed = self._judged(path, columns, parts, typed)
            # What is replaced goes when its successor is judged, and before its record does: a
            # record never speaks of an older output. It precedes its own: an output without one
            # would be taken for someone else's.
            out.unlink(missing_ok=True)
            write_json(_record(out), self._said(digest, columns, account))
            kept = kept if kept is not None else typed
            wanted = None if kept is None else columns.output_schema(kept, self.names)
            with whole_file(out) as file:
                write(self._rows(path, columns, parts), wanted, file)
        except OSError as error:
            raise ConfigError(f"{out}: cannot be written: {error.strerror or error}") from error
        parts.remove()
        return account

    def _done(self, path: Path, out: Path) -> Account | None:
        """Return the account of an output that is this very one.

        Raises: ConfigError for another's, unless that is to be replaced.
        """
        if not out.exists():
            return None
        if out.is_dir():
            raise ConfigError(f"{out}: is a folder")
        try:
            found = orjson.loads(_record(out).read_bytes())
        except (OSError, orjson.JSONDecodeError):
            found = {}
        same_judge = found.get("key") == self._key
        if same_judge and found.get("digest") == _digest(path):
            return Account.from_json(found["account"])
        if not self.overwrite:
            why = "of other rows" if same_judge else "not by this judge in this form"
            raise ConfigError(f"{out}: is there already, {why}; name another file, or --overwrite")
        return None

    @property
    def _key(self) -> str:
        return fingerprint(self.judge, self.instruction, self.generation, self.names)

    def _said(self, digest: str, columns: Columns, account: Account) -> Row:
        return {
            "key": self._key,
            "digest": digest,
            "columns": {"instruction": columns.instruction, "generation": columns.generation},
            "judge": self.settings,
            "account": account.to_json(),
        }

    def _judged(
        self, path: Path, columns: Columns, parts: Parts, typed: pa.Schema | None
    ) -> tuple[Account, str, pa.Schema | None]:
        """Have every batch judged; return the sums, the rows' digest, and what they hold."""
        account, digest, rows_now = Account(), hashlib.sha256(), 0
        waiting: deque[tuple[Texts, Future[Batch]]] = deque()
        began = said = time.monotonic()

        def settle() -> None:
            texts, future = waiting.popleft()
            pairs, of_batch = future.result()
            parts.put(texts, pairs, of_batch)
            account.merge(of_batch)

        try:
            for batch in _batches(path):
                digest.update(_lines(batch))
                typed = None if typed is None else widened(typed, batch, path)
                texts = _texts(batch, columns)
                if (known := parts.account(texts)) is not None:
                    account.merge(known)
                    continue
                waiting.append((texts, self.submit(texts)))
                rows_now += len(texts)
                if len(waiting) >= IN_FLIGHT:
                    settle()
                if time.monotonic() - said > SAY_SECONDS:
                    said = time.monotonic()
                    self.say(f"{account.rows:,} rows judged")
            while waiting:
                settle()
        finally:
            for _, future in waiting:
                future.cancel()
        seconds = time.monotonic() - began
        if rows_now < account.rows:
            self.say(f"{account.rows - rows_now:,} rows had been judged before")
        if rows_now:
            speed = f"{rows_now / seconds:,.1f} rows/s"
            self.say(f"{rows_now:,} rows judged in {seconds:,.1f} s: {speed}")
        return account, digest.hexdigest(), typed

    def _rows(self, path: Path, columns: Columns, parts: Parts) -> Iterator[list[Row]]:
        for batch in _batches(path):
            judgements = parts.read(_texts(batch, columns))
            yield [
                columns.beside(row, judgement, self.names)
                for row, judgement in zip(batch, judgements, strict=True)
            ]


def _batches(path: Path) -> Iterator[list[Row]]:
    rows = (row for _, row in tabular.rows(path, None))
    while batch := list(islice(rows, BATCH_ROWS)):
        yield batch


def _texts(batch: Sequence[Row], columns: Columns) -> Texts:
    return [(row.get(columns.instruction), row.get(columns.generation)) for row in batch]


def _lines(batch: Sequence[Row]) -> bytes:
    # JSON has no bytes, decimals or times of day, and Parquet has: they stand as their text.
    wanted = orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS
    return b"".join(orjson.dumps(row, default=str, option=wanted) for row in batch)


def _digest(path: Path) -> str:
    found = hashlib.sha256()
    for batch in _batches(path):
        found.update(_lines(batch))
    return found.hexdigest()


def _record(out: Path) -> Path:
    return out.parent / f"{out.name}.account.json"


def _write_jsonl(batches: Iterator[list[Row]], wanted: pa.Schema | None, file: Any) -> None:
    for batch in batches:
        file.write(_lines(batch))


def _write_parquet(batches: Iterator[list[Row]], wanted: pa.Schema | None, file: Any) -> None:
    with pq.ParquetWriter(file, wanted, compression="zstd") as writer:
        for batch in batches:
            writer.write_table(pa.Table.from_pylist(batch, schema=wanted))


_WRITERS: dict[str, Callable[[Iterator[list[Row]], pa.Schema | None, Any], None]] = {
    ".jsonl": _write_jsonl,
    ".parquet": _write_parquet,
}
