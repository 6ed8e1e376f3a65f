"""What labels say, as tables for people and as one JSON document; a selector as YAML.

Does not know: how figures come about.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from rich.table import Table
from rich.text import Text

from backtrans import __version__
from backtrans.calibration.account import PAPERS, Account, Reliability, Signal
from backtrans.calibration.estimates import Figure
from backtrans.errors import ConfigError
from backtrans.export import whole_file
from backtrans.thresholds import Promise, Selector

FORMAT = "backtrans.calibration-report/1"
"""Of the document; another number where its keys mean something else."""


def document(account: Account, labels: str) -> dict[str, Any]:
    """Return everything as one document; shares are from 0 to 1."""
    papers = [dict(zip(("selector", "precision", "recall"), row, strict=True)) for row in PAPERS]
    head = {"format": FORMAT, "backtrans": __version__, "file": labels}
    return {**head, **asdict(account), "papers": papers}


def tables(account: Account) -> list[Table]:
    """Return a table of signals, one of thresholds, and one for each who states probabilities."""
    found = [_signals(account.signals), _thresholds(account.signals)]
    return found + [_reliability(each) for each in account.reliability]


def lines(account: Account) -> list[str]:
    """Say what the figures are of."""
    good = "y" if account.good_from is None else f"{account.good_from} or higher"
    said = [
        f"{account.labels:,} labels, for {account.population:,} pairs; good: {good}, which is"
        f" {cell(account.good)}% of the pool"
    ]
    if account.unlabelled:
        said.append(f"{account.unlabelled:,} pair(s) of the sheet have no label")
    if account.not_covered:
        said.append(
            f"no figure is of {account.not_covered:,} pair(s): no pair like them has a label"
        )
    if account.left_out:
        said.append(f"left out, since some labelled pair lacks it: {', '.join(account.left_out)}")
    return said


def _table(title: str, columns: Sequence[str], left: int = 1) -> Table:
    table = Table(title=Text(title))
    for number, column in enumerate(columns):
        table.add_column(Text(column), justify="left" if number < left else "right")
    return table


def _signals(signals: Sequence[Signal]) -> Table:
    columns = ("Signal", "AUC (%)", "Best F1 (%)", "at", "Precision (%)", "Recall (%)")
    table = _table("How well each signal tells good pairs", columns)
    for each in signals:
        best = each.best
        figures = (best.precision, best.recall)
        at = f"{best.threshold:.3f}"
        table.add_row(each.name, cell(each.auc), cell(best.f1), at, *map(cell, figures))
    return table


def _thresholds(signals: Sequence[Signal]) -> Table:
    columns = ("Kept from", "", "Kept (%)", "Precision (%)", "Recall (%)", "Labelled")
    table = _table("What thresholds keep", columns)
    for each in signals:
        for point in each.shown:
            figures = map(cell, (point.kept, point.precision, point.recall))
            table.add_row(each.name, f"{point.threshold:.3g}", *figures, f"{point.labelled:,}")
    table.add_section()
    for name, precision, recall in PAPERS:
        table.add_row(name, "", "", f"{100 * precision:.0f}", f"{100 * recall:.0f}", "250")
    return table


def _reliability(found: Reliability) -> Table:
    title = f"What {found.name} says and what is so; ECE {cell(found.error)}%"
    table = _table(title, ("Stated (%)", "Mean stated", "Good", "Labelled"))
    for each in found.bins:
        row = (each.stated, each.found)
        between = f"{100 * each.low:.0f} to {100 * each.high:.0f}"
        table.add_row(between, *(f"{100 * share:.1f}" for share in row), f"{each.labelled:,}")
    return table


def cell(figure: Figure) -> str:
    """Return a share in per cent, with its interval."""
    if figure.value is None:
        return "none"
    value = f"{100 * figure.value:.1f}"
    if figure.low is None or figure.high is None:
        return value
    return f"{value} [{100 * figure.low:.1f}, {100 * figure.high:.1f}]"


# ---------------------------------------------------------------------- selectors


def promised(selector: Selector) -> list[str]:
    """Say what a selector reads and promises."""
    features = ", ".join(f"{name} {how.weight:+.2f}" for name, how in selector.features.items())
    said = [f"features, and weights over their standard deviations: {features}"]
    if (fitted := selector.fitted) is not None:
        said.append(f"fitted on {fitted.labels:,} labels, {fitted.good:,} of them good")
        for name, threshold, promise in (
            ("A5", selector.a5, fitted.a5),
            ("A4", selector.a4, fitted.a4),
        ):
            said.append(f"{name}: probability {threshold:.3f} and higher; {_promise(promise)}")
    return said


def _promise(promise: Promise) -> str:
    asked = f"asked {promise.asked:.0%}"
    if promise.precision is None or promise.low is None or promise.recall is None:
        return f"{asked}; the fits that had not seen a pair kept none"
    return (
        f"{asked}, promised precision {promise.precision:.1%}"
        f" (over {promise.low:.1%} with 95% confidence) at recall {promise.recall:.1%}"
    )


def write_selector(selector: Selector, path: Path) -> None:
    """Write the file that `curate.selector` names. Raises: ConfigError."""
    head = "# Written by `backtrans calibrate fit`. In a recipe: curate: {selector: FILE}\n"
    text = head + yaml.safe_dump({"selector": asdict(selector)}, sort_keys=False)
    try:
        with whole_file(path) as file:
            file.write(text.encode())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror or error}") from error
