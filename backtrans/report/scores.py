"""The scores of a snapshot's pairs, by every judge that scored them.

Promises: a round is told by what it scored, the very pairs of the snapshot, and not by who called
it one; no score is counted of a row that has been taken down.

Does not know: how a judge came about.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from backtrans.checkpoint import commits_in
from backtrans.committed import Committed
from backtrans.ledger import Ledger
from backtrans.report.figures import Histogram, ScoreRound
from backtrans.snapshots import Snapshot

BIN = 0.25
"""Width of a bar in a histogram of scores. Source: as on the dataset card."""


def rounds(
    ledger: Ledger,
    runs: Sequence[Mapping[str, Any]],
    snapshot: Snapshot,
    shards: Sequence[str],
    gone: set[str],
) -> list[ScoreRound]:
    """Return the scores of each judge that scored the very pairs of a snapshot, first to last."""
    own = snapshot.fingerprints
    records: dict[str, Mapping[str, Any]] = {}
    for run in runs:
        if run["fingerprints"].get("backtranslate") == own["backtranslate"]:
            records.setdefault(run["fingerprints"]["score"], run)
    found: list[ScoreRound] = []
    for name, run in records.items():
        scores: list[float] = []
        for commit in commits_in(Committed(ledger, run["fingerprints"]).table("score", shards)):
            part = ledger.read_part(commit, ["id", "score", "reject_reason"])
            kept = part.filter(part["reject_reason"].is_null())
            pairs = zip(kept["id"].to_pylist(), kept["score"].to_pylist(), strict=True)
            scores += [score for row, score in pairs if row not in gone]
        if scores:
            curate = run["recipe"]["curate"]
            judged = curate.get("selector") is None
            found.append(
                ScoreRound(
                    len(found),
                    run["models"]["forward"],
                    run["run"],
                    name == own["score"],
                    len(scores),
                    sum(sorted(scores)) / len(scores),
                    curate["a4"] if judged else None,
                    curate["a5"] if judged else None,
                    binned(scores, [1 + BIN * k for k in range(round(4 / BIN) + 1)]),
                )
            )
    return found


def binned(values: Sequence[float], bounds: Sequence[float]) -> Histogram:
    """Count values by bins; what lies outside all of them is in none."""
    counts, _ = np.histogram(values, bounds)
    bins = zip(bounds[:-1], bounds[1:], counts.tolist(), strict=True)
    return [(low, high, int(count)) for low, high, count in bins]
