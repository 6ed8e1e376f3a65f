"""What a failed S3 call means, and how long it is made again.

Promises: what may pass (a refused or broken connection, a torn body, silence, 409, 429, 5xx) is
tried again after growing, spread waits; no attempt begins after `PATIENCE_SECONDS`, so a call ends
by then or one attempt later, which the timeouts bound; what does not pass is a `StoreError` that
names the object and says what the store said.

Does not know: which call it is. It has to be one that may be repeated.
"""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from aiohttp import ClientError as BrokenBody
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
)
from botocore.exceptions import ConnectionError as Unconnected
from botocore.parsers import ResponseParserError

from backtrans.errors import CredentialsRefused, KeyMissing, StoreError

Answer = TypeVar("Answer")

CONNECT_SECONDS = 10.0
"""How long a connection may take to open. Source: this project's choice; the TCP handshake is sent
again after 1, 3 and 7 s, so that two lost packets in a row are survived."""

READ_SECONDS = 30.0
"""How long a server may say nothing. Source: this project's choice, half of botocore's default: S3
answers in 0.1 to 0.2 s (its performance guidelines), and what is lost is asked for again."""

ATTEMPTS = 8
"""How often one call is made. Source: this project's choice; its seven waits last 6 to 13 s, and a
throttled prefix, or a gateway that restarts, needs some of that."""

FIRST_WAIT_SECONDS = 0.1
"""The longest first wait; each is up to twice the one before, and at least half of its longest, so
that callers who failed together part. Source: this project's choice."""

PATIENCE_SECONDS = 120.0
"""When no further attempt begins. Source: this project's choice; four silent attempts."""

FAILURES = (OSError, BotoCoreError, ClientError, BrokenBody, ValueError)
"""What s3fs raises for a failed call; ValueError is botocore's for a malformed endpoint."""

_PASSING_STATUS = frozenset({408, 409, 429, 500, 502, 503, 504})
"""Source: S3's API reference, error responses; 409 is a conditional put that met another."""

_PASSING_CODES = frozenset({"RequestTimeout", "SlowDown", "InternalError", "ServiceUnavailable"})
"""Those of them that come under other statuses too. Source: as above (RequestTimeout is a 400)."""

_PASSING = (BrokenBody, Unconnected, HTTPClientError, ResponseParserError, TimeoutError)
"""No answer, or half of one."""

_REFUSED_CODES = frozenset(
    {
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidToken",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
    }
)
"""What a store says of credentials themselves, not of one object. Source: as above."""


def patiently(url: str, call: Callable[[], Answer]) -> Answer:
    """Make a call, again where it may help. Raises: KeyMissing, CredentialsRefused, StoreError."""
    began = time.monotonic()
    attempt = 1
    while True:
        try:
            return call()
        except FAILURES as error:
            seconds = time.monotonic() - began
            if not _passes(error) or attempt == ATTEMPTS or seconds > PATIENCE_SECONDS:
                tried = f"; {attempt} attempts in {seconds:.1f} s" if attempt > 1 else ""
                raise _failure(url, error, tried) from error
        time.sleep(random.uniform(0.5, 1.0) * FIRST_WAIT_SECONDS * 2.0 ** (attempt - 1))
        attempt += 1


def reply(error: BaseException | None) -> tuple[int | None, str]:
    """Return the HTTP status and the S3 code behind an error, through s3fs's translation."""
    while error is not None:
        if isinstance(error, ClientError):
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            return status, str(error.response.get("Error", {}).get("Code", ""))
        error = error.__cause__
    return None, ""


def refusal(url: str, error: Exception) -> CredentialsRefused | None:
    """Return what to raise where the credentials are at fault, and not the object."""
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return CredentialsRefused(
            f"{url}: {error}: neither the environment, nor a profile, nor a role of this machine"
            " has them"
        )
    if reply(error)[1] in _REFUSED_CODES:
        return CredentialsRefused(f"{url}: the credentials are refused: {_explained(error)}")
    return None


def _explained(error: Exception) -> str:
    """Return what failed in the store's own words; these never hold a secret key."""
    status, code = reply(error)
    if status is None:
        return str(error) or type(error).__name__
    words = "" if str(error) == "None" else f": {error}"  # some stores answer with a code alone
    return f"{code}{words} (HTTP {status})"


def _passes(error: Exception) -> bool:
    status, code = reply(error)
    if status is None:
        return isinstance(error, _PASSING)
    return status in _PASSING_STATUS or code in _PASSING_CODES


def _failure(url: str, error: Exception, tried: str) -> StoreError:
    if reply(error)[1] == "NoSuchKey":
        return KeyMissing(f"{url}: no such object")
    words = _explained(error)
    return refusal(url, error) or StoreError(f"{url}: {words}{tried}")
