"""Whole objects in an S3 bucket, through s3fs: the only module that speaks the protocol.

Promises: every object is one PUT, or a multipart upload that is completed or aborted; `put_new` is
one PUT with `If-None-Match: *`, and stays right when the answer to it is lost; a listing sees what
others wrote, since nothing is cached. Calls are synchronous and may come from any thread, forked
process or running event loop: s3fs has an I/O thread of its own.

Does not know: credentials (the standard chain of the environment finds them); what objects hold.
"""

import random
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import ClientError as BrokenBody
from botocore.exceptions import BotoCoreError, ClientError
from s3fs import S3FileSystem

from backtrans.errors import KeyMissing, StoreError
from backtrans.objects import ObjectInfo, StoreSettings

MULTIPART_BYTES = 64 * 2**20
"""From this size on, `put` uploads in several requests. Source: half-way between S3's least part
(5 MiB) and a size where one lost connection costs minutes; not measured."""

_CONFLICTS = 8
"""How often a PUT that met another in flight (409) is tried. Source: S3's API reference for
PutObject asks for a retry and gives no number; eight waits reach 6 s."""

_READ_BLOCK_BYTES = 8 * 2**20
"""How much an input read ahead fetches: few requests, and little memory for many open inputs."""

PAGE_KEYS = 1000
"""How many keys one answer to a listing holds. Source: the most that S3 gives at once."""

_KEPT: dict[int, S3FileSystem] = {}
"""Connections, never let go. One that a forked child lets go is closed there, and with it the
parent's: they share its sockets and the list of those waited on, and the parent would hear no answer
until the connection's end (15 s)."""

FAILURES = (OSError, BotoCoreError, ClientError, BrokenBody, ValueError)
"""What s3fs raises for a failed call; ValueError is botocore's for a malformed endpoint."""


def filesystem(settings: StoreSettings) -> S3FileSystem:
    """Return this process's connection for these settings; s3fs keeps one for equal ones.

    Asked for at every use, never kept: a forked child so gets one of its own.
    """
    connection = S3FileSystem(
        endpoint_url=settings.endpoint_url,
        client_kwargs={"region_name": settings.region} if settings.region else {},
        config_kwargs={
            "s3": {"addressing_style": settings.addressing},
            # Stores other than AWS do not know the newer checksum headers (Ceph RGW 16).
            "request_checksum_calculation": "when_required",
            "response_checksum_validation": "when_required",
            "retries": {"mode": "standard", "total_max_attempts": 4},
        },
        use_listings_cache=False,
        # Compare ETags here: some stores want the header If-Match without its quotes.
        local_expiry_check=True,
        default_block_size=_READ_BLOCK_BYTES,
    )
    # s3fs repeats what botocore has given up, and reads a broken body again.
    connection.retries = 2
    _KEPT[id(connection)] = connection
    return connection


class Bucket:
    """The objects below one s3://bucket/prefix."""

    def __init__(self, settings: StoreSettings) -> None:
        self.settings = settings
        self.bucket, _, prefix = settings.root[len("s3://") :].partition("/")
        self.prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        if not self.bucket:
            raise StoreError(f"{settings.root!r} names no bucket")

    def get(self, key: str) -> bytes:
        with _failures(self.url(key)):
            # With concurrency 1 it is one GET, without a HEAD before it.
            data = filesystem(self.settings).cat_file(self.url(key), max_concurrency=1)
            return bytes(data)

    def put(self, key: str, data: bytes) -> None:
        with _failures(self.url(key)):
            filesystem(self.settings).pipe_file(
                self.url(key), data, chunksize=MULTIPART_BYTES // 2, max_concurrency=4
            )

    def put_new(self, key: str, data: bytes) -> bool:
        writer = uuid.uuid4().hex
        with _failures(self.url(key)):
            for attempt in range(_CONFLICTS):
                try:
                    self._call(
                        "put_object", key, Body=data, IfNoneMatch="*", Metadata={"writer": writer}
                    )
                except OSError as error:
                    status, _ = _reply(error)
                    if status == 412:
                        return self._wrote(key, writer)
                    if status != 409 or attempt == _CONFLICTS - 1:
                        raise
                    time.sleep(random.uniform(0.5, 1.0) * 0.05 * 2**attempt)
                else:
                    return True
            raise AssertionError("the last attempt returns or raises")

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        start = self.prefix + prefix
        more: dict[str, str] = {}
        while True:
            with _failures(self.url(prefix)):
                page = filesystem(self.settings).call_s3(
                    "list_objects_v2",
                    Bucket=self.bucket,
                    Prefix=start,
                    MaxKeys=PAGE_KEYS,
                    **more,
                )
            for found in page.get("Contents", ()):
                key = found["Key"][len(self.prefix) :]
                if key and not key.endswith("/"):  # a console's mark for an empty folder
                    yield ObjectInfo(
                        key, found["Size"], found["LastModified"].timestamp(), found["ETag"]
                    )
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def leftovers(self) -> Iterator[ObjectInfo]:
        """Yield nothing: an unfinished upload is no object; a bucket's lifecycle rule ends it."""
        return iter(())

    def exists(self, key: str) -> bool:
        # Not a HEAD, whose bare 404 does not tell a missing bucket from a missing key.
        try:
            with _failures(self.url(key)):
                filesystem(self.settings).cat_file(self.url(key), start=0, end=1)
        except KeyMissing:
            return False
        except StoreError as error:
            if _reply(error)[0] != 416:  # an object of no bytes has no first one
                raise
        return True

    def delete(self, key: str) -> None:
        with _failures(self.url(key)):
            self._call("delete_object", key)

    def url(self, key: str) -> str:
        return f"s3://{self.bucket}/{self.prefix}{key}"

    def _call(self, method: str, key: str, **arguments: Any) -> Any:
        return filesystem(self.settings).call_s3(
            method, Bucket=self.bucket, Key=self.prefix + key, **arguments
        )

    def _wrote(self, key: str, writer: str) -> bool:
        """Say whether the object there is this writer's own: its PUT arrived, the answer did not.

        The connection then repeats the PUT by itself, and the repetition meets the first.
        """
        try:
            found = self._call("head_object", key)
        except OSError as error:
            if _reply(error)[0] == 404:  # another's, deleted since
                return False
            raise
        return bool(found["Metadata"].get("writer") == writer)


def _reply(error: BaseException | None) -> tuple[int | None, str]:
    """Return the HTTP status and the S3 code behind an error, through s3fs's translation."""
    while error is not None:
        if isinstance(error, ClientError):
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            return status, str(error.response.get("Error", {}).get("Code", ""))
        error = error.__cause__
    return None, ""


def _explain(error: Exception) -> str:
    """Return what failed in the store's own words; these never hold a secret key."""
    status, code = _reply(error)
    if status is None:
        return str(error) or type(error).__name__
    words = "" if str(error) == "None" else f": {error}"  # some stores answer with a code alone
    return f"{code}{words} (HTTP {status})"


@contextmanager
def _failures(url: str) -> Iterator[None]:
    try:
        yield
    except FAILURES as error:
        if _reply(error)[1] == "NoSuchKey":
            raise KeyMissing(f"{url}: no such object") from error
        raise StoreError(f"{url}: {_explain(error)}") from error
