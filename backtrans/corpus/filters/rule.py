"""A rule: a predicate with a name, a source, and a word on what it saw.

Promises: a rule's name is the reason of the rows that it refuses.

Does not know: the rules.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from backtrans.corpus.filters.candidate import Candidate
from backtrans.errors import ConfigError
from backtrans.records import Reject


@dataclass(frozen=True, slots=True)
class Rule:
    """One condition that a candidate must meet."""

    name: str  # a key of reasons.REASONS
    source: str  # the paper and its section, or whose rule it is
    check: Callable[[Candidate], str | None]  # what was seen where the condition is not met

    def why(self, candidate: Candidate) -> Reject | None:
        """Say why a candidate is refused, if it is."""
        seen = self.check(candidate)
        return None if seen is None else Reject(self.name, seen)


def check_numbers(settings: Any) -> None:
    """See that each number of some settings is finite and not negative, and each range is one.

    Raises: ConfigError naming the setting.
    """
    values = {field.name: getattr(settings, field.name) for field in fields(settings)}
    kind = type(settings).__name__
    for name, value in values.items():
        if isinstance(value, int | float) and not (math.isfinite(value) and value >= 0):
            raise ConfigError(f"{kind}.{name} {value}: not a number from 0 on")
        if not name.startswith("min_") or (over := f"max_{name[4:]}") not in values:
            continue
        if value > values[over]:
            raise ConfigError(f"{kind}.{name} {value} to {over} {values[over]}: no range")


def share(part: float, whole: float) -> float:
    """Return the part's share of the whole, and none where there is nothing."""
    return part / whole if whole else 0.0


def over(value: float, most: float, what: str) -> str | None:
    """Say that a value is over its bound, if it is; the bound itself is allowed."""
    return f"{_figure(value)} {what}, at most {_figure(most)}" if value > most else None


def under(value: float, least: float, what: str) -> str | None:
    """Say that a value is under its bound, if it is; the bound itself is allowed."""
    return f"{_figure(value)} {what}, at least {_figure(least)}" if value < least else None


def _figure(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
