"""What a report says of every shard of a snapshot, from records alone: funnel, rejects, cost.

Promises: every figure is a sum over commits, so it is of all shards, whatever their number; no part
is read.

Does not know: rows; which snapshot, or how it is shown.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from backtrans.accounts import StageStatus, costs_of
from backtrans.costs import Costs
from backtrans.ledger import Ledger
from backtrans.report import figures
from backtrans.resolution import PARTS
from backtrans.snapshots import Snapshot

ASIDE = ("distill", "rewrite", "rescore")
"""Stages that lead to no row less in the splits: what they refuse, choose decides about."""


_SPLITS = {
    "all": "every scored pair that was published",
    "A4": "the better pairs: published",
    "A5": "the best pairs: published, and in A4 too",
}


def funnel(
    ledger: Ledger,
    manifest: Sequence[Mapping[str, Any]],
    recipe: Mapping[str, Any],
    statuses: Sequence[StageStatus],
    snapshot: Snapshot,
    does: Mapping[str, str],
) -> list[figures.Step]:
    """Return how many rows came through each step, from documents to A5."""
    steps = []
    if (documents := _documents(ledger, manifest, recipe)) is not None:
        steps.append(figures.Step("documents", documents, "read from the corpus"))
    last = "choose" if "choose" in snapshot.fingerprints else "curate"
    for each in statuses:
        if each.stage not in ASIDE and each.stage != last:
            steps.append(figures.Step(each.stage, each.kept, does[each.stage]))
    for split, count in reversed(snapshot.rows.items()):
        steps.append(figures.Step(split, count, _SPLITS[split]))
    return steps


def _documents(
    ledger: Ledger, manifest: Sequence[Mapping[str, Any]], recipe: Mapping[str, Any]
) -> int | None:
    """Count the documents of a snapshot's shards; None where an object's index is not there."""
    size, left = recipe["corpus"]["shard_rows"], {row["shard"] for row in manifest}
    total = 0
    for index in ledger.indexes():
        for number, shard in enumerate(index.shards):
            if shard in left:
                left.discard(shard)
                total += min(size, index.rows - number * size)
    return None if left else total


def refusals(statuses: Sequence[StageStatus]) -> list[figures.Refusals]:
    """Return how many rows each stage refused for each reason, the commonest first."""
    return [
        figures.Refusals(each.stage, reason, count, count / each.rows_in)
        for each in statuses
        for reason, count in sorted(each.rejects.items(), key=lambda one: (-one[1], one[0]))
    ]


def costs(statuses: Sequence[StageStatus], record: Mapping[str, Any], snapshot: Snapshot) -> Costs:
    """Return what a snapshot cost on the GPUs, and at the prices, of the run that published it."""
    # A record of before they were in it has none.
    gpus_each = record.get("gpus_each", dict.fromkeys(PARTS, 0.0))
    price = record["placement"].get("prices", {}).get("gpu_hour", 0.0)
    return costs_of(statuses, gpus_each, price, snapshot.rows)


def asked(statuses: Sequence[StageStatus]) -> list[figures.Asked]:
    """Return what each stage's workers did."""
    return [
        figures.Asked(
            each.stage,
            each.rows_in,
            each.requests,
            each.prompt_tokens,
            each.cached_tokens,
            each.output_tokens,
            each.seconds,
        )
        for each in statuses
    ]
