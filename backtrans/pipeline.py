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
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from backtrans.accounts import Observer, Plan, StagePlan, StageStatus, Status, Summary
from backtrans.config import Config, differences
from backtrans.errors import RunIncomplete
from backtrans.ledger import Commit, Ledger
from backtrans.records import REASONS, Row
from backtrans.redo import Redo, retried_reason
from backtrans.refused import QUARANTINED, Refused, checked, checked_reason, given_up, refused_rows
from backtrans.repeats import Repeats, count_repeats
from backtrans.resolution import Resolved
from backtrans.runtime.opening import open_runtime
from backtrans.snapshots import latest
from backtrans.stages.publish import publish
from backtrans.stages.select import index_key
from backtrans.store import ObjectInfo, Store, content_fingerprint, list_inputs
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

READS = {stage.name: stage.reads for stage in STAGES}

MAX_WALKS = 3
"""How often a run walks the stages when other runs replace commits under it. Source: this project's
choice: once more is enough unless the others go on."""


@dataclass(frozen=True, slots=True)
class InputObject:
    """One distinct content of the corpus; `also` names the other objects that hold the same."""

    info: ObjectInfo
    fingerprint: str
    also: tuple[str, ...] = ()


class Pipeline:
    """A job over one configuration and one root.

    `ray_auth_token` says whether the environment asks for Ray's token authentication; without it
    a cluster that others can reach is refused.
    """

    def __init__(self, config: Config, *, ray_auth_token: bool = False) -> None:
        self.config = config
        self.resolved = Resolved(config, ray_auth_token)
        self.ledger = Ledger(Store(self.resolved.store))
        self.redo = Redo(self.ledger, self.resolved, READS)

    # ------------------------------------------------------------------ what there is to do

    def objects(self) -> list[InputObject]:
        """List the corpus by content: the same bytes under two names are one object."""
        settings = self.resolved.store
        by_content: dict[str, list[ObjectInfo]] = {}
        for info in list_inputs(list(self.config.recipe.corpus.paths), settings):
            by_content.setdefault(content_fingerprint(info, settings), []).append(info)
        return [
            InputObject(first, found, tuple(info.key for info in others))
            for found, (first, *others) in by_content.items()
        ]

    def shards(self, objects: list[InputObject]) -> tuple[list[Address], list[Address]]:
        """Return the shards of the objects that are indexed, and the objects that are not."""
        shard_rows = self.config.recipe.corpus.shard_rows
        shards: list[Address] = []
        unread: list[Address] = []
        for found in objects:
            key = index_key(self.resolved.fingerprints["select"], found.fingerprint)
            index = self.ledger.index_of(key)
            if index is None:
                unread.append(self._whole(found))
                continue
            for number, shard in enumerate(index.shards):
                shards.append(Address(shard, shard, found.info.key, number * shard_rows))
        return shards, unread

    def _whole(self, found: InputObject) -> Address:
        """Return the address of an object: the unit that is selected from."""
        key = index_key(self.resolved.fingerprints["select"], found.fingerprint)
        return Address(key, found.fingerprint, found.info.key)

    def plan(self) -> Plan:
        """Say what a run would do, and why. Touches nothing."""
        return self._plan(self.objects())

    def _plan(self, objects: list[InputObject]) -> Plan:
        shards, unread = self.shards(objects)
        last = self._last_run()
        changed: list[str] = []
        changes: list[str] = []
        if last is not None:
            before, now = last["fingerprints"], self.resolved.fingerprints
            changes = differences(last["recipe"], self.config.recipe.model_dump())
            changes += differences(last["models"], self.resolved.models, "model content")
            changed = [stage.name for stage in STAGES if before.get(stage.name) != now[stage.name]]
        quarantined = {q.key for q in self.ledger.quarantined(last["run"])} if last else set()
        stale = self.redo.stale(shards)

        def why(stage: str, key: str) -> str:
            if key in quarantined:
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
                waiting = self._pending((stage.name,), shards)
                pending = Counter(why(stage.name, address.key) for address in waiting)
                if again := sum(name == stage.name for name, _ in stale):
                    pending["what it reads was replaced"] = again
                done = len(shards) - pending.total()
            stages.append(StagePlan(stage.name, done, dict(pending)))
        duplicates = [name for found in objects for name in found.also]
        return Plan(len(objects), duplicates, len(unread), len(shards), stages, changes, changed)

    # ------------------------------------------------------------------ doing it

    def run(self, observer: Observer, retry_rejects: Sequence[str] = ()) -> Summary:
        """Do what is pending and publish. Raises: RunIncomplete, with nothing published.

        Idempotent, and safe to kill: every shard that is committed stays so. `retry_rejects` are
        reasons: rows that were refused for one of them are done again, and what depends on them.
        Raises: ConfigError for a reason that no row can be done again for.
        """
        began = time.monotonic()
        reasons = tuple(dict.fromkeys(map(retried_reason, retry_rejects)))
        run = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{os.urandom(3).hex()}"
        objects = self.objects()
        _announce(self._plan(objects), observer)
        record = {
            "run": run,
            "recipe": self.config.recipe.model_dump(),
            "placement": self.config.placement.model_dump(),
            "models": self.resolved.models,
            "fingerprints": self.resolved.fingerprints,
            "started_at": _now(),
        }
        self.ledger.put_run(run, record)
        due = self.redo.due(self.shards(objects)[0], reasons)
        rows = sum(commit.refused_for(reasons) for commit in due)
        if reasons:
            observer.note(f"refused for {', '.join(reasons)}: {rows:,} row(s), to be done again")
        with (
            open_runtime(self.config.placement.runtime) as runtime,
            self.redo.epochs(needed=bool(due)),
        ):
            walk = _Walk(runtime, observer)
            for _ in range(MAX_WALKS):
                shards, unread = self._walk(walk, run, objects, reasons, due)
                if not self.redo.retract_stale(shards):
                    break
        kept = sum(self.redo.came_through(commit, reasons) for commit in due)
        if reasons:
            observer.note(f"retried {rows:,} row(s): {kept:,} came through")
        curated = self._commits("curate", shards)
        total = len(shards) + len(unread)
        complete = len(curated) / total if total else 1.0
        enough = complete >= self.config.placement.min_complete
        snapshot = None
        if enough:
            snapshot = publish(self.ledger, curated, self.resolved.fingerprints, run, _now())
        seconds = time.monotonic() - began
        summary = Summary(
            run, dict(walk.made), walk.given_up, complete, snapshot, seconds, rows, kept
        )
        self.ledger.put_run(run, {**record, "ended_at": _now(), "summary": asdict(summary)})
        if not enough:
            raise RunIncomplete(
                f"{len(curated)} of {total} shards reached the end, {complete:.1%} of them;"
                f" placement.min_complete is {self.config.placement.min_complete:.1%}."
                " Nothing was published. Given up:\n  " + "\n  ".join(walk.given_up)
            )
        return summary

    def _walk(
        self,
        walk: "_Walk",
        run: str,
        objects: list[InputObject],
        reasons: tuple[str, ...],
        due: list[Commit],
    ) -> tuple[list[Address], list[Address]]:
        """Carry what is pending through the stages; return the shards, and the objects not read.

        So are shards of which a commit holds rows that are due again; that their workers have done
        them once in this run is theirs to see.
        """
        retry = self.resolved.retry(reasons)
        again = {commit.key for commit in due}
        readers = self.resolved.runtime_settings(run, self.config.placement.readers)
        engines = self.resolved.runtime_settings(run, self.config.placement.engines)
        shards, unread = self.shards(objects)
        self.redo.retract_stale(shards)
        reread = {a.object for a in shards if self.resolved.key("select", a.shard) in again}
        unread += [self._whole(found) for found in objects if found.info.key in reread]
        walk.carry(self.resolved.select_work(run, retry), unread, readers)
        shards, unread = self.shards(objects)
        for ask in self.resolved.ask_works(run, retry):
            stages = tuple(stage.stage for stage in ask.stages)
            reached = self._reached(stages[0], shards)
            pending = {address.shard for address in self._pending(stages, reached)}
            for address in reached:
                if any(self.resolved.key(stage, address.shard) in again for stage in stages):
                    pending.add(address.shard)
            walk.carry(ask, [address for address in reached if address.shard in pending], engines)
        scored = self._reached("curate", shards)
        walk.carry(self.resolved.curate_work(run), self._pending(("curate",), scored), readers)
        return shards, unread

    def status(self) -> Status:
        """Say what the present corpus and recipe have come to. Touches nothing."""
        shards, _ = self.shards(self.objects())
        stages = []
        for stage in STAGES:
            commits = self._commits(stage.name, shards)
            stages.append(StageStatus.of(stage.name, commits))
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
        shards, _ = self.shards(self.objects())
        for commit in self._commits(stage, shards):
            yield from self.ledger.read_part(commit).to_pylist()

    def rejects(self, stage: str | None = None, reasons: Sequence[str] = ()) -> Iterator[Refused]:
        """Yield every refused row of the present corpus and recipe, then what the last run gave up.

        Of one stage or of all, for some reasons or for all. Raises: ConfigError for a name that
        does not exist, at once.
        """
        wanted = {checked_reason(reason) for reason in reasons} or {*REASONS, QUARANTINED}
        if stage is not None:
            checked("stage", stage, READS)
        return self._rejects(stage, wanted)

    def _rejects(self, stage: str | None, reasons: set[str]) -> Iterator[Refused]:
        shards, _ = self.shards(self.objects())
        for address in shards:
            found = [self._commit(name, address) for name in READS]
            commits = [c for c in found if c is not None and stage in (None, c.stage)]
            if found[0] is not None:
                yield from refused_rows(self.ledger, found[0], commits, reasons)
        last = self._last_run()
        if last is not None and QUARANTINED in reasons:
            yield from given_up(self.ledger.quarantined(last["run"]), stage)

    def repeated_ids(self) -> Repeats:
        """Count the rows of the present corpus whose document id another row has too."""
        shards, _ = self.shards(self.objects())
        commits = self._commits("select", shards)
        return count_repeats(self._document_ids(commit) for commit in commits)

    def _document_ids(self, commit: Commit) -> list[str | None]:
        rows = self.ledger.read_part(commit, ["row", "document_id"]).to_pylist()
        return list({row["row"]: row["document_id"] for row in rows}.values())  # one a document

    def orphans(self, older_than_seconds: float) -> list[str]:
        """Return the parts that no commit points at and that are older than that."""
        return self.ledger.orphans(older_than_seconds, time.time())

    # ------------------------------------------------------------------ parts of the above

    def _pending(self, stages: tuple[str, ...], shards: list[Address]) -> list[Address]:
        """Return the shards that lack a commit in any of these stages."""
        committed = {stage: self.ledger.committed(stage) for stage in stages}
        return [
            address
            for address in shards
            if any(self.resolved.key(s, address.shard) not in committed[s] for s in stages)
        ]

    def _reached(self, stage: str, shards: list[Address]) -> list[Address]:
        """Return the shards of which everything that a stage reads is committed."""
        reads = next(s.reads for s in STAGES if s.name == stage)
        missing = {address.shard for address in self._pending(reads, shards)}
        return [address for address in shards if address.shard not in missing]

    def _commits(self, stage: str, shards: list[Address]) -> list[Commit]:
        found = (self.ledger.commit_of(stage, self.resolved.key(stage, a.shard)) for a in shards)
        return [commit for commit in found if commit is not None]

    def _commit(self, stage: str, address: Address) -> Commit | None:
        return self.ledger.commit_of(stage, self.resolved.key(stage, address.shard))

    def _last_run(self) -> dict[str, Any] | None:
        runs = self.ledger.runs()
        return runs[-1] if runs else None


class _Walk:
    """One run's passage through its phases, and what came of them."""

    def __init__(self, runtime: Runtime, observer: Observer) -> None:
        self.made: Counter[str] = Counter()
        self.given_up: list[str] = []
        self._runtime = runtime
        self._observer = observer

    def carry(self, work: Work, addresses: list[Address], settings: RuntimeSettings) -> None:
        """Map work over addresses; nothing is opened where there are none."""
        if not addresses:
            return
        self._observer.phase(work.name, len(addresses))
        for receipt in self._runtime.map(work, addresses, settings):
            self._observer.receipt(receipt)
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
