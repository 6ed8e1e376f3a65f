"""What an audit leaves: tables for people, a line that sums it up, a file with everything.

Promises: shares are from 0 to 1 in the file, percentages in tables; the file holds every score,
from which every figure can be computed again.

Does not know: how figures come about.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rich.table import Table
from rich.text import Text

from backtrans import __version__
from backtrans.audit.probing import Audit
from backtrans.audit.shifts import Effect, Figure

FORMAT = "backtrans.audit/1"
"""Of the file; another number where its keys mean something else."""

_COLUMNS = ("shift", "up", "down", "moved", "into A5 %", "out %")


def tables(name: str, found: Audit) -> list[Table]:
    """Return a table of the perturbations and one of the attacks, the kind together last."""
    each = {"perturbations": found.perturbations, "attacks": found.attacks}
    return [
        _table(f"{name}: {kind}", effects, found.together[kind])
        for kind, effects in each.items()
        if effects
    ]


def _table(title: str, effects: Mapping[str, Effect], together: Effect) -> Table:
    table = Table(title=Text(title))
    table.add_column("", no_wrap=True)
    for column in _COLUMNS:
        table.add_column(column, justify="right")
    for name, effect in effects.items():
        table.add_row(Text(name), *cells(effect))
    table.add_section()
    table.add_row("together", *cells(together))
    return table


def cells(effect: Effect) -> tuple[str, ...]:
    """Return an effect as the columns of a table; the first and the last shares with intervals."""
    return (
        f"{effect.shift.value:+.2f} {_between(effect.shift, 1)}",
        f"{effect.up.value:.3f}",
        f"{effect.down.value:.3f}",
        f"{effect.absolute.value:.3f}",
        f"{100 * effect.entered.value:.1f} {_between(effect.entered, 100)}",
        f"{100 * effect.left.value:.1f}",
    )


def _between(figure: Figure, unit: float) -> str:
    digits = 2 if unit == 1 else 1
    return f"[{unit * figure.low:.{digits}f}, {unit * figure.high:.{digits}f}]"


def summary(name: str, found: Audit) -> str:
    """Say in a line what the attacks came to."""
    if not found.attacks:
        return f"{name}: no attack"
    worst = max(found.attacks, key=lambda each: found.attacks[each].entered.value)
    most, all_of_them = found.attacks[worst], found.together["attacks"]
    return (
        f"{name}: {len(found.attacks)} attacks on {all_of_them.pairs:,} pairs,"
        f" {found.in_a5:.1%} of them in A5: {all_of_them.entered.value:.2%} talked into A5 on"
        f" average, {most.entered.value:.2%} by {worst}; {all_of_them.up.value:.3f} points up,"
        f" {all_of_them.down.value:.3f} down"
    )


def document(settings: Mapping[str, Any], audits: Mapping[str, Audit]) -> dict[str, Any]:
    """Return everything: what was asked for, and of each judge its figures and its scores."""
    return {
        "format": FORMAT,
        "backtrans": __version__,
        "settings": dict(settings),
        "judges": {name: asdict(found) for name, found in audits.items()},
    }
