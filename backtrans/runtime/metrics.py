"""The metrics of a run on Ray, through Ray's own: one table of them all.

Prometheus reads them where it reads Ray's, under the names that `exported` tells.

Promises: no metric is exported that is not in `METRICS`, and each has the labels that stand there,
beside Ray's own; what an address came to is counted once, by the driver that has its receipt; what
a worker alone knows (what it has in flight, how long that took) it tells itself. No label holds
a shard, a row or a text. In the local runtime nothing is exported: there is nobody to be read by.

Does not know: what the work is, who reads them. What a retry does again (`--retry-rejects`) is
counted as the whole commit that it made.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from backtrans.ledger import Commit
from backtrans.work import Receipt, Work


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. `stages` is the work of an address, such as "backtranslate+score"."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    unit: str
    labels: tuple[str, ...]
    says: str


_COMMIT, _ADDRESS = ("run", "stage"), ("run", "stages")

METRICS = (
    Metric("backtrans_shards_done", "counter", "shards", _COMMIT, "Committed by this run."),
    Metric("backtrans_rows_kept", "counter", "rows", _COMMIT, "Rows that came through."),
    Metric("backtrans_rows_refused", "counter", "rows", (*_COMMIT, "reason"), "Rejects."),
    Metric("backtrans_requests", "counter", "requests", _COMMIT, "Requests to a model."),
    Metric(
        "backtrans_tokens",
        "counter",
        "tokens",
        (*_COMMIT, "kind"),
        "Tokens: prompt (all that was read), cached (those of them from a prefix cache), output.",
    ),
    Metric(
        "backtrans_engine_seconds",
        "counter",
        "seconds",
        _COMMIT,
        "An engine's time, shared among the rows that it had at once.",
    ),
    Metric(
        "backtrans_gpu_seconds", "counter", "seconds", _COMMIT, "That, times the GPUs of a worker."
    ),
    Metric("backtrans_money", "counter", "money", _COMMIT, "What endpoints took, at their prices."),
    Metric("backtrans_attempts", "counter", "attempts", _ADDRESS, "Attempts that were begun."),
    Metric("backtrans_shards_quarantined", "counter", "shards", _ADDRESS, "Given up by this run."),
    Metric("backtrans_shards_in_flight", "gauge", "shards", _ADDRESS, "At this worker, now."),
    Metric(
        "backtrans_shard_seconds",
        "histogram",
        "seconds",
        _ADDRESS,
        "From a shard's first attempt at a worker to its receipt.",
    ),
)
"""All of them."""

SECONDS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
"""Bounds of the histogram. Source: this project's choice: half a decade each, around the minute
that 1,024 rows take an engine."""

KINDS = {"prompt": "prompt_tokens", "cached": "cached_tokens", "output": "output_tokens"}
"""Of tokens, and where a commit has them."""


def exported(metric: Metric) -> tuple[str, ...]:
    """Return the names under which Prometheus has a metric. Source: Ray 2.60, as it was scraped."""
    endings = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum")}
    return tuple(f"ray_{metric.name}{ending}" for ending in endings[metric.kind])


class Metrics:
    """What one process tells of one map, to the Ray that it is connected to."""

    def __init__(self, run: str, work: Work) -> None:
        from ray.util import metrics

        kinds: dict[str, Any] = {
            "counter": metrics.Counter,
            "gauge": metrics.Gauge,
            "histogram": metrics.Histogram,
        }
        self._work = work
        self._run = run
        self._metrics: dict[str, Any] = {}
        for each in METRICS:
            more = {"boundaries": list(SECONDS)} if each.kind == "histogram" else {}
            made = kinds[each.kind](each.name, each.says, tag_keys=each.labels, **more)
            self._metrics[each.name.removeprefix("backtrans_")] = made
        self._flying = 0

    def counted(self, receipt: Receipt) -> Receipt:
        """Count what an address came to, and return its receipt."""
        for commit in receipt.commits:
            if commit.run == self._run:  # others were found
                self._commit(commit)
        tags = {"run": self._run, "stages": self._work.name}
        self._add("attempts", receipt.attempts, tags)
        self._add("shards_quarantined", receipt.outcome == "quarantined", tags)
        return receipt

    @contextmanager
    def in_flight(self) -> Iterator[None]:
        """Tell that this worker has one more in flight, and how long it was so."""
        began = time.monotonic()
        self._fly(1)
        try:
            yield
        finally:
            self._fly(-1)
            tags = {"run": self._run, "stages": self._work.name}
            self._metrics["shard_seconds"].observe(time.monotonic() - began, tags)

    def _fly(self, more: int) -> None:
        self._flying += more
        tags = {"run": self._run, "stages": self._work.name}
        self._metrics["shards_in_flight"].set(self._flying, tags)

    def _commit(self, commit: Commit) -> None:
        tags = {"run": self._run, "stage": commit.stage}
        usage = commit.usage
        self._add("shards_done", 1, tags)
        self._add("rows_kept", commit.counts.kept, tags)
        for reason, rows in commit.counts.rejects.items():
            self._add("rows_refused", rows, tags | {"reason": reason})
        self._add("requests", usage.requests, tags)
        for kind, field in KINDS.items():
            self._add("tokens", getattr(usage, field), tags | {"kind": kind})
        if self._work.uses_engine:
            self._add("engine_seconds", usage.seconds, tags)
            self._add("gpu_seconds", usage.seconds * self._work.gpus_each, tags)
        self._add("money", usage.money, tags)

    def _add(self, name: str, amount: float, tags: dict[str, str]) -> None:
        if amount > 0:  # Ray takes no less
            self._metrics[name].inc(float(amount), tags)
