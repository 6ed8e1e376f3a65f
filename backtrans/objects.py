"""What is said of whole objects: where a root lies, what a listing tells, what a backend can do.

Promises: settings are plain values that travel to workers and hold no secret; one set of rules for
keys, so that a key means the same in a folder and in a bucket.

Does not know: how any backend does it (`store_local`, `store_s3`), or what the objects hold.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from backtrans.errors import StoreError

TEMPORARY = ".tmp-"
"""How the name of an unfinished local file begins; listings hide it, and no key may use it."""

_CREDENTIALS = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://[^/]*@")
_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*)://")


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Where a root lies and how S3 is reached: plain values that travel to workers; no secret."""

    root: str
    endpoint_url: str | None = None
    region: str | None = None
    addressing: str = "auto"  # auto | path | virtual

    def __post_init__(self) -> None:
        for name, value in (("root", self.root), ("endpoint_url", self.endpoint_url or "")):
            if _CREDENTIALS.match(value):
                raise StoreError(f"{name} holds credentials: leave them to the environment")


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What a listing says of one object."""

    key: str  # relative to the root; or the whole URL, from `list_inputs`
    size_bytes: int
    modified: float  # seconds since the epoch; the store's clock
    etag: str | None  # S3's, which changes with the content; None for local files
    stamp: str = ""  # of a local input: changes with every write to it, or to its name


class Objects(Protocol):
    """A backend: what `store.Store` promises, for keys that it has checked."""

    def get(self, key: str) -> bytes: ...
    def put(self, key: str, data: bytes) -> None: ...
    def put_new(self, key: str, data: bytes) -> bool: ...
    def list(self, prefix: str) -> Iterator[ObjectInfo]: ...
    def leftovers(self) -> Iterator[ObjectInfo]: ...
    def exists(self, key: str) -> bool: ...
    def delete(self, key: str) -> None: ...
    def url(self, key: str) -> str: ...


def scheme(url: str) -> str | None:
    """Return a URL's scheme in lower case, or None for a plain path."""
    found = _SCHEME.match(url)
    return found[1].lower() if found else None


def is_temporary(key: str) -> bool:
    """Say whether a key is that of an unfinished local file."""
    return key.rsplit("/", 1)[-1].startswith(TEMPORARY)


def checked_key(key: str, *, temporary: bool = False) -> str:
    """Return a key that both backends take as it stands. Raises: StoreError.

    A key is segments joined by "/": none empty, "." or ".."; none that a local store would hide.
    """
    segments = key.split("/")
    hidden = any(s.startswith(TEMPORARY) for s in (segments[:-1] if temporary else segments))
    if hidden or "\0" in key or any(s in ("", ".", "..") for s in segments):
        raise StoreError(f"{key!r} is not a key: segments joined by '/', none empty or hidden")
    return key


def checked_prefix(prefix: str) -> str:
    """Return the beginning of keys, which may end anywhere in a segment. Raises: StoreError."""
    folder, slash, _ = prefix.rpartition("/")
    if slash:
        checked_key(folder)
    return prefix
