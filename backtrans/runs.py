"""A run on record: its name, with what it began, what it came to, and whether that is enough.

Promises: the record is there before the run's first work, with the recipe, the placement and the
models that it began with; one without an end is of a run that is under way, or was killed. What the
record says, the log says too.

Does not know: what a run does.
"""

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict
from datetime import UTC, datetime

from backtrans import logs
from backtrans.accounts import Estimate, Observer, Plan, Summary
from backtrans.config import Config
from backtrans.errors import BudgetSpent, RunIncomplete
from backtrans.journal import Journal
from backtrans.resolution import Resolved


def new_run() -> str:
    """Return a name for a run: by time, so that names sort as runs began, and unlike any other."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}-{os.urandom(3).hex()}"


def announce(plan: Plan, observer: Observer) -> None:
    """Say what of a plan is news to whoever starts the run: repeated objects, a changed recipe."""
    for name in plan.duplicate_objects:
        observer.note(f"{name}: the same content as another object; read once")
    if plan.changed_stages:
        observer.note("the recipe changed since the last run:")
        for line in plan.changes:
            observer.note(f"  {line}")
        observer.note(f"  makes pending: {', '.join(plan.changed_stages)}")


def begin(
    journal: Journal,
    config: Config,
    resolved: Resolved,
    stages: Collection[str],
    gpus_each: Mapping[str, float],
    estimate: Estimate | None = None,
) -> str:
    """Record that a run begins; return its name. `gpus_each`: GPUs of a worker, by asking stage."""
    run = new_run()
    record = {
        "run": run,
        "recipe": config.recipe.model_dump(mode="json"),
        "placement": config.placement.model_dump(),
        "models": resolved.models,
        "asked": resolved.asked,
        "fingerprints": resolved.fingerprints,
        "gpus_each": dict(gpus_each),
        "started_at": _now(),
        "estimate": estimate and asdict(estimate),
    }
    journal.put_run(run, record)
    logs.happened("run begun", run=run, stages=list(stages))
    return run


def end(journal: Journal, summary: Summary) -> None:
    """Record what a run came to."""
    record = journal.run_of(summary.run)
    journal.put_run(summary.run, {**record, "ended_at": _now(), "summary": asdict(summary)})
    logs.happened(
        "run ended",
        run=summary.run,
        made=summary.made,
        given_up=len(summary.quarantined),
        complete=summary.complete,
        seconds=summary.seconds,
        stopped_by=summary.stopped_by,
        **asdict(summary.spent),
    )


def check(summary: Summary, min_complete: float, plan: Callable[[], Plan]) -> None:
    """Look whether a run came to enough. Raises: BudgetSpent with what `plan` says is left;
    RunIncomplete.
    """
    if summary.stopped_by is not None:
        published = "Nothing was published" if summary.snapshot is None else "Splits are published"
        left = ", ".join(
            f"{stage.stage} {sum(stage.pending.values()):,}"
            for stage in plan().stages
            if stage.pending
        )
        raise BudgetSpent(
            f"{summary.stopped_by}. {published}; shards left: {left}. Run it again to go on."
        )
    if summary.complete < min_complete:
        raise RunIncomplete(
            f"{summary.complete:.1%} of the shards reached the end;"
            f" placement.min_complete is {min_complete:.1%}. Nothing was published."
            f" {_missing(summary.quarantined)}"
        )


def _missing(given_up: list[str]) -> str:
    if not given_up:
        return "What is missing has not been computed: backtrans run does it."
    return (
        "Mend what was given up and run again; or take it out of recipe.corpus.paths, or lower"
        " placement.min_complete. Given up:\n  " + "\n  ".join(given_up)
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
