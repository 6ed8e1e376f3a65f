"""What batches of a file came to, beside the output, until all of them are there.

A part is named by what decides it, the judge and the batch's texts, so the same command finds it
again, and no other judge does; a row that is added to the input changes the last batch alone.

Promises: a part is there whole or not at all; what is none is judged again; texts are not repeated.

Does not know: how pairs are judged, the output.
"""

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from backtrans.errors import InputError
from backtrans.export import whole_file
from backtrans.judge.account import Account
from backtrans.judge.judged import JUDGED, Judged
from backtrans.records import Row, table

_SCHEMA = pa.schema([field for field in JUDGED if field.name not in ("instruction", "generation")])
_ACCOUNT = b"backtrans.account"

Texts = Sequence[tuple[Any, Any]]
"""A batch's instructions and generations, as they stand in its rows."""


class Parts:
    """The parts of one output by one judge."""

    def __init__(self, out: Path, judge: str) -> None:
        self._folder = out.parent / f".{out.name}.parts"
        self._judge = judge

    def begin(self) -> None:
        """Make room for them. Raises: OSError."""
        self._folder.mkdir(parents=True, exist_ok=True)

    def account(self, texts: Texts) -> Account | None:
        """Return the sums of a batch that is judged."""
        try:
            metadata = pq.read_schema(self._path(texts)).metadata
            return Account.from_json(orjson.loads(metadata[_ACCOUNT]))
        except (OSError, pa.ArrowException, KeyError, TypeError, orjson.JSONDecodeError):
            return None

    def put(self, texts: Texts, pairs: Sequence[Judged], account: Account) -> None:
        """Keep what became of a batch. Raises: OSError."""
        rows = [{name: row[name] for name in _SCHEMA.names} for row in (p.to_dict() for p in pairs)]
        said = {_ACCOUNT: orjson.dumps(account.to_json())}
        with whole_file(self._path(texts)) as file:
            whole = table(rows, _SCHEMA).replace_schema_metadata(said)
            pq.write_table(whole, file, compression="zstd")

    def read(self, texts: Texts) -> list[Row]:
        """Return the judgements of a batch. Raises: InputError where they are not there."""
        try:
            found: list[Row] = pq.read_table(self._path(texts)).to_pylist()
        except (OSError, pa.ArrowException) as error:
            raise InputError(
                "the input changed while it was judged, or another command wrote the same output:"
                f" run it again ({error})"
            ) from error
        return found

    def remove(self) -> None:
        """Let all of them go."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, texts: Texts) -> Path:
        key = hashlib.sha256(self._judge.encode())
        key.update(orjson.dumps(list(texts), default=str))
        return self._folder / f"{key.hexdigest()[:32]}.parquet"
