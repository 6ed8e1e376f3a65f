"""The job as one table of stages, and how a run walks it. Read this first.

    corpus -select-> segments -backtranslate-> pairs -score-> scored -curate-> A4, A5 -> splits

A shard is read, a role asks an engine, every row is kept or rejected with a reason, a part is put,
the ledger commits it. A run looks at what there is (input objects by content, shards by commit),
maps the work that is pending over addresses, and publishes what was curated. It keeps no state of
its own: killed at any instant, the next run finds what is committed and does the rest.

It does not know how a stage works, how work is mapped, or who watches; `resolution` turns the
configuration into the work that is mapped here.
"""

import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from backtrans.accounts import Observer, Plan, StagePlan, StageStatus, Status, Summary
from backtrans.checkpoint import commits_in
from backtrans.committed import Committed
from backtrans.config import Config, differences
from backtrans.errors import RunIncomplete
from backtrans.ledger import Ledger
from backtrans.records import Row
from backtrans.resolution import Resolved
from backtrans.runtime.opening import open_runtime
from backtrans.snapshots import Snapshot, latest
from backtrans.stages.publish import publish
from backtrans.standing import Standing
from backtrans.store import Store
from backtrans.work import Address, Runtime, RuntimeSettings, Work


@dataclass(frozen=True, slots=True)
class Stage:
    """One resumable verb: what it reads, and what it does in a line."""

    name: str
    reads: tuple[str, ...]
    does: str


STAGES = (
    Stage("select", (), "reads objects and keeps the segments that could be a response"),
    Stage("backtranslate", ("select",), "asks M_yx for the instruction behind each segment"),
    Stage("score", ("select", "backtranslate"), "asks the forward model how good each pair is"),
    Stage("curate", ("select", "backtranslate", "score"), "keeps the best pairs: A4, A5 in it"),
)
"""The whole job, in order. Everything else in this module walks this table."""


class Pipeline:
    """A job over one configuration and one root.

    `ray_auth_token` says whether the environment asks for Ray's token authentication; without it
    a cluster that others can reach is refused.
    """

    def __init__(self, config: Config, *, ray_auth_token: bool = False) -> None:
        self.config = config
        self.resolved = Resolved(config, ray_auth_token)
        self.ledger = Ledger(Store(self.resolved.store))

    # ------------------------------------------------------------------ what there is to do

    def standing(self) -> Standing:
        """Look at the corpus, and at what of it is committed."""
        return Standing(self.ledger, self.resolved, self.config.recipe.corpus)

    def plan(self) -> Plan:
        """Say what a run would do, and why. Touches nothing."""
        return self._plan(self.standing())

    def _plan(self, standing: Standing) -> Plan:
        objects = standing.objects
        shards, unread = standing.shards()
        last = self._last_run()
        changed: list[str] = []
        changes: list[str] = []
        if last is not None:
            before, now = last["fingerprints"], self.resolved.fingerprints
            changes = differences(last["recipe"], self.config.recipe.model_dump())
            changes += differences(last["models"], self.resolved.models, "model content")
            changed = [stage.name for stage in STAGES if before.get(stage.name) != now[stage.name]]
        given_up = {q.key for q in self.ledger.quarantined(last["run"])} if last else set()

        def why(stage: str, key: str) -> str:
            if key in given_up:
                return "quarantined in the last run"
            if stage in changed:
                return "the recipe changed"
            return "a new or changed object" if stage == "select" else "not done yet"

        stages = []
        for stage in STAGES:
            if stage.name == "select":
                done = len(objects) - len(unread)
                pending = Counter(why("select", address.key) for address in unread)
            else:
                waiting = standing.pending((stage.name,), shards)
                done = len(shards) - len(waiting)
                pending = Counter(why(stage.name, address.key) for address in waiting)
            stages.append(StagePlan(stage.name, done, dict(pending)))
        duplicates = [info.key for found in objects for info in found.also]
        return Plan(len(objects), duplicates, len(unread), len(shards), stages, changes, changed)

    # ------------------------------------------------------------------ doing it

    def run(self, observer: Observer) -> Summary:
        """Do what is pending and publish. Raises: RunIncomplete, with nothing published.

        Idempotent, and safe to kill: every shard that is committed stays so. Where another run has
        published since the corpus was listed, or a takedown was recorded, it looks and walks again.
        """
        began = time.monotonic()
        run = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{os.urandom(3).hex()}"
        standing = self.standing()
        _announce(self._plan(standing), observer)
        record = {
            "run": run,
            "recipe": self.config.recipe.model_dump(),
            "placement": self.config.placement.model_dump(),
            "models": self.resolved.models,
            "fingerprints": self.resolved.fingerprints,
            "started_at": _now(),
        }
        self.ledger.put_run(run, record)
        made: Counter[str] = Counter()
        with open_runtime(self.config.placement.runtime) as runtime:
            while True:
                walk = _Walk(runtime, observer, standing.committed)
                shards, unread = self._walk(walk, run, standing)
                made += walk.made
                curated = standing.table("curate", shards)
                total = len(shards) + len(unread)
                complete = curated.num_rows / total if total else 1.0
                enough = complete >= self.config.placement.min_complete
                snapshot = self._publish(standing, curated, run) if enough else None
                if snapshot is not None or not enough:
                    break
                observer.note("another run published, or a takedown came meanwhile: looking again")
                standing = self.standing()
        standing.remember(run, shards, time.time())
        seconds = time.monotonic() - began
        summary = Summary(run, dict(made), walk.given_up, complete, snapshot, seconds)
        self.ledger.put_run(run, {**record, "ended_at": _now(), "summary": asdict(summary)})
        if not enough:
            raise RunIncomplete(
                f"{curated.num_rows} of {total} shards reached the end, {complete:.1%} of them;"
                f" placement.min_complete is {self.config.placement.min_complete:.1%}."
                " Nothing was published. Given up:\n  " + "\n  ".join(walk.given_up)
            )
        return summary

    def _walk(
        self, walk: "_Walk", run: str, standing: Standing
    ) -> tuple[list[Address], list[Address]]:
        """Carry what is pending through the stages; return the shards, and the objects not read."""
        reads = {stage.name: stage.reads for stage in STAGES}
        readers = self.resolved.runtime_settings(run, self.config.placement.readers)
        engines = self.resolved.runtime_settings(run, self.config.placement.engines)
        _, unread = standing.shards()
        walk.carry(self.resolved.select_work(run, standing.withdrawn), unread, readers)
        shards, unread = standing.shards()
        for ask in self.resolved.ask_works(run):
            stages = tuple(stage.stage for stage in ask.stages)
            ready = standing.reached(reads[stages[0]], shards)
            walk.carry(ask, standing.pending(stages, ready), engines)
        scored = standing.reached(reads["curate"], shards)
        waiting = standing.pending(("curate",), scored)
        walk.carry(self.resolved.curate_work(run), waiting, readers)
        return shards, unread

    def _publish(self, standing: Standing, curated: pa.Table, run: str) -> Snapshot | None:
        """Publish what came of a standing; None where that is no longer how things stand.

        A takedown that comes while files are put is seen after: then the snapshot is there, and
        the next one follows it at once.
        """
        if standing.withdrawn_since():
            return None
        fingerprints, withdrawn = self.resolved.fingerprints, standing.withdrawn
        snapshot = publish(
            self.ledger, curated, fingerprints, run, _now(), withdrawn, standing.published
        )
        return None if standing.withdrawn_since() else snapshot

    def status(self) -> Status:
        """Say what the present corpus and recipe have come to. Touches nothing."""
        standing = self.standing()
        shards, _ = standing.shards()
        stages = [StageStatus.of(s.name, standing.table(s.name, shards)) for s in STAGES]
        snapshot = latest(self.ledger)
        files = snapshot.files if snapshot else {}
        last = self._last_run()
        given_up = self.ledger.quarantined(last["run"]) if last else []
        return Status(
            stages,
            snapshot,
            {split: [self.ledger.store.url(key) for key in keys] for split, keys in files.items()},
            [f"{q.stage}: {q.name}: {q.error}" for q in given_up],
            last["run"] if last else None,
        )

    def rows(self, stage: str) -> Iterator[Row]:
        """Yield every row of a stage's committed parts, kept and refused, in the corpus' order."""
        standing = self.standing()
        shards, _ = standing.shards()
        for commit in commits_in(standing.table(stage, shards)):
            yield from self.ledger.read_part(commit).to_pylist()

    def orphans(self, older_than_seconds: float) -> list[str]:
        """Return the parts that no commit points at and that are older than that."""
        return self.ledger.orphans(older_than_seconds, time.time())

    # ------------------------------------------------------------------ parts of the above

    def _last_run(self) -> dict[str, Any] | None:
        runs = self.ledger.runs()
        return runs[-1] if runs else None


class _Walk:
    """One run's passage through its phases, and what came of them."""

    def __init__(self, runtime: Runtime, observer: Observer, committed: Committed) -> None:
        self.made: Counter[str] = Counter()
        self.given_up: list[str] = []
        self.committed = committed
        self._runtime = runtime
        self._observer = observer

    def carry(self, work: Work, addresses: list[Address], settings: RuntimeSettings) -> None:
        """Map work over addresses; nothing is opened where there are none."""
        if not addresses:
            return
        self._observer.phase(work.name, len(addresses))
        for receipt in self._runtime.map(work, addresses, settings):
            self._observer.receipt(receipt)
            self.committed.add(receipt.commits)
            self.made.update(c.stage for c in receipt.commits if c.run == settings.run)
            if receipt.outcome == "quarantined":
                self.given_up.append(f"{receipt.address.name}: {receipt.error}")


def _announce(plan: Plan, observer: Observer) -> None:
    for name in plan.duplicate_objects:
        observer.note(f"{name}: the same content as another object; read once")
    if plan.changed_stages:
        observer.note("the recipe changed since the last run:")
        for line in plan.changes:
            observer.note(f"  {line}")
        observer.note(f"  makes pending: {', '.join(plan.changed_stages)}")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
