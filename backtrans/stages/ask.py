"""Ask a model about every row of a shard: the one model map, whatever the role.

A shard is carried through all its pending role stages on one engine before it is let go: its rows
are read from the parts upstream, every row's dialogue runs as soon as there is a place for it, the
rows of the shard that came first before others, and the outcomes are committed as one part a stage.

Promises: rows come out in the upstream's order, each with the role's fields or with the reason for
which it was refused; a committed stage is not asked again; where another worker's commit won, its
rows are what the next stage reads. A role or an engine that breaks the terms of a dialogue fails
the attempt: no row is made up for it.

Does not know: prompts and parsers (roles), models (engines), what runs it (runtimes), the
configuration.
"""

import asyncio
import itertools
from dataclasses import dataclass, replace
from pathlib import Path

from backtrans.conversing import Tally, converse
from backtrans.earlier import answered
from backtrans.engines.engine import MAX_IN_FLIGHT, Engine, EngineSettings
from backtrans.engines.opening import open_engine
from backtrans.errors import AccountingError
from backtrans.journal import Journal
from backtrans.ledger import Commit, Ledger, stage_key
from backtrans.meter import Meter
from backtrans.models import Registry
from backtrans.own_loop import together
from backtrans.precedence import Precedence
from backtrans.records import Reject, Row, is_kept, table
from backtrans.retry import NO_RETRY, Retry
from backtrans.role_stages import ASKS_ABOUT, RoleStage
from backtrans.roles.role import Role
from backtrans.searching import Search
from backtrans.store import Store, StoreSettings
from backtrans.upstream import Parts, joined
from backtrans.work import Address


@dataclass(frozen=True, slots=True)
class AskWork:
    """Role stages that share an engine, as a runtime takes them."""

    store: StoreSettings
    engine: EngineSettings
    stages: tuple[RoleStage, ...]  # in the order in which a shard goes through them
    run: str
    retry: Retry = NO_RETRY
    gpus_each: float = 0.0
    model_cache: str = ""  # a folder of this machine, for trained models that lie in a bucket
    uses_engine: bool = True

    @property
    def name(self) -> str:
        """The stages, such as "backtranslate+score"."""
        return "+".join(stage.stage for stage in self.stages)

    def open(self) -> "AskWorker":
        """Open the store and the engine, on trained models that are fetched to this machine.

        Raises: ModelError, EngineDead, StoreError.
        """
        store = Store(self.store)
        registry, cache, engine = Registry(store), Path(self.model_cache), self.engine
        adapters = {name: registry.located(path, cache) for name, path in engine.adapters.items()}
        found = replace(engine, model=registry.located(engine.model, cache), adapters=adapters)
        ledger, places = Ledger(store), found.max_in_flight
        return AskWorker(self.stages, self.run, ledger, open_engine(found), self.retry, places)


@dataclass(frozen=True, slots=True)
class _Passage:
    """How one shard is carried through its stages."""

    parts: Parts
    rank: int  # the lower, the sooner its rows have a place in the engine
    searching: bool  # for rows of which the engine dies


class AskWorker:
    """Carries shards through the role stages, several at a time, on one engine.

    It has `rows_at_once` rows in dialogue: as many as fill the engine, and some that wait there.
    """

    def __init__(
        self,
        stages: tuple[RoleStage, ...],
        run: str,
        ledger: Ledger,
        engine: Engine,
        retry: Retry = NO_RETRY,
        rows_at_once: int = MAX_IN_FLIGHT,
    ) -> None:
        self._stages = stages
        self._run = run
        self._ledger = ledger
        self._journal = Journal(ledger.store)
        self._engine = engine
        self._retry = retry
        self._meter = Meter()
        self._precedence = Precedence(rows_at_once)
        self._ranks = itertools.count()

    async def do(self, address: Address) -> tuple[list[Commit], int]:
        """Carry a shard through: a commit a stage, made or found, and how many were made.

        Raises: EngineDead; KeyMissing where an upstream is not committed; DialogueBroken,
        AccountingError, StoreError.
        """
        return await self._carry(address, searching=False)

    async def search(self, address: Address) -> tuple[list[Commit], int]:
        """Carry a shard through, as `do` does, without the rows of which the engine dies.

        Each call after an EngineDead goes on where the one before it died. Raises: as `do`.
        """
        return await self._carry(address, searching=True)

    async def _carry(self, address: Address, *, searching: bool) -> tuple[list[Commit], int]:
        # Store calls block, so they go to threads: the other shards' requests keep flowing.
        passage = _Passage(Parts(self._ledger, address), next(self._ranks), searching)
        commits, made = [], 0
        for stage in self._stages:
            key = stage_key(stage.stage, stage.key_fingerprint, address.shard)
            commit = await asyncio.to_thread(self._ledger.commit_of, stage.stage, key)
            if commit is None:
                commit, won = await self._ask(stage, key, address, passage)
                made += won
            elif self._retry.concerns(commit, self._run):
                commit, again = await self._ask_again(stage, commit, address, passage)
                made += again
            commits.append(commit)
        return commits, made

    def close(self) -> None:
        """Release the engine."""
        self._engine.close()

    async def _ask(
        self, stage: RoleStage, key: str, address: Address, passage: _Passage
    ) -> tuple[Commit, bool]:
        """Ask about every row of a shard that has no answer, commit the part; say if this won."""
        tally, parts = Tally(), passage.parts
        lead, *others = [await parts.kept(upstream) for upstream in stage.upstream]
        asked = joined(lead, others, address)
        known = await asyncio.to_thread(self._answered, stage, address.shard, asked)
        fresh = [row for row in asked if row["id"] not in known]
        outcomes, seconds = await self._outcomes(stage, key, fresh, tally, passage)
        known |= {row["id"]: row for row in outcomes}
        rows = [known[row["id"]] for row in asked]
        part = await asyncio.to_thread(table, rows, stage.schema)
        commit, won = await asyncio.to_thread(
            self._ledger.settle,
            stage.stage,
            key,
            shard=address.shard,
            object_url=address.object,
            first_row=address.first_row,
            rows_in=len(lead),
            part=part,
            usage=tally.usage(seconds),
            run=self._run,
            reads=tuple([await parts.name(upstream) for upstream in stage.upstream]),
        )
        if won:
            parts.remember(commit, part)
        return commit, won

    def _answered(self, stage: RoleStage, shard: str, asked: list[Row]) -> dict[str, Row]:
        """Return what the same role and model have said of these rows under earlier recipes."""
        words = ASKS_ABOUT[stage.stage]
        return answered(self._ledger, stage.stage, stage.earlier, shard, asked, words)

    async def _ask_again(
        self, stage: RoleStage, old: Commit, address: Address, passage: _Passage
    ) -> tuple[Commit, bool]:
        """Ask about the rows to be retried alone; replace the part if one of them came through."""
        tally, parts = Tally(), passage.parts
        lead, *others = [await parts.kept(upstream) for upstream in stage.upstream]
        before = (await asyncio.to_thread(self._ledger.read_part, old)).to_pylist()
        due = {row["id"] for row in before if self._retry.is_due(row)}
        asked = [row for row in joined(lead, others, address) if row["id"] in due]
        if len(asked) != len(due):
            raise AccountingError(f"{address.name}: a row that was refused is missing upstream")
        outcomes, seconds = await self._outcomes(stage, old.key, asked, tally, passage)
        came = {row["id"]: row for row in outcomes if is_kept(row)}
        if not came:
            return old, False
        rows = [came.get(row["id"], row) for row in before]
        part = await asyncio.to_thread(table, rows, stage.schema)
        commit = await asyncio.to_thread(
            self._retry.replace,
            self._ledger,
            old,
            rows_in=len(lead),
            part=part,
            usage=tally.usage(seconds),
            run=self._run,
        )
        parts.remember(commit, part)
        return commit, True

    async def _outcomes(
        self, stage: RoleStage, key: str, asked: list[Row], tally: Tally, passage: _Passage
    ) -> tuple[list[Row], float]:
        """Ask about rows; return the part's rows, and the engine's seconds. Rows: N -> N."""
        if not passage.searching:
            return await self._asked(stage, asked, tally, passage.rank)
        known = await asyncio.to_thread(self._journal.search, self._run, stage.stage, key)
        search, by_id = Search(known), {row["id"]: row for row in asked}
        came: dict[str, Row] = {}
        seconds = 0.0
        for group in search.groups(list(by_id)):
            record = (self._run, stage.stage, key, search.asking(group))
            await asyncio.to_thread(self._journal.put_search, *record)
            some = [by_id[each] for each in group]
            rows, took = await self._asked(stage, some, tally, passage.rank)
            came |= {row["id"]: row for row in rows}
            seconds += took
        died = Reject("engine_died")
        for each in search.lethal:
            came[each] = stage.row(each, died)
        return [came[each] for each in by_id], seconds

    async def _asked(
        self, stage: RoleStage, asked: list[Row], tally: Tally, rank: int
    ) -> tuple[list[Row], float]:
        came = await together([self._outcome(stage.role, row, tally, rank) for row in asked])
        rows = [
            stage.row(row["id"], outcome) for row, (outcome, _) in zip(asked, came, strict=True)
        ]
        return rows, sum(seconds for _, seconds in came)

    async def _outcome(
        self, role: Role, row: Row, tally: Tally, rank: int
    ) -> tuple[Row | Reject, float]:
        """Return what came of a row, and the engine's seconds that it took."""
        async with self._precedence.place(rank):
            with self._meter.running() as share:
                outcome = await converse(role, row, self._engine, tally)
        return outcome, share.seconds
