"""Accounts of sets of pairs in the shapes of the papers' tables, and as one JSON document.

Does not know: how figures come about.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table
from rich.text import Text

from backtrans import __version__
from backtrans.analysis.accounts import Account, Analysis
from backtrans.analysis.complexity import Complexity

FORMAT = "backtrans.analysis/1"
"""Of the document; another number where its keys mean something else."""


def document(analysis: Analysis) -> dict[str, Any]:
    """Return everything as one document; shares are from 0 to 1."""
    return {"format": FORMAT, "backtrans": __version__, **asdict(analysis)}


def tables(analysis: Analysis) -> list[Table]:
    """Return a table for each thing that was measured.

    Source: 2408.04614: table 6 (lengths), figure 3 (trigrams), appendix B (scores), table 4 (tags),
    table 3 (MAUVE).
    """
    accounts = analysis.accounts
    found = [_lengths(accounts), *_trigrams(accounts)]
    if any(each.scores for each in accounts):
        found.append(_scores(accounts))
    if any(each.instruction_tags for each in accounts):
        found.append(_tags(accounts))
    if analysis.distances:
        found.append(_distances(analysis))
    return found


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=Text(title))
    for number, column in enumerate(columns):
        table.add_column(Text(column), justify="right" if number else "left")
    return table


def _lengths(accounts: Sequence[Account]) -> Table:
    columns = ("Data source", "Data size", "Instruction length", "Response length")
    table = _table(f"Average length, in {accounts[0].unit}", columns)
    for each in accounts:
        means = (each.instruction_length.mean, each.response_length.mean)
        table.add_row(Text(each.name), f"{each.pairs:,}", *(f"{mean:,.1f}" for mean in means))
    return table


def _trigrams(accounts: Sequence[Account]) -> list[Table]:
    found = []
    for what in ("instruction", "response"):
        curves = [dict(getattr(each, f"{what}_trigrams")) for each in accounts]
        columns = ("Data size", *(each.name for each in accounts))
        table = _table(f"Unique trigrams of so many {what}s", columns)
        for size in sorted({size for points in curves for size in points}):
            cells = (f"{points[size]:,}" if size in points else "" for points in curves)
            table.add_row(f"{size:,}", *cells)
        found.append(table)
    return found


def _scores(accounts: Sequence[Account]) -> Table:
    columns = ("Data source", "Valid (%)", "1", "2", "3", "4", "5", ">= 4", ">= 4.5", "Mean")
    table = _table("Scores, in % of all pairs", columns)
    for each in accounts:
        if (scores := each.scores) is not None:
            shares = [scores.valid, *scores.of.values(), scores.a4, scores.a5]
            mean = "" if scores.mean is None else f"{scores.mean:.2f}"
            table.add_row(Text(each.name), *(f"{100 * share:.1f}" for share in shares), mean)
    return table


def _tags(accounts: Sequence[Account]) -> Table:
    columns = ("Data source", "Instruction", "Response", "Not tagged")
    table = _table("Average number of tags", columns)
    for each in accounts:
        both = (each.instruction_tags, each.response_tags)
        lost = sum(sum(found.rejects.values()) for found in both if found)
        table.add_row(Text(each.name), *(_mean(found) for found in both), f"{lost:,}")
    return table


def _mean(found: Complexity | None) -> str:
    return "" if found is None or found.mean_tags is None else f"{found.mean_tags:.1f}"


def _distances(analysis: Analysis) -> Table:
    texts = analysis.distances[0].mauve.texts
    table = _table(f"MAUVE of {texts:,} responses each", ("Text distributions", "MAUVE score"))
    for each in analysis.distances:
        figure = f"{each.mauve.mean:.4f} ± {each.mauve.deviation:.4f}"
        table.add_row(Text(f"{each.one} vs. {each.other}"), figure)
    return table
