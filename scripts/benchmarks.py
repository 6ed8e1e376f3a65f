"""The text of docs/benchmarks.md: every benchmark with its command, figures and goals.

A benchmark's docstring says what it measures, `bench/figures/` what came of it. Goals that were
missed are printed as missed, with the reason that was found.

Does not know: how anything is measured.
"""

import ast
import re
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench import book  # noqa: E402 (after the path)
from bench.book import Entry, Figure  # noqa: E402

HEAD = """\
# Benchmarks

Written by `python scripts/reference.py write` from the benchmarks and what they recorded
(`bench/figures/`); do not edit. `make bench` runs them and records, and `make truth` the last. Each
prints its figures, and a ratio against something that was measured in the same run, since machines
differ: compare a figure with others of its own run only.

What had a goal, or is a ratio; all figures, with their machines, are below. *Spread*: lowest to
highest of the runs, or the interval that is named."""

Row = Sequence[str]


def document() -> str:
    """Return the whole document."""
    parts = [HEAD, _summary(), *(_benchmark(path) for path in benchmarks())]
    return "\n\n".join(parts) + "\n"


def benchmarks() -> list[Path]:
    """Return the modules of bench/ that are run by themselves."""
    found = sorted((ROOT / "bench").glob("*.py"))
    return [path for path in found if "__main__" in path.read_text(encoding="utf-8")]


def unexplained() -> list[str]:
    """Return what is missed or missing without a reason, and reasons of what is neither."""
    due = set()
    for path in benchmarks():
        if (entry := book.read(path.stem)) is None:
            due.add((path.stem, "all"))
        else:
            due |= {(path.stem, figure.title) for figure in entry.figures if figure.is_missed}
    given = {(name, what) for name, whys in book.reasons().items() for what in whys}
    return sorted(f"{name}: {what}" for name, what in due ^ given)


# ---------------------------------------------------------------------- the tables


def _summary() -> str:
    rows: list[Row] = []
    for path in benchmarks():
        link = f"[{path.stem}](#{path.stem})"
        why = book.reasons().get(path.stem, {})
        if (entry := book.read(path.stem)) is None:
            rows.append((link, "all", "not measured", "", "", why.get("all", ""), ""))
            continue
        for each in entry.figures:
            if each.has_goal or each.against:
                cells = (each.name, value(each), spread(each), each.against, verdict(each, why))
                rows.append((link, *cells, entry.date.isoformat()))
    return table(("benchmark", "figure", "value", "spread", "against", "goal", "date"), rows)


def _benchmark(path: Path) -> str:
    said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    usage = re.search(r"^    (python -m bench\..*)$", said, re.MULTILINE)
    command = usage[1] if usage else f"python -m bench.{path.stem}"
    parts = [f"## {path.stem}", f"```\n{command}\n```", said.splitlines()[0]]
    if (entry := book.read(path.stem)) is None:
        parts.append(f"Not measured: {book.reasons().get(path.stem, {}).get('all', '')}.")
    else:
        parts += [_circumstances(entry), _figures(entry)]
    if told := ", ".join(f"[{name}]({name})" for name in _named_in(path.stem)):
        parts.append(f"More of it: {told}.")
    return "\n\n".join(parts)


def _circumstances(entry: Entry) -> str:
    where = entry.machine
    gpu = where.gpu or "no GPU"
    has = f" ({', '.join(where.processor)})" if where.processor else ""
    said = [
        f"{entry.date}, `{entry.command}`: {where.cores} cores{has}, {where.memory_gib} GiB, {gpu}"
    ]
    if entry.load is not None:
        said.append(f"load {entry.load[0]:.1f} before and {entry.load[1]:.1f} at the end")
    if entry.note:
        said.append(entry.note)
    if entry.versions:
        said.append(", ".join(f"{name} {which}" for name, which in entry.versions.items()))
    if entry.source:
        said.append(f"told in [{entry.source.split('#')[0]}]({entry.source})")
    return "; ".join(said) + "."


def _figures(entry: Entry) -> str:
    rows = [(each.name, value(each), spread(each), each.against) for each in entry.figures]
    return table(("figure", "value", "spread", "against"), rows)


def table(head: Row, rows: Sequence[Row]) -> str:
    """Return a table in Markdown."""
    lines = ["".join(f"| {cell} " if cell else "| " for cell in row) + "|" for row in (head, *rows)]
    return "\n".join([lines[0], "|" + " --- |" * len(head), *lines[1:]])


def value(figure: Figure) -> str:
    """Return a figure with its unit."""
    return "not measured" if figure.value is None else _with_unit(figure.value, figure)


def spread(figure: Figure) -> str:
    """Return how far a figure varied, and over what."""
    if figure.lowest is None or figure.highest is None:
        return figure.runs if figure.value is not None else ""
    return f"{number(figure.lowest)} to {number(figure.highest)} ({figure.runs})"


def verdict(figure: Figure, why: dict[str, str]) -> str:
    """Return the goal, and whether it was met or why it was not."""
    goals = [
        f"{words} {_with_unit(goal, figure)}"
        for words, goal in (("at least", figure.at_least), ("at most", figure.at_most))
        if goal is not None
    ]
    if not goals:
        return ""
    if not figure.is_missed:
        return f"{', '.join(goals)}: met"
    missed = "**missed**" if figure.value is not None else "**not measured**"
    return f"{', '.join(goals)}: {missed}: {why.get(figure.title, '')}"


def _with_unit(value: float, figure: Figure) -> str:
    return f"{number(value)}{'' if figure.unit == '%' else ' '}{figure.unit}".rstrip()


def number(value: float) -> str:
    """Return a number with three digits that count, or all of a whole one."""
    if value == int(value):
        return f"{value:,.0f}"
    places = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 0.1 else 3
    return f"{value:,.{places}f}"


def _named_in(name: str) -> list[str]:
    """Return the documents that tell of a benchmark."""
    documents = sorted((ROOT / "docs").glob("*.md"))
    return [
        path.name
        for path in documents
        if path.name not in ("benchmarks.md", "configuration.md", "decisions.md")
        and f"bench.{name}" in path.read_text(encoding="utf-8")
    ]
