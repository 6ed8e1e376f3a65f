"""What was measured of a judge, as a report shows it: calibration, audit, a selector's promise.

Promises: documents are those that `calibrate report --json` and `audit --json` write, checked by
the types that they were made from; what is another is an error that names the file.

Does not know: which snapshot they are shown with, or whether they are of its judge: who names a
file says so.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import orjson
from pydantic import TypeAdapter, ValidationError

from backtrans.audit import result
from backtrans.audit.probing import Audit
from backtrans.calibration import tables
from backtrans.calibration.account import Account
from backtrans.errors import ConfigError, plain
from backtrans.report import figures
from backtrans.thresholds import Selector

T = TypeVar("T")

_SELECTOR: TypeAdapter[Selector] = TypeAdapter(Selector)
_ACCOUNT: TypeAdapter[Account] = TypeAdapter(Account)
_JUDGES: TypeAdapter[dict[str, Audit]] = TypeAdapter(dict[str, Audit])


def promised(selector: Any) -> list[str]:
    """Say what the selector of a recipe reads and promises; nothing where there is none."""
    return tables.promised(_SELECTOR.validate_python(selector)) if selector else []


def calibration(path: Path) -> figures.Calibration:
    """Read what `calibrate report --json` wrote. Raises: ConfigError."""
    found = _document(path, tables.FORMAT, _ACCOUNT.validate_python)
    cell = tables.cell
    signals = [
        [
            each.name,
            cell(each.auc),
            cell(each.best.f1),
            f"{each.best.threshold:.3g}",
            cell(each.best.precision),
            cell(each.best.recall),
        ]
        for each in found.signals
    ]
    kept = [
        [each.name, f"{at.threshold:.3g}", cell(at.kept), cell(at.precision), cell(at.recall)]
        for each in found.signals
        for at in each.shown
    ]
    columns = ["signal", "AUC (%)", "best F1 (%)", "from", "precision (%)", "recall (%)"]
    return figures.Calibration(
        tables.lines(found),
        [
            figures.Sheet("How well each signal tells good pairs", columns, signals),
            figures.Sheet(
                "What thresholds keep",
                ["signal", "from", "kept (%)", "precision (%)", "recall (%)"],
                kept,
            ),
        ],
        [
            figures.Stated(
                each.name,
                cell(each.error),
                [(b.stated, b.found, b.labelled) for b in each.bins],
            )
            for each in found.reliability
        ],
    )


def audit(path: Path) -> figures.Audit:
    """Read what `audit --json` wrote. Raises: ConfigError."""
    judges = _document(path, result.FORMAT, lambda whole: _JUDGES.validate_python(whole["judges"]))
    columns = ["what was done", "shift", "up", "down", "moved", "into A5 (%)", "out of A5 (%)"]
    sheets = [
        figures.Sheet(
            f"{name}: {kind}",
            columns,
            [[each, *result.cells(effect)] for each, effect in effects.items()]
            + [["together", *result.cells(found.together[kind])]],
        )
        for name, found in judges.items()
        for kind, effects in (("perturbations", found.perturbations), ("attacks", found.attacks))
        if effects
    ]
    return figures.Audit([result.summary(*each) for each in judges.items()], sheets)


def _document(path: Path, form: str, read: Callable[[Any], T]) -> T:
    try:
        whole = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {plain(error)}") from error
    if not isinstance(whole, dict) or whole.get("format") != form:
        raise ConfigError(f"{path}: is no document of the format {form}")
    try:
        return read(whole)
    except (ValidationError, KeyError) as error:
        raise ConfigError(f"{path}: is not whole: {error}") from error
