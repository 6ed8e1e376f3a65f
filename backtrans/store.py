"""Whole objects under a root, in a local folder or in an S3 bucket.

Promises, held by one behaviour suite over both: an object is there whole or not at all (its bytes
are encoded first, then put); `put_new` has exactly one winner however many write at once; a failure
is a `StoreError` that names the key. Readers of input corpora come through here too, so that only
this module and its two backends (`store_local`, `store_s3`) know file systems.

Does not know: what the objects mean. Credentials come from the standard chain of the environment
where the store is opened; they are never part of `StoreSettings`, nor of anything pickled.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from glob import has_magic
from pathlib import Path
from typing import Any, BinaryIO, cast

from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem

from backtrans.errors import InputError, StoreError
from backtrans.objects import (
    ObjectInfo,
    Objects,
    StoreSettings,
    checked_key,
    checked_prefix,
    is_temporary,
    scheme,
)
from backtrans.store_local import Folder

__all__ = [
    "ObjectInfo",
    "Store",
    "StoreSettings",
    "content_fingerprint",
    "is_temporary",
    "list_inputs",
    "open_input",
]

_FINGERPRINT_DIGITS = 32
"""128 bits: no two inputs of any corpus share one by chance."""

_HASH_BLOCK_BYTES = 2**20


class Store:
    """Whole objects under a root. Pickles as its settings; usable from any thread or process."""

    def __init__(self, settings: StoreSettings) -> None:
        self.settings = settings
        self._objects = _backend(settings)

    def __repr__(self) -> str:
        return f"Store({self.settings!r})"

    def __reduce__(self) -> tuple[type["Store"], tuple[StoreSettings]]:
        return Store, (self.settings,)

    def get(self, key: str) -> bytes:
        """Return an object's bytes. Raises: KeyMissing, StoreError."""
        return self._objects.get(checked_key(key))

    def put(self, key: str, data: bytes) -> None:
        """Put an object, replacing what was there."""
        self._objects.put(checked_key(key), data)

    def put_new(self, key: str, data: bytes) -> bool:
        """Put an object unless the key is taken; say whether this call put it.

        Exactly one of any number of concurrent callers is told True. Locally by an exclusive link
        of a finished temporary file; on S3 by `If-None-Match: *` on a single PUT.
        """
        return self._objects.put_new(checked_key(key), data)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """List objects whose key starts with `prefix`, sorted by key; temporary files excepted."""
        return self._objects.list(checked_prefix(prefix))

    def leftovers(self) -> Iterator[ObjectInfo]:
        """List temporary files of writers that write now, or that died; `delete` takes their keys.

        On S3 there are none: unfinished uploads are no objects, and a bucket's lifecycle rule
        (AbortIncompleteMultipartUpload) removes them.
        """
        return self._objects.leftovers()

    def exists(self, key: str) -> bool:
        """Say whether the key holds an object."""
        return self._objects.exists(checked_key(key))

    def delete(self, key: str) -> None:
        """Delete an object; one that is not there is no error."""
        self._objects.delete(checked_key(key, temporary=True))

    def url(self, key: str) -> str:
        """Return the path or s3:// URL by which other programs open the object."""
        return self._objects.url(checked_key(key))


def _backend(settings: StoreSettings) -> Objects:
    match scheme(settings.root):
        case None | "file":
            return Folder(settings.root)
        case "s3":
            from backtrans.store_s3 import Bucket  # late: s3fs takes a second to import

            return Bucket(settings)
        case other:
            raise StoreError(f"root {settings.root!r}: no store for {other}://, only paths and s3")


def list_inputs(patterns: list[str], settings: StoreSettings) -> list[ObjectInfo]:
    """Expand paths and globs (local or s3://, `*`, `**`, `?`) to objects, sorted, each once.

    `settings` gives endpoint, region and addressing, and the root: what lies under it was written
    by runs and is no input, unless the pattern itself names a place under it. A folder, also one
    that a glob matches, stands for every file below it. Neither a folder nor a glob stands for what
    lies beside the data: names that begin with "_" or "." (_SUCCESS, .DS_Store), unless the glob
    spells that out. Local keys are absolute paths.
    Raises: InputError for a pattern that matches nothing, naming it.
    """
    found: dict[str, ObjectInfo] = {}
    for pattern in patterns:
        with _input_failures(pattern):
            expanded = _expand(pattern, settings)
            inputs = _not_written(expanded, pattern, settings)
        if not expanded:
            raise InputError(f"{pattern}: no such file, and no file matches")
        if not inputs:
            raise InputError(
                f"{pattern}: all of it lies under the root {settings.root}, where runs write what"
                " they make: give the root a folder of its own"
            )
        found |= {info.key: info for info in inputs}
    return [found[key] for key in sorted(found)]


def _not_written(
    found: list[ObjectInfo], pattern: str, settings: StoreSettings
) -> list[ObjectInfo]:
    """Leave out what lies under the root, where a later run would read what an earlier one made."""
    root, named = (_place(url, settings) for url in (settings.root, pattern))
    steps = named.split("/")
    if "/".join(steps[: _fixed(steps)]).startswith(f"{root}/"):
        return found
    return [info for info in found if not info.key.startswith(f"{root}/")]


def _place(url: str, settings: StoreSettings) -> str:
    """Return a path or URL as the keys of a listing begin."""
    local = scheme(url) in (None, "file")
    return _connection(url, settings)[1] if local else url.rstrip("/")


def _expand(pattern: str, settings: StoreSettings) -> list[ObjectInfo]:
    connection, path, before = _connection(pattern, settings)
    try:
        matches = [connection.info(path)]  # first, since a name may hold * or [ itself
    except FileNotFoundError:
        matches = _matching(connection, path) if has_magic(path) else []
    files: dict[str, dict[str, Any]] = {}
    for match in (_through_link(connection, match) for match in matches):
        folder = match["name"].rstrip("/")
        if match["type"] != "directory":
            files[match["name"]] = match
        else:
            below = connection.find(folder, detail=True)
            files |= {
                name: _through_link(connection, found)
                for name, found in below.items()
                if not _is_beside_data(name[len(folder) + 1 :])
            }
    # A name that ends in "/" is a console's mark for an empty folder.
    return [_info(m, before) for name, m in files.items() if not name.endswith("/")]


def _through_link(connection: AbstractFileSystem, found: dict[str, Any]) -> dict[str, Any]:
    """Return what a listed link leads to, under the link's name; a dangling one as it is."""
    if not found.get("islink"):
        return found
    try:
        return dict(connection.info(found["name"]))
    except FileNotFoundError:
        return found


def _matching(connection: AbstractFileSystem, glob: str) -> list[dict[str, Any]]:
    """Return what a glob matches, less what lies beside the data; it may spell that out."""
    matches = list(connection.glob(glob, detail=True).values())
    steps = glob.removeprefix("s3://").split("/")
    fixed = _fixed(steps)
    if _is_beside_data("/".join(steps[fixed:])):
        return matches
    return [m for m in matches if not _is_beside_data("/".join(m["name"].split("/")[fixed:]))]


def _fixed(steps: list[str]) -> int:
    """Return how many steps of a path stand before its first wildcard."""
    return next((n for n, step in enumerate(steps) if has_magic(step)), len(steps))


def _is_beside_data(path: str) -> bool:
    return any(segment.startswith(("_", ".")) for segment in path.split("/"))


def _info(found: dict[str, Any], before: str) -> ObjectInfo:
    name = found["name"]
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{name!a}: its name is not UTF-8; give it another") from error
    if found["type"] == "directory":
        raise InputError(f"{name}: a link to a folder, below a folder: name it in paths")
    if found["type"] != "file":
        raise InputError(f"{name}: neither a file nor a folder (a dangling link?)")
    if before:
        modified = found["LastModified"].timestamp()
        return ObjectInfo(before + found["name"], found["size"], modified, found["ETag"])
    # "created" is ctime, which no program can set back.
    stamp = " ".join(str(found[name]) for name in ("size", "mtime", "created", "ino"))
    return ObjectInfo(found["name"], found["size"], found["mtime"], None, stamp)


def _connection(url: str, settings: StoreSettings) -> tuple[AbstractFileSystem, str, str]:
    """Return the file system, the path in it, and what stands before its own names in a URL."""
    match scheme(url):
        case None | "file":
            path = Path(url.removeprefix("file://")).expanduser().absolute()
            return LocalFileSystem(), os.path.normpath(path), ""
        case "s3":
            from backtrans.store_s3 import filesystem

            return filesystem(settings), url, "s3://"
        case other:
            raise InputError(f"{url}: {other}:// cannot be read, only paths and s3://")


@contextmanager
def _input_failures(url: str) -> Iterator[None]:
    failures: tuple[type[Exception], ...] = (OSError,)
    if is_s3 := scheme(url) == "s3":
        from backtrans.s3_failures import FAILURES, refusal

        failures = FAILURES
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(f"{url}: no such file or bucket") from error
    except failures as error:
        if is_s3 and (refused := refusal(url, error)):
            raise refused from error
        if isinstance(error, PermissionError) and is_s3:
            # The answer to a HEAD has no words that would tell the one from the other.
            denied = f"{error} (403): it may not be read, or not with these credentials"
            raise InputError(f"{url}: {denied}") from error
        raise InputError(f"{url}: {error}") from error


def open_input(url: str, settings: StoreSettings) -> BinaryIO:
    """Open an input object for reading: seekable, bytes. Raises: InputError if it is missing.

    A read from S3 fails with OSError when the connection breaks for good, or the object changes.
    """
    with _input_failures(url):
        connection, path, before = _connection(url, settings)
        if not before:
            return Path(path).open("rb")
        opened = connection.open(path, "rb")
        if opened.details["type"] != "file":
            raise InputError(f"{url}: a folder, not an object")
        return cast(BinaryIO, opened)


def content_fingerprint(info: ObjectInfo, settings: StoreSettings) -> str:
    """Return a fingerprint that changes when the object's content does, whatever its name.

    S3: the ETag and the size. Local: sha256 of the bytes (read in blocks). Raises: InputError.
    """
    if info.etag is not None:
        tag = f"{info.etag} {info.size_bytes}".encode()
        return hashlib.sha256(tag).hexdigest()[:_FINGERPRINT_DIGITS]
    digest = hashlib.sha256()
    with _input_failures(info.key), open_input(info.key, settings) as opened:
        while block := opened.read(_HASH_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()[:_FINGERPRINT_DIGITS]
