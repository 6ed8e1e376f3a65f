"""The one model map: every row comes out once, in order, whatever dies in between."""

import asyncio
import pickle
import tempfile
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtrans.conversing import Tally
from backtrans.dialogue import Choose, Generate, Message, Refusal, Reply, Request
from backtrans.engines.engine import EngineSettings
from backtrans.engines.scripted import IMPROBABLE, ScriptedEngine
from backtrans.errors import AccountingError, ConfigError, DialogueBroken, EngineDead, KeyMissing
from backtrans.ledger import Commit, Ledger, stage_key
from backtrans.reasons import REASONS
from backtrans.records import Reject, Row, is_kept
from backtrans.role_stages import RoleStage
from backtrans.roles.backtranslate import Backtranslate
from backtrans.roles.role import Dialogue
from backtrans.runtime.local import LocalRuntime
from backtrans.stages.ask import AskWork, AskWorker
from backtrans.store import Store, StoreSettings
from backtrans.upstream import joined
from backtrans.work import Address, RuntimeSettings
from tests.runtime.asking import (
    ENDS,
    PAIRS,
    SCORES,
    SELECT,
    ask_work,
    role_stages,
    rows_of,
    segments,
    select,
)

SCRIPTED = EngineSettings("scripted", "scripted:default")
DEADLINE_SECONDS = 20.0


@pytest.fixture
def root(tmp_path: Path) -> StoreSettings:
    return StoreSettings(str(tmp_path / "root"))


class Counting:
    """An engine that counts what it is asked, by row, and may do something first."""

    def __init__(self, first: Callable[[Sequence[Request]], Awaitable[None]] | None = None) -> None:
        self._engine = ScriptedEngine(SCRIPTED)
        self._first = first
        self.asked = 0

    async def answer(self, requests: Sequence[Request]) -> list[Reply]:
        if self._first is not None:
            await self._first(requests)
        self.asked += len(requests)
        return await self._engine.answer(requests)

    def close(self) -> None:
        self._engine.close()


def worker(
    root: StoreSettings,
    engine: Any = None,
    stages: tuple[RoleStage, ...] | None = None,
    store: Store | None = None,
) -> AskWorker:
    ledger = Ledger(store or Store(root))
    return AskWorker(stages or role_stages(), "run-1", ledger, engine or Counting())


def do(worker: AskWorker, address: Address) -> tuple[list[Commit], int]:
    return asyncio.run(worker.do(address))


def committed(root: StoreSettings) -> dict[str, int]:
    ledger = Ledger(Store(root))
    return {stage: len(ledger.committed(stage)) for stage in ("backtranslate", "score")}


def expected_pair_outcomes(rows: list[Row]) -> list[tuple[str, str | None]]:
    """Return (id, reason) of the pairs, from the markers in the texts alone."""
    reasons = {row["id"]: [ENDS[m] for m in ENDS if m in row["text"]] for row in rows}
    return [(row["id"], (reasons[row["id"]] or [None])[0]) for row in rows if is_kept(row)]


def outcomes(rows: list[Row]) -> list[tuple[str, str | None]]:
    return [(row["id"], row["reject_reason"]) for row in rows]


# ------------------------------------------------------------------ rows


def test_every_selected_row_comes_out_once_in_order_with_its_fields_or_its_reason(
    root: StoreSettings,
) -> None:
    shards = [segments(n, 40) for n in range(3)]
    addresses = select(root, shards)
    settings = RuntimeSettings("run-1", root, in_flight=2)
    receipts = list(LocalRuntime().map(ask_work(root), addresses, settings))
    assert sorted((r.address.key, r.outcome, r.made) for r in receipts) == [
        (address.key, "done", 2) for address in addresses
    ]
    for address, rows in zip(addresses, shards, strict=True):
        pairs, scores = rows_of(root, PAIRS, address.shard), rows_of(root, SCORES, address.shard)
        assert outcomes(pairs) == expected_pair_outcomes(rows)
        texts = {row["id"]: row["text"] for row in rows}
        kept = [row["id"] for row in pairs if is_kept(row)]
        assert [row["id"] for row in scores] == kept
        for score in scores:
            improbable = IMPROBABLE in texts[score["id"]]
            assert score["reject_reason"] == ("digit_improbable" if improbable else None)
            assert improbable or 1.0 <= score["score"] <= 5.0
        assert {(r["role_version"], r["model"]) for r in pairs} == {("backtranslate/1", "M_yx")}
        assert {(r["role_version"], r["model"]) for r in scores} == {("score/2", "M_0")}
        assert all(r["instruction"] for r in pairs if is_kept(r))
        seen = {row["reject_reason"] for row in pairs}
        assert seen == {None, *ENDS.values()}
        assert seen - {None} <= REASONS.keys()


def test_commits_count_rows_and_what_the_replies_cost(root: StoreSettings) -> None:
    rows = segments(0, 30)
    (address,) = select(root, [rows])
    engine = Counting()
    commits, made = do(worker(root, engine), address)
    assert [commit.stage for commit in commits] == ["backtranslate", "score"]
    assert made == 2
    pairs, scores = commits
    reasons = Counter(reason for _, reason in expected_pair_outcomes(rows))
    kept = reasons.pop(None)
    assert pairs.counts.rows_in == len([row for row in rows if is_kept(row)])
    assert (pairs.counts.kept, pairs.counts.rejects) == (kept, dict(reasons))
    assert scores.counts.rows_in == kept
    assert pairs.usage.requests + scores.usage.requests == engine.asked
    assert pairs.usage.requests == pairs.counts.rows_in
    assert scores.usage.requests == 3 * kept  # the digit, log p(y|x) and log p(y)
    assert min(pairs.usage.prompt_tokens, pairs.usage.output_tokens, pairs.usage.seconds) > 0
    assert (pairs.object, pairs.first_row, pairs.shard) == ("corpus.jsonl", 0, "shard-0")
    assert len({pairs.attempt, scores.attempt, ""}) == 3


@pytest.mark.parametrize("rows", [[], segments(0, 9)[-1:]], ids=["no rows", "only a reject"])
def test_a_shard_of_which_nothing_was_kept_commits_empty_parts_and_asks_nothing(
    root: StoreSettings, rows: list[Row]
) -> None:
    (address,) = select(root, [rows])
    engine = Counting()
    commits, made = do(worker(root, engine), address)
    assert (made, engine.asked) == (2, 0)
    assert [c.counts.rows_in for c in commits] == [0, 0]
    assert rows_of(root, PAIRS, address.shard) == rows_of(root, SCORES, address.shard) == []


@dataclass(frozen=True)
class Fated:
    """A role that knows its outcomes beforehand, after some turns with the engine."""

    fates: dict[str, tuple[int, str | None]]
    version: str = "fated/1"

    def converse(self, row: Row) -> Dialogue:
        turns, reason = self.fates[row["id"]]
        for _ in range(turns):
            yield (Request((Message("user", row["id"]),), Choose(("1", "2"))),)
        return Reject(reason, row["id"]) if reason else {"instruction": f"about {row['id']}"}


class OutOfOrder:
    """An engine that answers late requests first."""

    def __init__(self) -> None:
        self._left = 50

    async def answer(self, requests: Sequence[Request]) -> list[Reply]:
        self._left -= 1
        for _ in range(max(0, self._left)):
            await asyncio.sleep(0)
        return [Reply()] * len(requests)

    def close(self) -> None: ...


fates = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from([None, None, "refused", "instruction_empty"])),
    max_size=20,
)


@settings(max_examples=30, deadline=None)
@given(fates)
def test_whatever_becomes_of_rows_and_whenever_none_is_lost_doubled_or_moved(
    fates: list[tuple[int, str | None]],
) -> None:
    rows = [row for row in segments(0, 40) if is_kept(row)][: len(fates)]
    role = Fated({row["id"]: fate for row, fate in zip(rows, fates, strict=True)})
    with tempfile.TemporaryDirectory() as folder:
        root = StoreSettings(folder)
        (address,) = select(root, [rows])
        (commit,), _ = do(worker(root, OutOfOrder(), role_stages(role)[:1]), address)
        made = rows_of(root, PAIRS, address.shard)
    assert outcomes(made) == [
        (row["id"], reason) for row, (_, reason) in zip(rows, fates, strict=True)
    ]
    assert commit.counts.rows_in == commit.counts.kept + commit.counts.rejected == len(rows)
    assert commit.usage.requests == sum(turns for turns, _ in fates)
    for row in made:
        assert row["instruction"] == (f"about {row['id']}" if is_kept(row) else None)
        assert row["reject_detail"] == (None if is_kept(row) else row["id"])


# ------------------------------------------------------------------ resuming


class Cut(Exception):
    """The process ended here."""


class Cutting(Store):
    """A store at whose k-th operation the process ends, before it or just after it."""

    def __init__(self, settings: StoreSettings, operation: int, after: bool) -> None:
        super().__init__(settings)
        self.operations = 0
        self._at = operation
        self._after = after

    def _cut(self, call: Callable[..., Any], *arguments: Any) -> Any:
        self.operations += 1
        if self.operations == self._at and not self._after:
            raise Cut
        number = self.operations
        try:
            return call(*arguments)
        finally:
            if number == self._at:
                raise Cut

    def get(self, key: str) -> bytes:
        return self._cut(super().get, key)  # type: ignore[no-any-return]

    def put(self, key: str, data: bytes) -> None:
        self._cut(super().put, key, data)

    def put_new(self, key: str, data: bytes) -> bool:
        return self._cut(super().put_new, key, data)  # type: ignore[no-any-return]

    def exists(self, key: str) -> bool:
        return self._cut(super().exists, key)  # type: ignore[no-any-return]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_cut_at_any_store_operation_a_rerun_ends_in_the_same_rows_and_asks_nothing_twice(
    tmp_path: Path, after: bool
) -> None:
    rows = segments(0, 12)

    def fresh(name: str) -> tuple[StoreSettings, Address]:
        root = StoreSettings(str(tmp_path / name))
        return root, select(root, [rows])[0]

    root, address = fresh("whole")
    counted = Cutting(root, 0, after)
    (pairs, scores), _ = do(worker(root, store=counted), address)
    asked = {"backtranslate": pairs.usage.requests, "score": scores.usage.requests}
    whole = [rows_of(root, stage, address.shard) for stage in (PAIRS, SCORES)]
    assert counted.operations > 6

    for operation in range(1, counted.operations + 1):
        root, address = fresh(f"cut-{operation}")
        with pytest.raises(Cut):
            do(worker(root, store=Cutting(root, operation, after)), address)
        before = committed(root)
        engine = Counting()
        commits, made = do(worker(root, engine), address)
        assert made == 2 - sum(before.values())
        assert engine.asked == sum(asked[stage] for stage, there in before.items() if not there)
        assert [rows_of(root, stage, address.shard) for stage in (PAIRS, SCORES)] == whole
        assert committed(root) == {"backtranslate": 1, "score": 1}
        assert do(worker(root, engine), address) == (commits, 0)


def test_a_new_judge_asks_for_scores_only(root: StoreSettings) -> None:
    (address,) = select(root, [segments(0, 12)])
    first, _ = do(worker(root), address)
    backward, forward = role_stages()
    engine = Counting()
    stages = (backward, replace(forward, key_fingerprint="score-2"))
    commits, made = do(worker(root, engine, stages), address)
    assert (made, commits[0]) == (1, first[0])
    assert commits[1].key != first[1].key
    assert engine.asked == commits[1].usage.requests


# ------------------------------------------------------------------ races and overlap


@dataclass(frozen=True)
class Witness:
    """A judge that writes down which instruction it was shown."""

    version: str = "witness/1"

    def converse(self, row: Row) -> Dialogue:
        yield (Request((Message("user", row["instruction"]),), Choose(("1", "2"))),)
        return {"reasoning": row["instruction"], "form": row["text"]}


@dataclass(frozen=True)
class Signed:
    """A backward role whose instructions say who wrote them."""

    who: str
    version: str = "signed/1"

    def converse(self, row: Row) -> Dialogue:
        yield (Request((Message("user", row["text"]),), Generate(8)),)
        return {"instruction": f"{self.who} asks about {row['id']}"}


def test_who_loses_a_commit_goes_on_with_the_winners_rows(root: StoreSettings) -> None:
    rows = [row for row in segments(0, 8) if is_kept(row)]
    (address,) = select(root, [rows])
    winner = worker(root, stages=role_stages(Signed("winner"))[:1])
    won: list[tuple[list[Commit], int]] = []

    async def overtaken(_: Sequence[Request]) -> None:
        if not won:
            won.append(([], 0))
            won[0] = await winner.do(address)

    loser = worker(root, Counting(overtaken), role_stages(Signed("loser"), Witness()))
    commits, made = do(loser, address)
    assert won[0][1] == 1
    assert made == 1  # the scores
    assert commits[0] == won[0][0][0]
    instructions = [f"winner asks about {row['id']}" for row in rows]
    assert [row["instruction"] for row in rows_of(root, PAIRS, address.shard)] == instructions
    scores = rows_of(root, SCORES, address.shard)
    assert [row["reasoning"] for row in scores] == instructions
    assert [row["form"] for row in scores] == [row["text"] for row in rows]


def test_workers_that_race_on_a_shard_make_one_commit_a_stage(root: StoreSettings) -> None:
    (address,) = select(root, [segments(0, 30)])

    async def race() -> list[tuple[list[Commit], int]]:
        return await asyncio.gather(*(worker(root).do(address) for _ in range(4)))

    results = asyncio.run(race())
    assert sum(made for _, made in results) == 2
    assert all(commits == results[0][0] for commits, _ in results)
    assert committed(root) == {"backtranslate": 1, "score": 1}


@dataclass
class Held:
    """Role stages over an engine of a test's own, as a runtime takes them."""

    worker: AskWorker
    name: str = "held"
    uses_engine: bool = True
    gpus_each: float = 0.0

    def open(self) -> AskWorker:
        return self.worker


def test_shards_in_flight_share_the_engine_at_the_same_time(root: StoreSettings) -> None:
    addresses = select(root, [segments(n, 4) for n in range(2)])
    volumes: set[str] = set()
    both = asyncio.Event()

    async def until_both_have_come(requests: Sequence[Request]) -> None:
        content = requests[0].messages[0].content
        volumes.update(v for v in ("volume 0", "volume 1") if v in content)
        if len(volumes) == 2:
            both.set()
        await asyncio.wait_for(both.wait(), DEADLINE_SECONDS)

    held = Held(worker(root, Counting(until_both_have_come)))
    settings = RuntimeSettings("run-1", root, in_flight=2, max_attempts=1)
    receipts = list(LocalRuntime().map(held, addresses, settings))
    assert [receipt.outcome for receipt in receipts] == ["done", "done"]


def test_a_store_that_hangs_does_not_keep_the_engine_from_other_shards(root: StoreSettings) -> None:
    addresses = select(root, [segments(n, 4) for n in range(2)])
    second_asked = threading.Event()
    waited: list[bool] = []

    class Hanging(Store):
        def put_new(self, key: str, data: bytes) -> bool:
            if not waited and key.startswith("commits/backtranslate/"):
                waited.append(False)
                waited[0] = second_asked.wait(DEADLINE_SECONDS)
            return super().put_new(key, data)

    async def second(requests: Sequence[Request]) -> None:
        # The second shard is asked about only once the first one's commit is being put.
        if "volume 1" in requests[0].messages[0].content:
            while not waited:
                await asyncio.sleep(0.001)
            second_asked.set()

    async def both() -> None:
        shared = worker(root, Counting(second), store=Hanging(root))
        shards = asyncio.gather(*(shared.do(address) for address in addresses))
        await asyncio.wait_for(shards, 2 * DEADLINE_SECONDS)

    asyncio.run(both())
    assert waited == [True]


# ------------------------------------------------------------------ what is no row's fault


class Short:
    """An engine that loses a reply."""

    async def answer(self, requests: Sequence[Request]) -> list[Reply]:
        return [Reply("What is it?", "stop")] * (len(requests) - 1)

    def close(self) -> None: ...


@dataclass(frozen=True)
class Mute:
    version: str = "mute/1"

    def converse(self, row: Row) -> Dialogue:
        yield (Request((Message("user", row["text"]),), Generate(8)),)
        return None  # type: ignore[return-value]


@dataclass(frozen=True)
class Inventive(Mute):
    def converse(self, row: Row) -> Dialogue:
        yield ()
        return {"instruction": "What is it?", "mood": "fine"}


@dataclass(frozen=True)
class Broken(Mute):
    def converse(self, row: Row) -> Dialogue:
        yield (Request((Message("user", row["text"]),), Generate(8)),)
        raise LookupError(f"a fault of the role's at {row['id']}")


@pytest.mark.parametrize(
    ("role", "engine", "error", "said"),
    [
        (Backtranslate(Generate(8)), Short, DialogueBroken, "1 requests were answered by 0"),
        (Mute(), Counting, DialogueBroken, "row '0-0': the role ended with NoneType"),
        (Inventive(), Counting, DialogueBroken, r"no part has: \['mood'\]"),
        (Broken(), Counting, LookupError, "a fault of the role's at 0-0"),
    ],
)
def test_who_breaks_the_terms_fails_the_shard_and_no_row_is_made_up(
    root: StoreSettings, role: Any, engine: Any, error: type[Exception], said: str
) -> None:
    (address,) = select(root, [segments(0, 5)])
    with pytest.raises(error, match=said):
        do(worker(root, engine(), role_stages(role)), address)
    assert committed(root) == {"backtranslate": 0, "score": 0}


def test_the_death_of_the_engine_ends_the_shards_other_rows(root: StoreSettings) -> None:
    (address,) = select(root, [segments(0, 30)])

    async def dies_at_the_seventh_and_answers_nobody(requests: Sequence[Request]) -> None:
        if "Chapter 7 " in requests[0].messages[0].content:
            raise EngineDead("the engine fell over")
        await asyncio.Event().wait()

    async def scene() -> int:
        work = worker(root, Counting(dies_at_the_seventh_and_answers_nobody))
        with pytest.raises(EngineDead):
            await asyncio.wait_for(work.do(address), DEADLINE_SECONDS)
        return len(asyncio.all_tasks()) - 1

    assert asyncio.run(scene()) == 0, "dialogues outlive their shard"
    assert committed(root) == {"backtranslate": 0, "score": 0}


def test_what_lies_upstream_must_be_committed(root: StoreSettings) -> None:
    (address,) = select(root, [segments(0, 5)])
    with pytest.raises(KeyMissing, match=r"select/.*corpus\.jsonl from row 0"):
        do(worker(root), replace(address, shard="another"))


def test_a_row_without_its_counterpart_or_twice_there_is_no_way_to_account_for() -> None:
    address = Address("k", "s", "corpus.jsonl")
    a, b = {"id": "a", "instruction": "i"}, {"id": "b", "instruction": "j"}
    segment = {"id": "a", "text": "t"}
    assert joined([a], [[segment]], address) == [{"id": "a", "instruction": "i", "text": "t"}]
    with pytest.raises(AccountingError, match="row 'b' is missing upstream"):
        joined([a, b], [[segment]], address)
    with pytest.raises(AccountingError, match="twice"):
        joined([a, a], [[segment]], address)


# ------------------------------------------------------------------ the work itself


def test_a_work_travels_and_holds_no_secret(
    root: StoreSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-4711")
    work = ask_work(root)
    travelled = pickle.dumps(work)
    assert b"canary-4711" not in travelled
    assert pickle.loads(travelled) == work
    assert work.name == "backtranslate+score"


def test_a_prompt_that_was_refused_is_counted_as_asked_and_costs_no_tokens() -> None:
    tally = Tally()
    tally.add(
        [
            Reply(text="Why?", prompt_tokens=7, output_tokens=2),
            Reply(refusal=Refusal("prompt_too_long", "9 + 1 tokens > 8"), prompt_tokens=9),
        ]
    )
    usage = tally.usage(1.0)
    assert (usage.requests, usage.prompt_tokens, usage.output_tokens) == (2, 7, 2)


def test_a_stage_that_no_part_has_or_that_reads_nothing_is_refused() -> None:
    role = Mute()
    with pytest.raises(ConfigError, match="'retell' is no role stage"):
        RoleStage("retell", role, "f", (SELECT,), "m")
    with pytest.raises(ConfigError, match="nothing upstream"):
        RoleStage("score", role, "f", (), "m")


def test_keys_differ_by_stage_recipe_and_content() -> None:
    keys = [stage_key(s, f, c) for s in ("a", "b") for f in ("f", "g") for c in ("x", "y")]
    assert len(set(keys)) == 8
    assert stage_key("a", "f", "x") == keys[0]


def test_an_unknown_engine_stops_the_run(root: StoreSettings) -> None:
    work = AskWork(root, EngineSettings("abacus", "none"), role_stages(), "run-1")
    addresses = select(root, [segments(0, 3)])
    receipts: Iterator[object] = LocalRuntime().map(work, addresses, RuntimeSettings("run-1", root))
    with pytest.raises(ConfigError, match="abacus"):
        list(receipts)
