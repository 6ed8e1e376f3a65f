"""What the ledger writes: its entries, their accounts, their text and their names.

Promises: the same entry gives the same bytes; what is read back is an entry of its kind, whole and
with the right types, or an error that names the key; an entry whose rows do not add up is refused.

Does not know: where entries lie, or which of two wins.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterable
from dataclasses import asdict, astuple, dataclass, field
from typing import Any, TypeVar

import orjson
import pyarrow as pa
from pydantic import TypeAdapter, ValidationError

from backtrans.errors import AccountingError, StoreError
from backtrans.records import Counts

Entry = TypeVar("Entry")

_FINGERPRINT_DIGITS = 24
"""96 bits: by chance, no two of 10^9 shards share a key (about 10^-11)."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")
"""A key, an attempt and an ending are one file name: 255 bytes are what file systems take."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a part cost, summed over its rows. Units in the names; money in the prices'.

    `seconds` are the worker's, shared among the rows in dialogue at once: so they add up over
    parts, and times the GPUs of a worker they are GPU-seconds. `attempts` are those that the run
    which committed it had begun at its shard by then, this one too; 0 where nobody counted.
    """

    requests: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0
    money: float = 0.0
    attempts: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        pairs = zip(astuple(self), astuple(other), strict=True)
        return Usage(*(mine + theirs for mine, theirs in pairs))

    def __sub__(self, other: "Usage") -> "Usage":
        pairs = zip(astuple(self), astuple(other), strict=True)
        return Usage(*(mine - theirs for mine, theirs in pairs))


@dataclass(frozen=True, slots=True)
class Commit:
    """The record that makes a part count."""

    stage: str
    key: str
    shard: str  # the shard's identity: content fingerprint, rows
    object: str  # the input object's URL when the shard was read
    first_row: int  # zero-based, of the input object
    part: str  # the part's key in the store
    counts: Counts
    usage: Usage = field(default_factory=Usage)
    run: str = ""
    attempt: str = ""
    committed_at: str = ""  # UTC, ISO 8601
    reads: tuple[str, ...] = ()  # the parts that it was made from; not one of them may be replaced

    def refused_for(self, reasons: Iterable[str]) -> int:
        """Return how many of the part's rows were refused for one of these reasons."""
        return sum(self.counts.rejects.get(reason, 0) for reason in reasons)


@dataclass(frozen=True, slots=True)
class Index:
    """The shards of one input object, written once the whole object has been read."""

    key: str
    object: str
    fingerprint: str
    rows: int
    shards: tuple[str, ...]  # identities, in row order


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A shard that a run gave up after its last attempt."""

    run: str
    stage: str
    key: str
    name: str  # what a person calls it: object and rows
    error: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Searched:
    """How far a run is in its search for the rows of a shard of which its engine dies."""

    lethal: tuple[str, ...] = ()  # ids of those that were found
    asked: tuple[str, ...] = ()  # of those that are asked about now; left behind by a death


COMMIT = TypeAdapter(Commit)
INDEX = TypeAdapter(Index)
QUARANTINED = TypeAdapter(Quarantined)
SEARCHED = TypeAdapter(Searched)
RUN = TypeAdapter(dict[str, Any])


def fingerprint(*parts: object) -> str:
    """Hash canonical JSON of plain values to 24 hex digits: a fingerprint or a key.

    Plain: None, bool, int, finite float, str, and lists, tuples and str-keyed dicts of these.
    Raises: TypeError or ValueError for anything else, since it would have no stable text.
    """
    _check_plain(parts)
    text = json.dumps(parts, sort_keys=True, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_FINGERPRINT_DIGITS]


def stage_key(stage: str, stage_fingerprint: str, shard: str) -> str:
    """Return the key under which a stage commits a shard: content and recipe, nothing else."""
    return fingerprint(stage, stage_fingerprint, shard)


def index_key(select_fingerprint: str, object_fingerprint: str) -> str:
    """Return the key of an input object's index."""
    return fingerprint("index", select_fingerprint, object_fingerprint)


def _check_plain(value: object) -> None:
    match value:
        case None | bool() | int() | float() | str():
            pass
        case list() | tuple():
            for each in value:
                _check_plain(each)
        case dict():
            for name, each in value.items():
                if not isinstance(name, str):  # JSON would make 1 and "1" the same
                    raise TypeError(f"the key {name!r} of a fingerprinted dict is no string")
                _check_plain(each)
        case _:
            raise TypeError(f"{type(value).__name__} has no canonical text: {value!r}")


def is_name(name: str) -> bool:
    """Say whether a name is one safe segment of a key, in any store and on any file system."""
    return _NAME.fullmatch(name) is not None


def checked_name(name: str) -> str:
    """Return a run's, a stage's or a shard's name if it is one. Raises: StoreError."""
    if not is_name(name):
        raise StoreError(f"{name!r} is no name: letters, digits and . _ + - only, at most 100")
    return name


def encoded(entry: Any) -> bytes:
    """Encode an entry as JSON with sorted keys: the same entry gives the same bytes."""
    # asdict, since orjson does not sort a dataclass's own fields.
    plain = entry if isinstance(entry, dict) else asdict(entry)
    return orjson.dumps(plain, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2)


def decoded(kind: TypeAdapter[Entry], key: str, data: bytes) -> Entry:
    """Read an entry of its kind. Raises: StoreError naming the key and the field."""
    try:
        return kind.validate_json(data, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "entry"
        raise StoreError(f"{key}: not an entry of its kind: {where}: {first['msg']}") from error


def check_accounts(record: Commit, part: pa.Table) -> None:
    """Compare what went in with what the part holds, reason by reason (law 1).

    Raises: AccountingError.
    """
    where, counts, usage = f"{record.stage}/{record.key}", record.counts, record.usage
    if min(counts.rows_in, counts.kept, *counts.rejects.values()) < 0:
        raise AccountingError(f"{where}: negative counts: {counts}")
    if counts.rows_in != counts.kept + counts.rejected:
        balance = f"{counts.kept:,} kept + {counts.rejected:,} rejected"
        raise AccountingError(f"{where}: {counts.rows_in:,} rows in, but {balance}")
    if "reject_reason" not in part.column_names:
        raise AccountingError(f"{where}: the part has no column reject_reason")
    seen = Counts.of(counts.rows_in, part)
    said = {reason: n for reason, n in counts.rejects.items() if n}
    if (seen.kept, seen.rejects) != (counts.kept, said):
        held = f"{seen.kept:,} kept, rejects {seen.rejects}"
        raise AccountingError(
            f"{where}: the part holds {held}; its counts say {counts.kept:,} kept, rejects {said}"
        )
    if not all(math.isfinite(n) and n >= 0 for n in asdict(usage).values()):
        raise AccountingError(f"{where}: not a usage: {usage}")
