"""What a report says of a snapshot, gathered from the root: snapshot, commits, journal.

    snapshot -> its shards -> commits of its own recipe (counts, costs, times) -> parts (rows)

Promises: everything is of the snapshot and of the recipe that made it, whatever the corpus and the
configuration have become since; what counts rows and costs is of every shard, what looks into rows
is of READ_SHARDS of them at most, drawn by their names, and the report says of how many; nothing
that has been taken down is in it. The same root gives the same report: no clock is looked at.

Does not know: how anything is shown.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import yaml

from backtrans import __version__, counted, measured
from backtrans.accounts import StageStatus
from backtrans.analysis.diversity import curve
from backtrans.analysis.lengths import spread
from backtrans.changes import changes
from backtrans.checkpoint import commits_in
from backtrans.committed import Committed
from backtrans.config import differences
from backtrans.errors import KeyMissing
from backtrans.journal import Journal
from backtrans.ledger import Ledger
from backtrans.report import figures
from backtrans.report.draw import rank
from backtrans.report.pace import paces
from backtrans.report.rows import NOT_SHOWN, Rows
from backtrans.report.scores import binned, rounds
from backtrans.snapshots import Snapshot, read_manifest, snapshots
from backtrans.takedown import withdrawn

READ_SHARDS = 200
"""Shards whose rows are looked at. Source: this project's choice: some 200,000 rows of the default
recipe, of which a share is known to some tenths of a percent. Eight shards of 1,024 documents of
350 words took 3.5 s on one core, so these take a minute and a half."""

SHOWN_DOMAINS = 15
"""Source: this project's choice: a table that one takes in at a look."""

SMALLEST = 25
"""Pairs of the first point of a curve; each next one is of twice as many. Source: doubling from 25
meets the data sizes of 2408.04614 figure 3, 3,200 to 51,200, and small sets have a curve too."""

LENGTH_BINS = 24
"""Bars in a histogram of lengths. Source: this project's choice."""


def gather(
    ledger: Ledger,
    journal: Journal,
    snapshot: Snapshot,
    does: Mapping[str, str],
    *,
    samples: int,
    seed: int,
    calibration: Path | None = None,
    audit: Path | None = None,
) -> figures.Report:
    """Gather a report. `does` says of each stage what it does, in the job's order; `samples` is how
    many rows of each outcome are shown. Raises: StoreError; ConfigError
    for a file that is none.
    """
    # Before anything is read: a wrong file is said at once.
    told_calibration = measured.calibration(calibration) if calibration else None
    told_audit = measured.audit(audit) if audit else None
    record = journal.run_of(snapshot.run)
    runs = journal.runs()
    manifest = read_manifest(ledger, snapshot).to_pylist()
    shards = [row["shard"] for row in manifest]
    recipe = Committed(ledger, snapshot.fingerprints)
    stages = [name for name in does if name in snapshot.fingerprints]
    tables = {stage: recipe.table(stage, shards) for stage in stages}
    statuses = [StageStatus.of(stage, tables[stage]) for stage in stages]

    # ---- rows
    drawn = set(sorted(shards, key=lambda shard: (rank(seed, shard), shard))[:READ_SHARDS])
    commits = {s: {c.shard: c for c in commits_in(_of(tables[s], drawn))} for s in stages}
    rows = Rows(ledger, withdrawn(ledger), samples, seed)
    gone: set[str] = set()
    for row in manifest:
        if (shard := row["shard"]) in drawn:
            there = {stage: found[shard] for stage, found in commits.items() if shard in found}
            gone |= rows.add(row["part"], row["taken_down"], there)

    told = record["recipe"]
    refusals = counted.refusals(statuses)
    pace, by_run = paces(tables, runs)
    pairs = rows.pairs.drawn("")
    domains = rows.domains.most_common()
    domains.sort(key=lambda each: (-each[1], each[0]))
    return figures.Report(
        name=record["placement"]["card"]["name"],
        snapshot=snapshot.number,
        published_at=snapshot.published_at,
        run=snapshot.run,
        shards=len(shards),
        read_shards=len(drawn),
        withdrawn=rows.withdrawn,
        rows=snapshot.rows,
        funnel=counted.funnel(ledger, manifest, told, statuses, snapshot, does),
        refusals=refusals,
        rounds=rounds(ledger, runs, snapshot, sorted(drawn), gone),
        lengths=[
            _lengths("instructions", rows.instruction_words),
            _lengths("responses", rows.response_words),
        ]
        if pairs
        else [],
        trigrams={
            what: curve([pair[place] for pair in pairs], seed, _sizes(len(pairs)))
            for place, what in enumerate(("instructions", "responses"))
            if pairs
        },
        domains=[
            figures.Domain(name, count, rows.best_domains[name])
            for name, count in domains[:SHOWN_DOMAINS]
        ],
        other_domains=len(domains[SHOWN_DOMAINS:]),
        other_domain_pairs=sum(count for _, count in domains[SHOWN_DOMAINS:]),
        asked=counted.asked(statuses),
        costs=counted.costs(statuses, record, snapshot),
        pace=pace,
        runs=by_run,
        since=_since(ledger, journal, snapshot, record),
        selector=measured.promised(told["curate"].get("selector")),
        calibration=told_calibration,
        audit=told_audit,
        models=_models(record),
        recipe=yaml.safe_dump(told, sort_keys=False, allow_unicode=True),
        groups=_groups(rows, snapshot, refusals),
        seed=seed,
        version=__version__,
    )


def _sizes(pairs: int) -> list[int]:
    """Return the sizes at which trigrams are counted: doubled ones, the same for every snapshot."""
    sizes, size = {pairs}, SMALLEST
    while size < pairs:
        sizes.add(size)
        size *= 2
    return sorted(sizes)


def _of(table: pa.Table, shards: set[str]) -> pa.Table:
    return table.filter(
        pa.array([name in shards for name in table["shard"].to_pylist()], pa.bool_())
    )


# ---------------------------------------------------------------------- what looks into rows


def _groups(
    rows: Rows, snapshot: Snapshot, refusals: Sequence[figures.Refusals]
) -> list[figures.Group]:
    """Return the samples: kept ones, the best first, then refused ones in the job's order."""
    published = snapshot.rows
    sizes = {
        "A5": published["A5"],
        "A4": published["A4"] - published["A5"],
        "rest": published.get("all", published["A4"]) - published["A4"],
    }
    sizes |= {each.group: each.rows for each in refusals if each.reason not in NOT_SHOWN}
    return [
        figures.Group(name, size, found)
        for name, size in sizes.items()
        if (found := rows.samples.drawn(name))
    ]


def _lengths(what: str, words: list[int]) -> figures.Lengths:
    found = spread(words)
    top = max(float(np.percentile(words, 99)), 1.0)
    width = max(1, int(np.ceil(top / LENGTH_BINS)))
    bounds = [float(width * k) for k in range(LENGTH_BINS + 1)]
    shown = [length for length in words if length <= bounds[-1]]
    bins = binned(shown, bounds)
    while len(bins) > 1 and not bins[-1][2]:
        bins.pop()
    return figures.Lengths(
        what,
        len(words),
        "words",
        found.mean,
        found.p5,
        found.median,
        found.p95,
        found.longest,
        bins,
    )


# ---------------------------------------------------------------------- what is told besides


def _since(
    ledger: Ledger, journal: Journal, snapshot: Snapshot, record: Mapping[str, Any]
) -> figures.Since | None:
    """Compare a snapshot with the one before; None where it is the first that is still there."""
    before = [each for each in snapshots(ledger) if each.number < snapshot.number]
    if not before:
        return None
    counts: Counter[tuple[str, str]] = Counter()
    missing, recipe = "", []
    try:
        for change in changes(ledger, before[-1], snapshot):
            counts[change.kind, change.reason] += 1
    except KeyMissing as error:
        counts.clear()
        missing = f"its rows cannot be compared any more: {error}"
    try:
        old = journal.run_of(before[-1].run)
        recipe = differences(old["recipe"], record["recipe"])
        recipe += differences(old["models"], record["models"], "model content")
    except KeyMissing:
        pass
    found = [figures.Change(kind, why, count) for (kind, why), count in sorted(counts.items())]
    return figures.Since(before[-1].number, before[-1].published_at, found, recipe, missing)


def _models(record: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    named = record["recipe"]["models"]
    return [
        (part, str((named.get(part) or {}).get("path", "")), content)
        for part, content in record["models"].items()
    ]
