"""The job as one table of stages, and how a run walks it. Read this first.

    corpus -select, deduplicate-> segments -backtranslate-> pairs -score-> scored
           -curate-> A4, A5 [-rewrite, rescore, choose-> A4, A5] -> splits

A shard is read, a role asks an engine, every row is kept or rejected with a reason, a part is put,
the ledger commits it. A run looks at what there is (input objects by content, shards by commit),
maps the work that is pending over addresses, and publishes what was curated. It keeps no state of
its own: killed at any instant, the next run finds what is committed and does the rest.

It does not know how a stage works, how work is mapped, or who watches; `works` turns the
configuration into the work that is mapped here, and `overview` says how far it has come.
"""

import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from backtrans import runs
from backtrans.accounts import Estimate, Observer, Summary
from backtrans.config import Config
from backtrans.deduplication import Deduplication
from backtrans.errors import ConfigError
from backtrans.models import Registered
from backtrans.overview import Overview
from backtrans.publication import Published
from backtrans.redo import retried_reason
from backtrans.resolution import PARTS, Resolved
from backtrans.runtime.opening import open_runtime
from backtrans.spending import Costs, Spending
from backtrans.stages.ask import AskWork
from backtrans.standing import Standing
from backtrans.trained import ROLES
from backtrans.training.pairs import RoleName, TrainingPair
from backtrans.walk import Walk, train_missing
from backtrans.work import Address, Work


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


MAX_WALKS = 3
"""How often a run walks the stages when other runs replace commits under it. Source: this project's
choice: once more is enough unless the others go on."""


class Pipeline(Overview):
    """A job over one configuration and one root: what `Overview` shows of it, and a run.

    `ray_auth_token` says whether the environment asks for Ray's token authentication; without it
    a cluster that others can reach is refused.
    """

    def __init__(self, config: Config, *, ray_auth_token: bool = False) -> None:
        resolved = Resolved(config)
        self.stages = stages_of(resolved.stages)
        reads = {stage.name: stage.reads for stage in self.stages}
        super().__init__(config, resolved, reads, ray_auth_token=ray_auth_token)
        self._ray_auth_token = ray_auth_token
        self.deduplication = Deduplication(self.ledger, resolved, self.works)

    def over(self, config: Config) -> "Pipeline":
        """Return the job of another configuration, in the same environment."""
        return Pipeline(config, ray_auth_token=self._ray_auth_token)

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
        runs.announce(self._plan(standing), observer)
        run = self._begin(estimate)
        due = self.redo.due(standing, reasons)
        rows = sum(commit.refused_for(reasons) for commit in due)
        if reasons:
            observer.note(f"refused for {', '.join(reasons)}: {rows:,} row(s), to be done again")
        made: Counter[str] = Counter()
        spending = Spending(self.config.placement)
        costs = Costs(due, [stage.name for stage in EVERY_STAGE])
        with (
            open_runtime(self.config.placement.runtime, observer.note) as runtime,
            self.redo.changing(needed=bool(due)),
        ):
            while True:
                walk = Walk(runtime, observer, standing, due, spending, costs, self.journal)
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
        standing.remember(run, shards)
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
        earlier = self.journal.runs()

        def ask(works: list[AskWork]) -> None:
            for work in works:
                stages = tuple(stage.stage for stage in work.stages)
                ready = standing.reached(self.reads[stages[0]], shards)
                pending = {address.shard for address in standing.pending(stages, ready)}
                pending |= walk.due(*stages)
                waiting = [address for address in ready if address.shard in pending]
                if waiting:
                    playing = {PARTS[stage] for stage in stages}
                    roles = [role for role in ROLES if role in playing]
                    walk.train(self.resolved.trained, roles, engines)
                walk.carry(work, waiting, engines)

        def join(stage: str, work: Work) -> None:
            ready = standing.reached(self.reads[stage], shards)
            walk.carry(work, standing.pending((stage,), ready), readers)

        ask(self.works.ask_works(run, retry, earlier))
        join("curate", self.works.curate_work(run))
        if write:
            ask(self.works.write_works(run, retry, earlier))
        if write and "choose" in self.reads:
            join("choose", self.works.choose_work(run))
        return shards, unread

    def _publish(
        self, standing: Standing, run: str, shards: list[Address], unread: list[Address]
    ) -> Published:
        return self.publication.publish(
            standing, run, shards, unread, lambda: self._stages(standing, shards)
        )

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
        return runs.begin(
            self.journal, self.config, self.resolved, self.reads, self.gpus_each, estimate
        )

    def _end(self, summary: Summary, observer: Observer) -> Summary:
        """Record what a run came to; have the lake follow. Raises: RunIncomplete, BudgetSpent."""
        runs.end(self.journal, summary)
        # On every run: a driver that died before its transaction left this to the next.
        if summary.snapshot and (said := self.publication.to_lake(summary.snapshot)):
            observer.note(said)
        runs.check(summary, self.config.placement.min_complete, self.plan)
        return summary

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
        settings = self.works.runtime_settings(runs.new_run(), self.config.placement.engines)
        with open_runtime(self.config.placement.runtime, observer.note) as runtime:
            return train_missing(self.resolved.trained, roles, runtime, settings, observer, kept)
