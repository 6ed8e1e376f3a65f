"""The models that trainings made: files in the store, and a record that makes them count.

The layout under the root:

    models/<fingerprint>/<attempt>/<file>     what one attempt put; nothing reads it unrecorded
    models/<fingerprint>/record.json          put_new, last: the first attempt's wins

Promises: a model is registered whole or not at all, and stays as it is; a fetched folder holds what
was registered, byte by byte, or there is none; any number of processes may fetch the same model at
once. Files that no record names are harmless, and `sweep` removes them.

Does not know: torch, what the files hold, how a training goes.
"""

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

from pydantic import TypeAdapter

from backtrans.entries import checked_name, decoded, encoded
from backtrans.errors import KeyMissing, ModelError, StoreError
from backtrans.objects import scheme
from backtrans.store import Store

FOLDER = "models/"
RECORD = "record.json"
REGISTERED = "registered:"
"""What stands before a fingerprint where a path to a model may stand too."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of a model."""

    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Metrics:
    """What a training came to. `loss` is the mean over target tokens, of each step."""

    steps: int
    examples: int
    tokens: int  # seen in training, padding excepted
    target_tokens: int  # those of them that bear loss
    seconds: float
    loss: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Registered:
    """A trained model. `settings` is all that decided it besides base and data."""

    fingerprint: str
    role: Literal["backward", "forward"]
    kind: Literal["lora", "full", "scripted"]
    settings: dict[str, Any]
    base: str  # identity: what `model_fingerprint` says of it
    base_name: str  # what people call it
    data: dict[str, int]  # examples by kind, and rows left out by reason
    data_digest: str
    metrics: Metrics
    attempt: str
    files: tuple[ModelFile, ...]
    made_at: str  # UTC, ISO 8601
    run: str = ""


_RECORD = TypeAdapter(Registered)


class Registry:
    """The models of one store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def of(self, fingerprint: str) -> Registered | None:
        """Return a model's record, or None. Raises: StoreError for what is none."""
        key = _key(fingerprint)
        try:
            record = decoded(_RECORD, key, self.store.get(key))
        except KeyMissing:
            return None
        if record.fingerprint != fingerprint:
            raise StoreError(f"{key}: the record of {record.fingerprint!r}, under another's name")
        return record

    def all(self) -> Iterator[Registered]:
        """Yield every model's record, sorted by fingerprint."""
        for info in self.store.list(FOLDER):
            _, fingerprint, *rest = info.key.split("/")
            if rest == [RECORD] and (record := self.of(fingerprint)) is not None:
                yield record

    def put_file(self, fingerprint: str, attempt: str, path: Path) -> ModelFile:
        """Put one file of an attempt; it counts when a record names it."""
        data = path.read_bytes()
        self.store.put(_file_key(fingerprint, attempt, path.name), data)
        return ModelFile(path.name, len(data), hashlib.sha256(data).hexdigest())

    def register(self, record: Registered) -> Registered:
        """Record a model whose files are put; return the record that counts, the first one."""
        self.store.put_new(_key(record.fingerprint), encoded(record))
        if (first := self.of(record.fingerprint)) is None:
            raise StoreError(f"{_key(record.fingerprint)}: was put, and is not there")
        return first

    def fetch(self, fingerprint: str, cache: Path) -> Path:
        """Return a local folder with the model's files.

        A local root's own folder; else one below `cache`, downloaded whole and put in place by one
        rename. Raises: ModelError where the model is not registered, StoreError where a file is
        missing or is not what was registered.
        """
        record = self.of(fingerprint)
        if record is None:
            raise ModelError(f"no model {fingerprint} is registered: train it first")
        if scheme(self.store.settings.root) in (None, "file"):
            there = Path(self.store.url(_file_key(fingerprint, record.attempt, "x"))).parent
            for file in record.files:
                _check_size(there / file.name, file)
            return there
        folder = cache.expanduser() / f"{fingerprint}-{record.attempt}"
        if folder.is_dir():
            for file in record.files:
                _check_size(folder / file.name, file)
            return folder
        scratch = folder.with_name(f".{folder.name}-{uuid4().hex}")
        scratch.mkdir(parents=True)
        try:
            for file in record.files:
                self._download(record, file, scratch / file.name)
            scratch.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process has put the same there
                raise
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        return folder

    def located(self, path: str, cache: Path) -> str:
        """Return a folder for what names a registered model; any other path as it is."""
        if not path.startswith(REGISTERED):
            return path
        return str(self.fetch(path.removeprefix(REGISTERED), cache))

    def orphans(self, older_than: float) -> list[str]:
        """Return the keys of files that no record names and that are older than a moment."""
        infos = [info for info in self.store.list(FOLDER) if not info.key.endswith(f"/{RECORD}")]
        named = {
            _file_key(record.fingerprint, record.attempt, file.name)
            for record in self.all()  # after the files: what was registered in between is named
            for file in record.files
        }
        return [info.key for info in infos if info.key not in named and info.modified < older_than]

    def _download(self, record: Registered, file: ModelFile, path: Path) -> None:
        key = _file_key(record.fingerprint, record.attempt, file.name)
        data = self.store.get(key)
        if hashlib.sha256(data).hexdigest() != file.sha256:
            raise StoreError(f"{key}: is not what was registered: another sha256")
        path.write_bytes(data)


def _check_size(path: Path, file: ModelFile) -> None:
    size = path.stat().st_size if path.is_file() else None
    if size != file.size_bytes:
        held = "is missing" if size is None else f"has {size:,} bytes"
        raise StoreError(f"{path}: {held}; {file.size_bytes:,} were registered")


def _key(fingerprint: str) -> str:
    return f"{FOLDER}{checked_name(fingerprint)}/{RECORD}"


def _file_key(fingerprint: str, attempt: str, name: str) -> str:
    return f"{FOLDER}{checked_name(fingerprint)}/{checked_name(attempt)}/{checked_name(name)}"
