"""What happens in a run, an event a line, through the standard library's logging.

An event has a name and plain fields; what is known of where it happened (run, stages, shard,
attempt) is added to each. As JSON a line is one object: `time` (UTC), `level`, `event`, the fields.

Promises: nothing is written unless `to_json` was called in this process, or whoever embeds the
package has given the logger `backtrans` a handler of their own; a line is whole, whatever an error
message holds; fields are counts and names, never rows.

Does not know: what a stage does, who reads the lines.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TextIO

LOGGER = logging.getLogger("backtrans")
LOGGER.addHandler(logging.NullHandler())  # else Python writes warnings to standard error by itself

_WHERE: ContextVar[Mapping[str, object]] = ContextVar("where", default={})  # noqa: B039 - read only


class _AsJson(logging.Formatter):
    """Writes a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"time": at, "level": record.levelname.lower(), "event": record.getMessage()}
        return json.dumps(line | getattr(record, "fields", {}), default=str)


class _Handler(logging.StreamHandler[TextIO]):
    """Ours, told from handlers of others."""


def to_json(stream: TextIO) -> None:
    """Write events to a stream from now on, as JSON; to this one alone, if there was another."""
    off()
    handler = _Handler(stream)
    handler.setFormatter(_AsJson())
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False


def off() -> None:
    """Write no events as JSON any more."""
    for handler in [each for each in LOGGER.handlers if isinstance(each, _Handler)]:
        LOGGER.removeHandler(handler)
        LOGGER.setLevel(logging.NOTSET)
        LOGGER.propagate = True


def is_on() -> bool:
    """Say whether events are written as JSON in this process."""
    return any(isinstance(each, _Handler) for each in LOGGER.handlers)


def happened(event: str, **fields: object) -> None:
    """Tell of an event."""
    _tell(logging.INFO, event, fields)


def went_wrong(event: str, **fields: object) -> None:
    """Tell of an event that someone may want to look at."""
    _tell(logging.WARNING, event, fields)


def _tell(level: int, event: str, fields: Mapping[str, object]) -> None:
    if LOGGER.isEnabledFor(level):
        # As an argument, so that a sign of per cent in an event's name is one.
        LOGGER.log(level, "%s", event, extra={"fields": {**_WHERE.get(), **fields}})


def here(**fields: object) -> None:
    """Add these to every event that this coroutine, or thread, and what it calls will tell of."""
    _WHERE.set({**_WHERE.get(), **fields})


@contextmanager
def within(**fields: object) -> Iterator[None]:
    """Add these to every event in the block."""
    token = _WHERE.set({**_WHERE.get(), **fields})
    try:
        yield
    finally:
        _WHERE.reset(token)
