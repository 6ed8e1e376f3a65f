"""What a run would do, and why: what is pending in each stage, and how the recipe changed.

Promises: touches nothing. Does not know how a stage works, or how pending work is done.
"""

from collections import Counter
from collections.abc import Callable, Iterable

from backtrans.accounts import Plan, StagePlan
from backtrans.config import differences
from backtrans.journal import Journal
from backtrans.recipe import Recipe
from backtrans.resolution import Resolved
from backtrans.standing import Standing
from backtrans.work import Address


def planned(
    standing: Standing,
    recipe: Recipe,
    resolved: Resolved,
    journal: Journal,
    stages: Iterable[str],
    stale: Callable[[list[Address]], list[tuple[str, Address]]],
) -> Plan:
    """Return the plan of a standing.

    `stale` tells which stages of shards were made from parts that have been replaced since.
    """
    objects = standing.objects
    shards, unread = standing.shards()
    last = journal.last()
    changed: list[str] = []
    changes: list[str] = []
    if last is not None:
        before, now = last["fingerprints"], resolved.fingerprints
        changes = differences(last["recipe"], recipe.model_dump(mode="json"))
        changes += differences(last["models"], resolved.models, "model content")
        changed = [name for name in now if before.get(name) != now[name]]
    quarantined = {q.key for q in journal.quarantined(last["run"])} if last else set()
    again = Counter(stage for stage, _ in stale(shards))

    def why(stage: str, key: str) -> str:
        if key in quarantined:
            return "quarantined in the last run"
        if stage in changed:
            return "the recipe changed"
        return "a new or changed object" if stage == "select" else "not done yet"

    plans = []
    for stage in stages:
        if stage == "select":
            done = len(objects) - len(unread)
            pending = Counter(why("select", address.key) for address in unread)
        else:
            waiting = standing.pending((stage,), shards)
            pending = Counter(why(stage, address.key) for address in waiting)
            if again[stage]:
                pending["what it reads was replaced"] = again[stage]
            done = len(shards) - pending.total()
        plans.append(StagePlan(stage, done, dict(pending)))
    duplicates = [info.key for found in objects for info in found.also]
    return Plan(len(objects), duplicates, len(unread), len(shards), plans, changes, changed)
