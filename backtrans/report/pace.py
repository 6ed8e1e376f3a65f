"""How runs went over time: what they committed, and how fast.

Promises: a stage's rows are counted when its part was committed, from the moment when the run
began; so a bar is what became durable, not what was being worked on.

Does not know: which shards commits are of.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from backtrans.report.figures import Pace, RunFigures, RunPace

PACE_BINS = 48
"""Bars of a chart, at most. Source: this project's choice: six pixels each."""

INTERVALS = (1, 2, 5, 10, 30, 60, 300, 600, 1800, 3600, 3 * 3600, 6 * 3600, 86_400, 7 * 86_400)
"""Seconds of a bar: the first that gives no more than PACE_BINS of them."""


def paces(
    tables: Mapping[str, pa.Table], runs: Sequence[Mapping[str, Any]]
) -> tuple[RunPace | None, list[RunFigures]]:
    """Say what each run committed of these shards, and how the one that did most went over time."""
    started = {run["run"]: run["started_at"] for run in runs}
    by_run: dict[str, list[tuple[str, float, int, int]]] = {}
    for stage, table in tables.items():
        columns = ("run", "committed_at", "rows_in", "prompt_tokens", "output_tokens")
        for run, at, rows, read, written in zip(
            *(table[name].to_pylist() for name in columns), strict=True
        ):
            if run in started:
                seconds = (_time(at) - _time(started[run])).total_seconds()
                by_run.setdefault(run, []).append((stage, max(seconds, 0.0), rows, read + written))
    told = [
        RunFigures(
            run,
            started[run],
            len(made),
            sum(rows for *_, rows, _ in made),
            sum(tokens for *_, tokens in made),
            max(seconds for _, seconds, *_ in made),
        )
        for run, made in sorted(by_run.items())
    ]
    if not told:
        return None, []
    most = max(told, key=lambda each: (each.commits, each.run))
    made = by_run[most.run]
    width = next((w for w in INTERVALS if most.wall_seconds < w * PACE_BINS), INTERVALS[-1])
    bars = int(most.wall_seconds // width) + 1
    paces = []
    for stage in tables:
        rows = [0.0] * bars
        for name, seconds, count, _ in made:
            if name == stage:
                rows[int(seconds // width)] += count / width
        if any(rows):
            paces.append(Pace(stage, rows))
    return RunPace(most.run, most.started_at, width, paces), told


def _time(said: str) -> datetime:
    return datetime.fromisoformat(said)
