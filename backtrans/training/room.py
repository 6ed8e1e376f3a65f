"""What a training keeps in the store while it runs: its examples, checkpoints, progress, failure.

The layout under the root; all of it goes when the model is registered:

    training/<fingerprint>/examples.parquet
    training/<fingerprint>/checkpoints/<step>.json              put_new, last: makes a checkpoint
    training/<fingerprint>/checkpoints/<step>-<launch>/<file>
    training/<fingerprint>/progress.json
    training/<fingerprint>/failures/<launch>.json               why a launch ended without a model

Promises: a checkpoint is there whole or not at all; an older one goes when a newer one is there.

Does not know: torch, what the files of a checkpoint hold.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from backtrans.entries import checked_name, decoded, encoded
from backtrans.errors import KeyMissing, StoreError
from backtrans.models import ModelFile
from backtrans.store import Store

FOLDER = "training/"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A state to go on from."""

    step: int
    launch: str
    files: tuple[ModelFile, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a training is."""

    step: int
    steps: int
    loss: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Failure:
    """An error of this package's, by its class, as its worker raised it."""

    kind: str
    message: str


_CHECKPOINT = TypeAdapter(Checkpoint)
_PROGRESS = TypeAdapter(Progress)
_FAILURE = TypeAdapter(Failure)


class Room:
    """One training's part of the store."""

    def __init__(self, store: Store, fingerprint: str) -> None:
        self._store = store
        self._folder = f"{FOLDER}{checked_name(fingerprint)}/"
        self._checkpoints = f"{self._folder}checkpoints/"

    def put_examples(self, data: bytes) -> None:
        """Put what the workers train on."""
        self._store.put(f"{self._folder}examples.parquet", data)

    def examples(self) -> bytes:
        """Return what the workers train on."""
        return self._store.get(f"{self._folder}examples.parquet")

    def put_file(self, step: int, launch: str, path: Path) -> ModelFile:
        """Put one file of a checkpoint; it counts when `complete` names it."""
        data = path.read_bytes()
        self._store.put(self._file_key(step, launch, path.name), data)
        return ModelFile(path.name, len(data), hashlib.sha256(data).hexdigest())

    def complete(self, step: int, launch: str, files: Iterable[ModelFile]) -> None:
        """Record a checkpoint whose files are put, then let the older ones go."""
        found = Checkpoint(step, launch, tuple(sorted(files, key=lambda file: file.name)))
        self._store.put_new(self._record_key(step), encoded(found))
        for older in self._steps():
            if older < step:
                self._store.delete(self._record_key(older))
                for info in list(self._store.list(f"{self._checkpoints}{older:08d}-")):
                    self._store.delete(info.key)

    def last_step(self) -> int:
        """Return the step of the last whole checkpoint, 0 where there is none."""
        return max(self._steps(), default=0)

    def fetch(self, folder: Path) -> int:
        """Download the last checkpoint into `folder`; return its step, 0 where there is none.

        One that another launch removes meanwhile has a newer one in its place. Raises: StoreError.
        """
        for _ in range(3):
            step = self.last_step()
            if step == 0:
                return 0
            try:
                self._download(step, folder)
                return step
            except KeyMissing as gone:
                missing = gone
        raise missing

    def tell(self, progress: Progress) -> None:
        """Say how far the training is."""
        self._store.put(f"{self._folder}progress.json", encoded(progress))

    def progress(self) -> Progress | None:
        """Return how far the training said that it is."""
        key = f"{self._folder}progress.json"
        try:
            return decoded(_PROGRESS, key, self._store.get(key))
        except KeyMissing:
            return None

    def fail(self, launch: str, failure: Failure) -> None:
        """Say why a launch ends without a model."""
        self._store.put(f"{self._folder}failures/{checked_name(launch)}.json", encoded(failure))

    def failure(self, launch: str) -> Failure | None:
        """Return why a launch ended without a model, if it said so."""
        key = f"{self._folder}failures/{checked_name(launch)}.json"
        try:
            return decoded(_FAILURE, key, self._store.get(key))
        except KeyMissing:
            return None

    def clear(self) -> None:
        """Remove everything, records first."""
        keys = [info.key for info in self._store.list(self._folder)]
        for key in sorted(keys, key=_is_record, reverse=True):
            self._store.delete(key)

    def _steps(self) -> list[int]:
        keys = [info.key for info in self._store.list(self._checkpoints)]
        return [int(Path(key).stem) for key in keys if _is_record(key)]

    def _download(self, step: int, folder: Path) -> None:
        key = self._record_key(step)
        found = decoded(_CHECKPOINT, key, self._store.get(key))
        folder.mkdir(parents=True, exist_ok=True)
        for file in found.files:
            data = self._store.get(self._file_key(step, found.launch, file.name))
            if hashlib.sha256(data).hexdigest() != file.sha256:
                raise StoreError(f"{key}: {file.name} is not what was put: another sha256")
            (folder / file.name).write_bytes(data)

    def _record_key(self, step: int) -> str:
        return f"{self._checkpoints}{step:08d}.json"

    def _file_key(self, step: int, launch: str, name: str) -> str:
        return f"{self._checkpoints}{step:08d}-{checked_name(launch)}/{checked_name(name)}"


def _is_record(key: str) -> bool:
    """Say whether a key is a checkpoint's record."""
    return key.endswith(".json") and key.rsplit("/", 2)[-2] == "checkpoints"


def orphans(store: Store, older_than: float) -> list[str]:
    """Return what trainings left in which nothing was put since a moment."""
    rooms: dict[str, list[str]] = {}
    latest: dict[str, float] = {}
    for info in store.list(FOLDER):
        name = info.key.split("/")[1]
        rooms.setdefault(name, []).append(info.key)
        latest[name] = max(latest.get(name, 0.0), info.modified)
    gone = [name for name in rooms if latest[name] < older_than]
    return sorted(key for name in gone for key in rooms[name])
