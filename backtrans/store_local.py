"""Whole objects in a local folder, or in a network folder that has hard links.

Promises: an object appears under its name whole and on disk, or not at all, since it is written
under a temporary name in the same folder first; of many concurrent `put_new` one wins, since a
link is exclusive; a process that dies leaves at worst a temporary file, which listings hide.

Does not know: S3, or what the objects hold.
"""

import errno
import os
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from backtrans.errors import KeyMissing, StoreError
from backtrans.objects import TEMPORARY, ObjectInfo, is_temporary

_ABSENT = (errno.ENOENT, errno.ENOTDIR)


class Folder:
    """The objects below one folder, which is made by the first put."""

    def __init__(self, root: str) -> None:
        self.root = Path(
            os.path.normpath(Path(root.removeprefix("file://")).expanduser().absolute())
        )

    def get(self, key: str) -> bytes:
        path = self.root / key
        with _failures(path):
            try:
                return path.read_bytes()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                self._check_root()
                raise KeyMissing(f"{path}: no such object") from None

    def put(self, key: str, data: bytes) -> None:
        path = self.root / key
        with _failures(path), _finished_file(path, data) as temporary:
            temporary.replace(path)
            _sync_folder(path)

    def put_new(self, key: str, data: bytes) -> bool:
        path = self.root / key
        with _failures(path), _finished_file(path, data) as temporary:
            try:
                path.hardlink_to(temporary)
            except FileExistsError:
                if path.is_dir():
                    raise
                # A network file system may have linked, lost its answer, and tried again.
                return temporary.stat().st_nlink > 1
            _sync_folder(path)
            return True

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        return (info for info in self._walk(prefix) if not is_temporary(info.key))

    def leftovers(self) -> Iterator[ObjectInfo]:
        return (info for info in self._walk("") if is_temporary(info.key))

    def exists(self, key: str) -> bool:
        path = self.root / key
        with _failures(path):
            try:
                return stat.S_ISREG(path.stat().st_mode)
            except (FileNotFoundError, NotADirectoryError):
                self._check_root()
                return False

    def delete(self, key: str) -> None:
        path = self.root / key
        with _failures(path):
            try:
                path.unlink()
            except (FileNotFoundError, NotADirectoryError):
                self._check_root()

    def url(self, key: str) -> str:
        return str(self.root / key)

    def _check_root(self) -> bool:
        """Say whether the root is there. Raises: StoreError where it is no folder."""
        try:
            mode = self.root.stat().st_mode
        except FileNotFoundError:
            return False  # not yet: the first put makes it
        if not stat.S_ISDIR(mode):
            raise StoreError(f"the root {self.root} is a file, and needs to be a folder")
        return True

    def _walk(self, prefix: str) -> Iterator[ObjectInfo]:
        folder = prefix[: prefix.rfind("/") + 1]
        with _failures(self.root / folder):
            if self._check_root():
                yield from _below(self.root, folder, prefix)


def _below(root: Path, folder: str, prefix: str) -> Iterator[ObjectInfo]:
    """Yield the files below `folder` ("" or ending in "/") whose key starts with `prefix`.

    What vanishes during the walk is left out. A folder sorts as its name and "/", which makes the
    order of the walk that of the keys.
    """
    try:
        with os.scandir(root / folder) as found:
            entries = sorted((folder + e.name + ("/" if e.is_dir() else ""), e) for e in found)
    except OSError as error:
        if error.errno in _ABSENT:
            return
        raise
    for key, entry in entries:
        if key.endswith("/"):
            if key.startswith(prefix) or prefix.startswith(key):
                yield from _below(root, key, prefix)
        elif key.startswith(prefix):
            with suppress(FileNotFoundError):
                seen = entry.stat()
                if stat.S_ISREG(seen.st_mode):
                    yield ObjectInfo(key, seen.st_size, seen.st_mtime, None)


@contextmanager
def _finished_file(path: Path, data: bytes) -> Iterator[Path]:
    """Write `data` to disk beside `path`, lend the temporary name, and remove it in any case."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / (TEMPORARY + uuid.uuid4().hex)
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _sync_folder(path: Path) -> None:
    """Put the name on disk too: after a power cut no commit may outlive the part it names."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def _failures(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror or error}") from error
