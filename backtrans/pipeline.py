"""The job as one table of stages, and how a run walks it. Read this first.

    corpus -select, deduplicate-> segments -backtranslate-> pairs -score-> scored
           -curate-> A4, A5 [-rewrite, rescore, choose-> A4, A5] -> splits

A shard is read, a role asks an engine, every row is kept or rejected with a reason, a part is put,
the ledger commits it. A run looks at what there is (input objects by content, shards by commit),
maps the work that is pending over addresses, and publishes what was curated. It keeps no state of
its own: killed at any instant, the next run finds what is committed and does the rest.

It does not know how a stage works, how work is mapped, or who watches; `works` turns the
configuration into the work that is mapped here.
"""

import os
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

from backtrans import logs
from backtrans.accounts import Estimate, Observer, Plan, StageStatus, Status, Summary
from backtrans.checkpoint import commits_in
from backtrans.config import Config
from backtrans.costs import Costs
from backtrans.deduplication import Deduplication
from backtrans.errors import BudgetSpent, ConfigError, RunIncomplete
from backtrans.estimating import Estimator, estimate_of
from backtrans.gpus import Gpu
from backtrans.journal import Journal
from backtrans.ledger import Commit, Ledger
from backtrans.models import Registered
from backtrans.placement import gpus_each
from backtrans.planning import planned
from backtrans.publication import Publication, Published
from backtrans.records import REASONS, Row, is_kept
from backtrans.redo import Redo, retried_reason
from backtrans.refused import QUARANTINED, Refused, checked, checked_reason, given_up, refused_rows
from backtrans.repeats import Repeats, count_repeats
from backtrans.resolution import Resolved
from backtrans.runtime.opening import open_runtime
from backtrans.snapshots import SPLITS, Snapshot, latest
from backtrans.spending import Spending
from backtrans.stages.ask import AskWork
from backtrans.standing import Standing
from backtrans.store import Store
from backtrans.trained import ROLES
from backtrans.training.pairs import RoleName, TrainingPair
from backtrans.walk import Walk, train_missing
from backtrans.work import Address, Work
from backtrans.works import PARTS, Works


@dataclass(frozen=True, slots=True)
class Stage:
    """One resumable verb: what it reads, and what it does in a line."""

    name: str
    reads: tuple[str, ...]
    does: str


STAGES = (
    Stage("select", (), "reads objects and keeps the segments that could be a response"),
    Stage("deduplicate", ("select",), "refuses the segments that are copies of earlier ones"),
    Stage("backtranslate", ("select", "deduplicate"), "asks M_yx for each segment's instruction"),
    Stage("score", ("select", "backtranslate"), "asks the forward model how good each pair is"),
    Stage("curate", ("select", "backtranslate", "score"), "keeps the best pairs: A4, A5 in it"),
)
"""The whole job, in order. Everything else in this module walks this table."""

WRITING = (
    Stage("distill", ("curate",), "asks a model for its own answer to each instruction"),
    Stage("rewrite", ("curate",), "asks an aligned model for a better response to each"),
    Stage("rescore", ("curate", "rewrite"), "asks the forward model how good each rewrite is"),
    Stage("choose", ("curate", "rewrite", "rescore"), "takes the rewrite, or the original"),
)
"""What follows where the recipe says so."""

EVERY_STAGE = (*STAGES, *WRITING)


def stages_of(names: Collection[str]) -> tuple[Stage, ...]:
    """Return the stages of a recipe; what it does without, those below it read past."""
    return tuple(
        replace(stage, reads=tuple(name for name in stage.reads if name in names))
        for stage in EVERY_STAGE
        if stage.name in names
    )


ROLE_OF: dict[str, RoleName] = {
    "backtranslate": "backward",
    "score": "forward",
    "rescore": "forward",
}
"""Whose model a stage asks."""

MAX_WALKS = 3
"""How often a run walks the stages when other runs replace commits under it. Source: this project's
choice: once more is enough unless the others go on."""


class Pipeline:
    """A job over one configuration and one root.

    `ray_auth_token` says whether the environment asks for Ray's token authentication; without it
    a cluster that others can reach is refused.
    """

    def __init__(self, config: Config, *, ray_auth_token: bool = False) -> None:
        self.config = config
        self._ray_auth_token = ray_auth_token
        self.resolved = Resolved(config)
        self.works = Works(config, self.resolved, ray_auth_token=ray_auth_token)
        store = Store(self.resolved.store)
        self.ledger = Ledger(store)
        self.journal = Journal(store)
        self.stages = stages_of(self.resolved.stages)
        self.reads = {stage.name: stage.reads for stage in self.stages}
        self.redo = Redo(self.ledger, self.resolved, self.reads)
        self.deduplication = Deduplication(self.ledger, self.resolved, self.works)
        self.publication = Publication(config, self.resolved, self.ledger)

    def over(self, config: Config) -> "Pipeline":
        """Return the job of another configuration, in the same environment."""
        return Pipeline(config, ray_auth_token=self._ray_auth_token)

    # ------------------------------------------------------------------ what there is to do

    def standing(self) -> Standing:
        """Look at the corpus, and at what of it is committed."""
        return Standing(self.ledger, self.resolved, self.config.recipe.corpus)

    def plan(self) -> Plan:
        """Say what a run would do, and why. Touches nothing."""
        return self._plan(self.standing())

    def _plan(self, standing: Standing) -> Plan:
        recipe, resolved = self.config.recipe, self.resolved
        return planned(standing, recipe, resolved, self.journal, self.reads, self.redo.stale)

    def estimate(self, sample_rows: int, gpu: Gpu | None = None) -> Estimate:
        """Say what the job takes in all. Touches nothing; reads some of the corpus."""
        standing = self.standing()
        work = self.works.select_work("", self.works.retry(), standing.withdrawn)
        found = Estimator(self.config, self.resolved, self.ledger, standing)
        return found.estimate(work, sample_rows, gpu)

    # ------------------------------------------------------------------ doing it

    def run(
        self,
        observer: Observer,
        retry_rejects: Sequence[str] = (),
        *,
        publish: bool = True,
        estimate: Estimate | None = None,
    ) -> Summary:
        """Do what is pending and publish. Raises: RunIncomplete, with nothing published;
        BudgetSpent, with what is complete published where that is enough.

        Without publishing, a run ends where its pairs are curated. An estimate is recorded with it.

        Idempotent, and safe to kill: every shard that is committed stays so. `retry_rejects` are
        reasons: rows that were refused for one of them are done again, and what depends on them.
        Where another run has published since the corpus was listed, or a takedown was recorded, it
        looks and walks again. Raises: ConfigError for a reason that no row can be done again for.
        """
        began = time.monotonic()
        reasons = tuple(dict.fromkeys(map(retried_reason, retry_rejects)))
        self.publication.check()  # a place that cannot be had is said before the work
        standing = self.standing()
        _announce(self._plan(standing), observer)
        run = self._begin(estimate)
        due = self.redo.due(standing, reasons)
        rows = sum(commit.refused_for(reasons) for commit in due)
        if reasons:
            observer.note(f"refused for {', '.join(reasons)}: {rows:,} row(s), to be done again")
        made: Counter[str] = Counter()
        spending = Spending(self.config.placement)
        with (
            open_runtime(self.config.placement.runtime) as runtime,
            self.redo.changing(needed=bool(due)),
        ):
            while True:
                walk = Walk(runtime, observer, standing, due, spending, self.journal)
                for _ in range(MAX_WALKS):
                    shards, unread = self._walk(walk, spending, run, reasons, write=publish)
                    if not self.redo.retract_stale(standing, shards):
                        break
                made += walk.made
                if not publish:
                    complete = self.publication.complete(standing, "curate", shards, unread)
                    published = Published(None, complete)
                    break
                published = self._publish(standing, run, shards, unread)
                if not published.superseded:
                    break
                observer.note("another run published, or a takedown came meanwhile: looking again")
                standing = self.standing()
        kept = sum(self.redo.came_through(commit, reasons) for commit in due)
        if reasons:
            observer.note(f"retried {rows:,} row(s): {kept:,} came through")
        standing.remember(run, shards, time.time())
        return self._end(
            Summary(
                run,
                dict(made),
                walk.given_up,
                published.complete,
                published.snapshot,
                time.monotonic() - began,
                rows,
                kept,
                spending.spent,
                spending.said() if walk.left else None,
            ),
            observer,
        )

    def train(self, observer: Observer, roles: Sequence[RoleName] = ROLES) -> list[Registered]:
        """Train the models of these roles that the recipe trains; return them all, those that
        were there too. Raises: ConfigError where it trains none; else as `Trained.train`.
        """
        trained = self.resolved.trained
        wanted = [role for role in roles if role in trained.roles]
        if not wanted:
            raise ConfigError(f"models.{' and models.'.join(roles)}: nothing says trained: true")
        return self._trained(observer, wanted)

    def train_after(self, observer: Observer, kept: Sequence[TrainingPair]) -> Registered:
        """Train the forward model on the seed and what a round kept, unless it is there."""
        return self._trained(observer, ["forward"], kept)[0]

    def _trained(
        self, observer: Observer, roles: Sequence[RoleName], kept: Sequence[TrainingPair] = ()
    ) -> list[Registered]:
        settings = self.works.runtime_settings(new_run(), self.config.placement.engines)
        with open_runtime(self.config.placement.runtime) as runtime:
            return train_missing(self.resolved.trained, roles, runtime, settings, observer, kept)

    def republish(self, observer: Observer) -> Summary:
        """Publish what is committed, and compute nothing. Raises: RunIncomplete."""
        began = time.monotonic()
        run = self._begin()
        while True:
            standing = self.standing()
            published = self._publish(standing, run, *standing.shards())
            if not published.superseded:
                break
        seconds = time.monotonic() - began
        summary = Summary(run, {}, [], published.complete, published.snapshot, seconds)
        return self._end(summary, observer)

    def _begin(self, estimate: Estimate | None = None) -> str:
        """Record that a run begins; return its name."""
        run = new_run()
        record = {
            "run": run,
            "recipe": self.config.recipe.model_dump(mode="json"),
            "placement": self.config.placement.model_dump(),
            "models": self.resolved.models,
            "asked": self.resolved.asked,
            "fingerprints": self.resolved.fingerprints,
            "started_at": _now(),
            "estimate": estimate and asdict(estimate),
        }
        self.journal.put_run(run, record)
        logs.happened("run begun", run=run, stages=list(self.reads))
        return run

    def _end(self, summary: Summary, observer: Observer) -> Summary:
        """Record what a run came to, and have the lake follow. Raises: RunIncomplete."""
        record = self.journal.run_of(summary.run)
        ended = {**record, "ended_at": _now(), "summary": asdict(summary)}
        self.journal.put_run(summary.run, ended)
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
        if summary.stopped_by is not None:
            raise BudgetSpent(self._stopped(summary, observer))
        if summary.complete < self.config.placement.min_complete:
            raise RunIncomplete(
                f"{summary.complete:.1%} of the shards reached the end;"
                f" placement.min_complete is {self.config.placement.min_complete:.1%}."
                " Nothing was published. Given up:\n  " + "\n  ".join(summary.quarantined)
            )
        self._to_lake(summary, observer)
        return summary

    def _to_lake(self, summary: Summary, observer: Observer) -> None:
        # On every run: a driver that died before its transaction left this to the next.
        if summary.snapshot and (said := self.publication.to_lake(summary.snapshot)):
            observer.note(said)

    def _stopped(self, summary: Summary, observer: Observer) -> str:
        """Have the lake follow what was published all the same; say what a later run has to do."""
        self._to_lake(summary, observer)
        published = "Nothing was published" if summary.snapshot is None else "Splits are published"
        left = ", ".join(
            f"{stage.stage} {sum(stage.pending.values()):,}"
            for stage in self.plan().stages
            if stage.pending
        )
        return f"{summary.stopped_by}. {published}; shards left: {left}. Run it again to go on."

    def _walk(
        self, walk: Walk, spending: Spending, run: str, reasons: tuple[str, ...], *, write: bool
    ) -> tuple[list[Address], list[Address]]:
        """Carry what is pending through the stages; return the shards, and the objects not read.

        So are shards of which a commit holds rows that are due again; that their workers have done
        them once in this run is theirs to see.
        """
        standing = walk.standing
        retry = self.works.retry(reasons)
        readers = self.works.runtime_settings(run, self.config.placement.readers)
        engines = self.works.runtime_settings(
            run, self.config.placement.engines, stoppable=spending.is_capped
        )
        shards, unread = standing.shards()
        self.redo.retract_stale(standing, shards)
        reread = {address.object for address in shards if address.shard in walk.due("select")}
        unread += [standing.whole(found) for found in standing.objects if found.info.key in reread]
        walk.carry(self.works.select_work(run, retry, standing.withdrawn), unread, readers)
        shards, unread = standing.shards()
        for work, addresses in self.deduplication.phases(run, standing, shards):
            walk.carry(work, addresses, readers)
        runs = self.journal.runs()

        def ask(works: list[AskWork]) -> None:
            for work in works:
                stages = tuple(stage.stage for stage in work.stages)
                ready = standing.reached(self.reads[stages[0]], shards)
                pending = {address.shard for address in standing.pending(stages, ready)}
                pending |= walk.due(*stages)
                waiting = [address for address in ready if address.shard in pending]
                if waiting:
                    roles = [ROLE_OF[stage] for stage in stages if stage in ROLE_OF]
                    walk.train(self.resolved.trained, roles, engines)
                walk.carry(work, waiting, engines)

        def join(stage: str, work: Work) -> None:
            ready = standing.reached(self.reads[stage], shards)
            walk.carry(work, standing.pending((stage,), ready), readers)

        ask(self.works.ask_works(run, retry, runs))
        join("curate", self.works.curate_work(run))
        if write:
            ask(self.works.write_works(run, retry, runs))
        if write and "choose" in self.reads:
            join("choose", self.works.choose_work(run))
        return shards, unread

    def _publish(
        self, standing: Standing, run: str, shards: list[Address], unread: list[Address]
    ) -> Published:
        return self.publication.publish(
            standing, run, shards, unread, lambda: self._stages(standing, shards)
        )

    def status(self) -> Status:
        """Say what the present corpus and recipe have come to. Touches nothing."""
        standing = self.standing()
        shards, _ = standing.shards()
        stages = self._stages(standing, shards)
        snapshot = latest(self.ledger)
        files = snapshot.files if snapshot else {}
        runs = self.journal.runs()
        last = runs[-1] if runs else None
        quarantined = self.journal.quarantined(last["run"]) if last else []
        return Status(
            stages,
            snapshot,
            snapshot is None or snapshot.fingerprints == self.resolved.fingerprints,
            {split: [self.ledger.store.url(key) for key in keys] for split, keys in files.items()},
            [f"{q.stage}: {q.name}: {q.error}" for q in quarantined],
            last["run"] if last else None,
            self.publication.lake_status(),
            estimate_of(runs, self.resolved.fingerprints),
            self._costs(standing, shards, stages, snapshot),
        )

    def _costs(
        self,
        standing: Standing,
        shards: list[Address],
        stages: list[StageStatus],
        snapshot: Snapshot | None,
    ) -> Costs:
        placement, playing = self.config.placement, self.resolved.playing
        gpus = {s: gpus_each(placement, playing[PARTS[s]].engine) for s in self.reads if s in PARTS}
        published = self.publication.is_of(snapshot, standing, shards)
        pairs = {s: snapshot.rows[s] for s in SPLITS} if snapshot and published else {}
        price = placement.prices.gpu_hour
        asked = {s.stage: s.cost(gpus[s.stage], price) for s in stages if s.stage in gpus}
        return Costs(asked, pairs)

    def rows(self, stage: str) -> Iterator[Row]:
        """Yield every row of a stage's committed parts, kept and refused, in the corpus' order."""
        standing = self.standing()
        shards, _ = standing.shards()
        for commit in commits_in(standing.table(stage, shards)):
            yield from self.ledger.read_part(commit).to_pylist()

    def kept(self, split: str, *, stage: str) -> Iterator[Row]:
        """Yield a stage's kept rows of a split, but for those that are withdrawn by now."""
        standing = self.standing()
        shards, _ = standing.shards()
        for commit in commits_in(standing.table(stage, shards)):
            part = self.ledger.read_part(commit)
            for row, leaves in zip(part.to_pylist(), standing.withdrawn.mask(part), strict=True):
                if is_kept(row) and row["split"] == split and not leaves:
                    yield row

    def rejects(self, stage: str | None = None, reasons: Sequence[str] = ()) -> Iterator[Refused]:
        """Yield every refused row of the present corpus and recipe, then what the last run gave up.

        Of one stage or of all, for some reasons or for all. Raises: ConfigError for a name that
        does not exist, at once.
        """
        wanted = {checked_reason(reason) for reason in reasons} or {*REASONS, QUARANTINED}
        if stage is not None:
            checked("stage", stage, self.reads)
        return self._rejects(stage, wanted)

    def _rejects(self, stage: str | None, reasons: set[str]) -> Iterator[Refused]:
        standing = self.standing()
        for commits in standing.by_shard(list(self.reads)):
            wanted = [commit for commit in commits if stage in (None, commit.stage)]
            yield from refused_rows(self.ledger, commits[0], wanted, reasons)
        last = self.journal.last()
        if last is not None and QUARANTINED in reasons:
            yield from given_up(self.journal.quarantined(last["run"]), stage)

    def repeated_ids(self) -> Repeats:
        """Count the rows of the present corpus whose document id another row has too."""
        standing = self.standing()
        shards, _ = standing.shards()
        commits = commits_in(standing.table("select", shards))
        return count_repeats(self._document_ids(commit) for commit in commits)

    def _document_ids(self, commit: Commit) -> list[str | None]:
        rows = self.ledger.read_part(commit, ["row", "document_id"]).to_pylist()
        return list({row["row"]: row["document_id"] for row in rows}.values())  # one a document

    # ------------------------------------------------------------------ parts of the above

    def _stages(self, standing: Standing, shards: list[Address]) -> list[StageStatus]:
        return [StageStatus.of(s.name, standing.table(s.name, shards)) for s in self.stages]


def new_run() -> str:
    """Return a name for a run: by time, so that names sort as runs began, and unlike any other."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}-{os.urandom(3).hex()}"


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
