"""Whole objects in an S3 bucket, through s3fs: the only module that speaks the protocol.

Promises: every object is one PUT, or a multipart upload that is completed or aborted; `put_new` is
one PUT with `If-None-Match: *`, and stays right when the answer to it is lost; a listing sees what
others wrote, since nothing is cached; a call that fails is made again for as long as `s3_failures`
says, and then is a `StoreError`. Calls are synchronous and may come from any thread, forked
process or running event loop: s3fs has an I/O thread of its own.

Does not know: credentials (the standard chain of the environment finds them); what objects hold.
"""

import uuid
from collections.abc import Iterator
from functools import partial
from typing import Any

from s3fs import S3FileSystem

from backtrans.errors import KeyMissing, StoreError
from backtrans.objects import ObjectInfo, StoreSettings
from backtrans.s3_failures import CONNECT_SECONDS, READ_SECONDS, patiently, reply

MULTIPART_BYTES = 64 * 2**20
"""From this size on, `put` uploads in several requests. Source: half-way between S3's least part
(5 MiB) and a size where one lost connection costs minutes; not measured."""

_READ_BLOCK_BYTES = 8 * 2**20
"""How much an input read ahead fetches: few requests, and little memory for many open inputs."""

PAGE_KEYS = 1000
"""How many keys one answer to a listing holds. Source: the most that S3 gives at once."""

_KEPT: dict[int, S3FileSystem] = {}
"""Connections, never let go. One that a forked child lets go is closed there, and the parent, which
shares the list of the sockets waited on, would hear no answer until it connects anew (15 s)."""

_READ_ATTEMPTS = 4
"""How often a read of an input is tried by botocore, whose waits are 1, 2 and 4 s at most; a broken
body twice as often. Source: this project's choice."""


def filesystem(settings: StoreSettings, attempts: int = _READ_ATTEMPTS) -> S3FileSystem:
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
            "connect_timeout": CONNECT_SECONDS,
            "read_timeout": READ_SECONDS,
            "retries": {"mode": "standard", "total_max_attempts": attempts},
        },
        use_listings_cache=False,
        # Compare ETags here: some stores want the header If-Match without its quotes.
        local_expiry_check=True,
        default_block_size=_READ_BLOCK_BYTES,
    )
    # s3fs repeats what botocore has given up, and reads a broken body again.
    connection.retries = 1 if attempts == 1 else 2
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
        # With concurrency 1 it is one GET, without a HEAD before it.
        return patiently(
            self.url(key), lambda: bytes(self._s3().cat_file(self.url(key), max_concurrency=1))
        )

    def put(self, key: str, data: bytes) -> None:
        patiently(
            self.url(key),
            lambda: self._s3().pipe_file(
                self.url(key), data, chunksize=MULTIPART_BYTES // 2, max_concurrency=4
            ),
        )

    def put_new(self, key: str, data: bytes) -> bool:
        writer = uuid.uuid4().hex

        def put() -> bool:
            try:
                self._call(
                    "put_object", key, Body=data, IfNoneMatch="*", Metadata={"writer": writer}
                )
            except OSError as error:
                if reply(error)[0] == 412:
                    return self._wrote(key, writer)
                raise
            return True

        return patiently(self.url(key), put)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        start = self.prefix + prefix
        more: dict[str, str] = {}
        while True:
            page = patiently(self.url(prefix), partial(self._page, start, more))
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
            patiently(self.url(key), lambda: self._s3().cat_file(self.url(key), start=0, end=1))
        except KeyMissing:
            return False
        except StoreError as error:
            if reply(error)[0] != 416:  # an object of no bytes has no first one
                raise
        return True

    def delete(self, key: str) -> None:
        patiently(self.url(key), lambda: self._call("delete_object", key))

    def url(self, key: str) -> str:
        return f"s3://{self.bucket}/{self.prefix}{key}"

    def _s3(self) -> S3FileSystem:
        return filesystem(self.settings, attempts=1)  # repeated here, where the time is counted

    def _call(self, method: str, key: str, **arguments: Any) -> Any:
        return self._s3().call_s3(method, Bucket=self.bucket, Key=self.prefix + key, **arguments)

    def _page(self, start: str, more: dict[str, str]) -> dict[str, Any]:
        page: dict[str, Any] = self._s3().call_s3(
            "list_objects_v2", Bucket=self.bucket, Prefix=start, MaxKeys=PAGE_KEYS, **more
        )
        return page

    def _wrote(self, key: str, writer: str) -> bool:
        """Say whether the object there is this writer's own: its PUT arrived, the answer did not.

        The PUT is then made again, and the repetition meets the first.
        """
        try:
            found = self._call("head_object", key)
        except OSError as error:
            if reply(error)[0] == 404:  # another's, deleted since
                return False
            raise
        return bool(found["Metadata"].get("writer") == writer)
