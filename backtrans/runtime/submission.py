"""Jobs on a Ray cluster, over its job server: submitted, followed to their end.

Promises: a job of a name runs once at a time: one that is under way is joined, not started again.
What follows a job may be ended at any moment; the job goes on. Every failure of the server is an
error that names its address.

Does not know: what a job does, and what travels with it. Reads no environment variable; Ray's own
client does: the token, by RAY_AUTH_MODE and its companions.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from backtrans.errors import BacktransError, ConfigError
from backtrans.runtime.precautions import is_loopback

OVERRIDING = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")
"""Source: Ray 2.60, `get_address_for_submission_client`: each takes the address's place unsaid."""

CHATTY = ("ray.dashboard.modules.dashboard_sdk", "ray._private.runtime_env.packaging")
"""Loggers of Ray's that tell of each upload."""

POLL_SECONDS = 2.0
"""Between two looks at a job whose log has ended or broken off."""

PATIENCE = 30
"""Looks in a row that may fail before a job is let out of sight: a minute without a network."""


@dataclass(frozen=True, slots=True)
class Submission:
    """A job as it is sent: its name, a shell command, and the folder that travels."""

    name: str
    entrypoint: str
    folder: Path
    pip: Sequence[str] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)

    def runtime_env(self) -> dict[str, Any]:
        """Return Ray's runtime environment: a folder; packages where asked for; no variable."""
        return {"working_dir": str(self.folder)} | ({"pip": list(self.pip)} if self.pip else {})


def check_server(address: str, environment: Mapping[str, str]) -> None:
    """Refuse an address that is no job server's, or where others are let in.

    Raises: ConfigError.
    """
    if urlsplit(address).scheme not in ("http", "https"):
        raise ConfigError(f"{address!r} is no job server: say http://HOST:8265, or https://")
    for name in OVERRIDING:
        if environment.get(name, address).rstrip("/") != address.rstrip("/"):
            raise ConfigError(f"unset {name}: Ray would submit there, and not to {address}")
    if not is_loopback(address) and environment.get("RAY_AUTH_MODE") != "token":
        raise ConfigError(
            f"{address} is no loopback address, and Ray runs what anyone who reaches it sends:"
            " start the cluster with RAY_AUTH_MODE=token, and set it here, with the cluster's token"
        )


class JobServer:
    """A Ray cluster's job server."""

    def __init__(self, address: str, client: Any = None) -> None:
        self.address = address
        with self._said():
            self._client = client or _client(address)

    def submit(self, submission: Submission, *, once: bool = False) -> tuple[str, bool]:
        """Start a job, or join the one of this name; return its id, and whether it is new.

        Ray has an id once for all: what ran and ended leaves `NAME-2` to the next. With `once`, one
        that succeeded is not run again.
        """
        with self._said():
            states = {job.submission_id: job.status for job in self._client.list_jobs()}
            wanted, count = submission.name, 1
            while wanted in states:
                if not states[wanted].is_terminal() or (once and states[wanted] == "SUCCEEDED"):
                    return wanted, False
                count += 1
                wanted = f"{submission.name}-{count}"
            try:
                self._client.submit_job(
                    entrypoint=submission.entrypoint,
                    submission_id=wanted,
                    runtime_env=submission.runtime_env(),
                    metadata=dict(submission.metadata),
                )
            except RuntimeError:
                # Of two who submit at once, one comes second.
                if wanted not in {job.submission_id for job in self._client.list_jobs()}:
                    raise
                return wanted, False
        return wanted, True

    def follow(self, job: str, write: Callable[[str], None]) -> int:
        """Write a job's log as it comes; return the job's exit code when it has ended."""
        log, failures = _Log(write), 0
        while True:
            info = None
            try:
                # Before its log is read: what was written up to its end is then in that.
                info = self._client.get_job_info(job)
                asyncio.run(log.read(self._client.tail_job_logs(job)))
                failures = 0
            except Exception as error:
                failures += 1
                if info is not None and info.status.is_terminal():  # gone with its machine
                    write(f"the rest of the log cannot be read: {error}\n")
                elif failures == PATIENCE:
                    raise BacktransError(
                        f"{self.address}: {str(error).strip()}; {job} may go on"
                    ) from error
            if info is not None and info.status.is_terminal():
                return _exit_code(info)
            time.sleep(POLL_SECONDS)

    @contextmanager
    def _said(self) -> Iterator[None]:
        try:
            yield
        except BacktransError:
            raise
        except Exception as error:
            raise BacktransError(f"{self.address}: {str(error).strip()}") from error


class _Log:
    """A log that is told from its beginning each time, written once."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._shown = 0

    async def read(self, texts: AsyncIterator[str]) -> None:
        """Write what was not shown yet."""
        told = 0
        async for text in texts:
            new = text[max(0, self._shown - told) :]
            told += len(text)
            if new:
                self._write(new)
            self._shown = max(self._shown, told)


def _client(address: str) -> Any:
    from ray.job_submission import JobSubmissionClient

    for name in CHATTY:  # each sets a level of its own, when it is imported
        logging.getLogger(name).setLevel(logging.WARNING)
    return JobSubmissionClient(address)


def _exit_code(info: Any) -> int:
    """Return what a job's command ended with; 1 where it never ran to an end."""
    if info.status == "SUCCEEDED":
        return 0
    return info.driver_exit_code if info.driver_exit_code and info.driver_exit_code > 0 else 1
