"""The ledger over both stores: accounts, races, late attempts, crashes, and what they leave."""

import math
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import orjson
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtrans.errors import AccountingError, KeyMissing, StoreError
from backtrans.ledger import Commit, Index, Ledger, Usage, fingerprint
from backtrans.records import Counts, Reject, Row, rejected, table
from backtrans.store import ObjectInfo, Store, StoreSettings

SCHEMA = pa.schema(
    [("id", pa.string()), ("reject_reason", pa.string()), ("reject_detail", pa.string())]
)
DAY_SECONDS = 86_400.0


@pytest.fixture
def ledger(store: Store) -> Ledger:
    return Ledger(store)


def part_of(kept: int = 3, too_short: int = 1, by: str = "") -> pa.Table:
    rows: list[Row] = [{"id": f"{by}kept{n}"} for n in range(kept)]
    rows += [rejected({"id": f"{by}short{n}"}, Reject("too_short")) for n in range(too_short)]
    return table(rows, SCHEMA)


def record(
    part: pa.Table, attempt: str = "first", key: str = "k1", stage: str = "select"
) -> Commit:
    return Commit(
        stage=stage,
        key=key,
        shard="shard",
        object="s3://corpus/a.jsonl",
        first_row=1_000,
        part=Ledger.part_key(stage, key, attempt),
        counts=Counts.of(part.num_rows, part),
        usage=Usage(4, 400, 100, 40, 1.5),
        run="r1",
        attempt=attempt,
        committed_at="2026-01-01T00:00:00+00:00",
    )


def keys(ledger: Ledger, prefix: str = "") -> list[str]:
    return [info.key for info in ledger.store.list(prefix)]


def much_later(ledger: Ledger) -> float:
    """Return a time at which everything in the store is old."""
    newest = max((info.modified for info in ledger.store.list()), default=0.0)
    return newest + 10 * DAY_SECONDS


# ---------------------------------------------------------------- committing and reading


def test_a_committed_part_is_read_back_with_its_record(ledger: Ledger) -> None:
    part = part_of()
    made = record(part)
    assert ledger.commit(made, part)
    assert ledger.committed("select") == {"k1"}
    assert ledger.commit_of("select", "k1") == made
    assert ledger.read_part(made).equals(part)
    assert ledger.read_part(made, ["id"]).column_names == ["id"]


def test_what_is_not_committed_is_none(ledger: Ledger) -> None:
    assert ledger.commit_of("select", "k1") is None
    assert ledger.committed("select") == set()
    assert list(ledger.commits("select")) == []
    assert ledger.index_of("k1") is None


def test_stages_whose_names_begin_alike_are_kept_apart(ledger: Ledger) -> None:
    part = part_of()
    for stage in ("score", "score2", "score+curate"):
        ledger.commit(record(part, stage=stage), part)
    assert ledger.committed("score") == {"k1"}
    assert [c.stage for c in ledger.commits("score")] == ["score"]


def test_commits_come_sorted_by_key_even_where_keys_begin_alike(ledger: Ledger) -> None:
    part = part_of()
    for key in ("b", "a-1", "a", "a.x"):
        ledger.commit(record(part, key=key), part)
    assert [commit.key for commit in ledger.commits("select")] == ["a", "a-1", "a.x", "b"]


def test_a_committed_key_costs_a_look_and_leaves_no_second_part(ledger: Ledger) -> None:
    part = part_of()
    assert ledger.commit(record(part), part)
    assert not ledger.commit(record(part, "second"), part)
    assert keys(ledger, "parts/") == ["parts/select/k1-first.parquet"]


def test_the_same_record_gives_the_same_bytes(local_settings: StoreSettings) -> None:
    part = part_of()
    texts = []
    for rejects in ({"too_short": 1, "too_long": 1}, {"too_long": 1, "too_short": 1}):
        rows = table([rejected({"id": r}, Reject(r)) for r in rejects], SCHEMA)
        ledger = Ledger(Store(replace(local_settings, root=f"{local_settings.root}{len(texts)}")))
        ledger.commit(replace(record(part), counts=Counts(2, 0, rejects)), rows)
        texts.append(ledger.store.get("commits/select/k1.json"))
    assert texts[0] == texts[1]
    fields = list(orjson.loads(texts[0]))
    assert fields == sorted(fields)


def test_an_attempt_cannot_write_over_a_part(ledger: Ledger) -> None:
    part = part_of()
    ledger.store.put(record(part).part, b"another's")
    with pytest.raises(StoreError, match=r"k1-first\.parquet: another attempt"):
        ledger.commit(record(part), part)
    assert ledger.store.get(record(part).part) == b"another's"
    assert ledger.committed("select") == set()


def test_a_part_under_another_name_than_its_own_is_refused(ledger: Ledger) -> None:
    part = part_of()
    with pytest.raises(StoreError, match="elsewhere"):
        ledger.commit(replace(record(part), part="parts/elsewhere"), part)
    assert keys(ledger) == []


# ---------------------------------------------------------------- accounts (law 1)


class RefusingStore(Store):
    """A store that fails every operation."""

    def __init__(self) -> None:
        super().__init__(StoreSettings("/dev/null/root"))


ROWS = st.integers(0, 4)
OFF = st.sampled_from([0, 0, 0, -1, 1])


@settings(deadline=None)
@given(ROWS, ROWS, OFF, OFF, OFF)
def test_rows_that_do_not_add_up_are_refused(
    kept: int, short: int, off_in: int, off_kept: int, off_short: int
) -> None:
    part = part_of(kept, short)
    counts = Counts(kept + short + off_in, kept + off_kept, {"too_short": short + off_short})
    said = replace(record(part), counts=counts)
    # Only what is in order gets as far as the store, which here cannot take anything.
    wrong = off_in or off_kept or off_short
    with pytest.raises(AccountingError if wrong else StoreError, match="select/k1"):
        Ledger(RefusingStore()).commit(said, part)


@pytest.mark.parametrize(
    "counts",
    [
        Counts(5, 3, {"too_short": 1}),  # a row lost on the way
        Counts(3, 3, {}),  # rejects not said
        Counts(4, 3, {"too_long": 1}),  # another reason than the part's
        Counts(4, 4, {}),
        Counts(4, 5, {"too_short": -1}),
    ],
)
def test_wrong_counts_leave_nothing_in_the_store(ledger: Ledger, counts: Counts) -> None:
    part = part_of(kept=3, too_short=1)
    with pytest.raises(AccountingError, match="select/k1"):
        ledger.commit(replace(record(part), counts=counts), part)
    assert keys(ledger) == []


def test_a_reason_that_nobody_was_refused_for_may_stand_with_zero(ledger: Ledger) -> None:
    part = part_of(kept=2, too_short=0)
    counted = replace(record(part), counts=Counts(2, 2, {"too_long": 0}))
    assert ledger.commit(counted, part)
    assert ledger.commit_of("select", "k1") == counted


def test_an_empty_shard_is_committed_like_any_other(ledger: Ledger) -> None:
    part = part_of(0, 0)
    assert ledger.commit(record(part), part)
    assert ledger.read_part(record(part)).num_rows == 0


def test_a_part_without_outcomes_is_refused(ledger: Ledger) -> None:
    with pytest.raises(AccountingError, match="reject_reason"):
        ledger.commit(record(part_of()), part_of().select(["id"]))


def test_a_usage_that_is_no_number_is_refused(ledger: Ledger) -> None:
    part = part_of()
    for usage in (Usage(seconds=math.nan), Usage(output_tokens=-1)):
        with pytest.raises(AccountingError, match="usage"):
            ledger.commit(replace(record(part), usage=usage), part)


# ---------------------------------------------------------------- foreign and broken objects


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00\xff",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"stage": "select"}',
    ],
)
def test_what_is_no_commit_record_is_named(ledger: Ledger, data: bytes) -> None:
    ledger.store.put("commits/select/k1.json", data)
    with pytest.raises(StoreError, match=r"commits/select/k1\.json"):
        ledger.commit_of("select", "k1")
    with pytest.raises(StoreError, match=r"commits/select/k1\.json"):
        list(ledger.commits("select"))


@pytest.mark.parametrize(
    ("field", "value"),
    [("first_row", "1"), ("counts", {"rows_in": 4, "kept": 4}), ("part", None), ("key", "k2")],
)
def test_a_commit_record_with_a_wrong_field_is_named(
    ledger: Ledger, field: str, value: object
) -> None:
    part = part_of()
    ledger.commit(record(part), part)
    where = "commits/select/k1.json"
    ledger.store.put(where, orjson.dumps(orjson.loads(ledger.store.get(where)) | {field: value}))
    with pytest.raises(StoreError, match=r"commits/select/k1\.json: .*"):
        ledger.commit_of("select", "k1")


@pytest.mark.parametrize("name", ["notes.txt", "k1.json.bak", "deep/k1.json", ".hidden.json"])
def test_a_foreign_file_among_the_commits_is_named(ledger: Ledger, name: str) -> None:
    ledger.store.put(f"commits/select/{name}", b"{}")
    with pytest.raises(StoreError, match=name):
        ledger.committed("select")


def test_a_part_that_is_gone_broken_or_short_is_named(ledger: Ledger) -> None:
    part = part_of()
    made = record(part)
    ledger.commit(made, part)
    whole = ledger.store.get(made.part)
    for data in (b"", b"PAR1", whole[:-9], whole[:4] + b"\x55" * 40 + whole[44:]):
        ledger.store.put(made.part, data)
        with pytest.raises(StoreError, match=r"k1-first\.parquet"):
            ledger.read_part(made)
    ledger.store.put(made.part, whole)
    with pytest.raises(StoreError, match=r"k1-first\.parquet: 4 rows, and its commit says 5"):
        ledger.read_part(replace(made, counts=Counts(5, 5, {})))
    with pytest.raises(StoreError, match=r"k1-first\.parquet: has no columns \['text'\]"):
        ledger.read_part(made, ["id", "text"])
    ledger.store.delete(made.part)
    with pytest.raises(KeyMissing, match=r"k1-first\.parquet"):
        ledger.read_part(made)


@pytest.mark.parametrize("name", ["", "a/b", "..", ".a", "a b", "a" * 101, "é", "a\n"])
def test_what_is_no_name_is_refused(local_settings: StoreSettings, name: str) -> None:
    ledger = Ledger(Store(local_settings))
    calls: list[Callable[[], object]] = [
        lambda: ledger.committed(name),
        lambda: ledger.commit_of("select", name),
        lambda: Ledger.part_key("select", "k1", name),
        lambda: ledger.put_index(Index(name, "o", "f", 0, ())),
    ]
    for call in calls:
        with pytest.raises(StoreError, match="is no name"):
            call()


# ---------------------------------------------------------------- races, late attempts, crashes


def test_a_late_attempt_leaves_an_orphan_that_nothing_reads(ledger: Ledger) -> None:
    early, late = part_of(by="early"), part_of(kept=2, too_short=2, by="late")
    looked, finished = threading.Event(), threading.Event()

    class SlowStore(Store):
        """Stops the late attempt between its look and its part."""

        def put_new(self, key: str, data: bytes) -> bool:
            if key.startswith("parts/"):
                looked.set()
                assert finished.wait(60)
            return super().put_new(key, data)

    with ThreadPoolExecutor(1) as pool:
        zombie = pool.submit(
            Ledger(SlowStore(ledger.store.settings)).commit, record(late, "late"), late
        )
        assert looked.wait(60)
        assert ledger.commit(record(early, "early"), early)
        finished.set()
        assert not zombie.result(60)
    (committed,) = ledger.commits("select")
    assert committed.attempt == "early"
    assert ledger.read_part(committed).equals(early)
    orphan = Ledger.part_key("select", "k1", "late")
    now = much_later(ledger)
    assert ledger.orphans(DAY_SECONDS, now) == [orphan]
    ledger.sweep([orphan])
    assert ledger.orphans(DAY_SECONDS, now) == []
    assert ledger.read_part(committed).equals(early)


def test_many_attempts_at_once_make_one_commit_whose_part_is_the_winners(ledger: Ledger) -> None:
    attempts = 6
    gate = threading.Barrier(attempts)

    def attempt(me: int) -> bool:
        part = part_of(kept=me, too_short=1, by=str(me))
        gate.wait(60)
        return ledger.commit(record(part, f"attempt{me}"), part)

    with ThreadPoolExecutor(attempts) as pool:
        won = list(pool.map(attempt, range(attempts)))
    assert sum(won) == 1
    winner = won.index(True)
    (committed,) = ledger.commits("select")
    assert committed.attempt == f"attempt{winner}"
    assert ledger.read_part(committed).equals(part_of(winner, 1, str(winner)))
    ledger.sweep(ledger.orphans(DAY_SECONDS, much_later(ledger)))
    assert keys(ledger, "parts/") == [committed.part]


class Crash(Exception):
    """The process is gone."""


class CrashingStore(Store):
    """Crashes at the nth operation: before it, or after it has been done."""

    def __init__(self, settings: StoreSettings, nth: int, *, done: bool) -> None:
        super().__init__(settings)
        self.left, self.done = nth, done

    def crash_at(self, operation: Callable[[], object]) -> object:
        self.left -= 1
        if self.left == 0:
            if self.done:
                operation()
            raise Crash
        return operation()

    def put_new(self, key: str, data: bytes) -> bool:
        return bool(self.crash_at(lambda: Store.put_new(self, key, data)))

    def put(self, key: str, data: bytes) -> None:
        self.crash_at(lambda: Store.put(self, key, data))

    def exists(self, key: str) -> bool:
        return bool(self.crash_at(lambda: Store.exists(self, key)))


def test_after_a_crash_at_any_operation_a_second_attempt_completes(ledger: Ledger) -> None:
    first, second = part_of(by="first"), part_of(kept=1, too_short=3, by="second")
    crashes = 0
    for done in (False, True):
        for nth in range(1, 100):
            key = f"k{nth}{done}"
            crashing = CrashingStore(ledger.store.settings, nth, done=done)
            try:
                assert Ledger(crashing).commit(record(first, "first", key), first)
                assert crashing.left > 0
                break
            except Crash:
                crashes += 1
            ledger.commit(record(second, "second", key), second)
            made = ledger.commit_of("select", key)
            assert made is not None
            expected = first if made.attempt == "first" else second
            assert ledger.read_part(made).equals(expected)
            # Only the very last operation, once done, makes the first attempt's commit count.
            assert (made.attempt == "first") == (done and nth == 3)
        assert nth == 4
    assert crashes == 6
    committed = list(ledger.commits("select"))
    ledger.sweep(ledger.orphans(DAY_SECONDS, much_later(ledger)))
    assert keys(ledger, "parts/") == sorted(commit.part for commit in committed)
    assert all(ledger.read_part(commit).num_rows == 4 for commit in committed)


def test_a_crash_while_sweeping_loses_only_orphans(ledger: Ledger) -> None:
    part = part_of()
    ledger.commit(record(part), part)
    orphans = [Ledger.part_key("select", "k1", f"late{n}") for n in range(3)]
    for orphan in orphans:
        ledger.store.put(orphan, b"x")

    class Dying(Store):
        def delete(self, key: str) -> None:
            if key == orphans[1]:
                raise Crash
            super().delete(key)

    with pytest.raises(Crash):
        Ledger(Dying(ledger.store.settings)).sweep(orphans)
    assert ledger.orphans(DAY_SECONDS, much_later(ledger)) == orphans[1:]
    assert ledger.read_part(record(part)).equals(part)


# ---------------------------------------------------------------- orphans


def test_a_young_part_is_no_orphan_yet(ledger: Ledger) -> None:
    orphan = Ledger.part_key("select", "k1", "late")
    ledger.store.put(orphan, b"x")
    (info,) = ledger.store.list("parts/")
    assert ledger.orphans(DAY_SECONDS, info.modified + DAY_SECONDS - 1) == []
    assert ledger.orphans(DAY_SECONDS, info.modified + DAY_SECONDS + 1) == [orphan]


def test_a_part_committed_while_orphans_are_looked_for_is_none(ledger: Ledger) -> None:
    part = part_of()

    class CommittedMeanwhile(Store):
        def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
            yield from super().list(prefix)
            if prefix == "parts/":
                ledger.store.put("commits/select/k1.json", text)

    ledger.commit(record(part), part)
    text = ledger.store.get("commits/select/k1.json")
    ledger.store.delete("commits/select/k1.json")
    now = much_later(ledger)
    assert ledger.orphans(DAY_SECONDS, now) == [record(part).part]
    assert Ledger(CommittedMeanwhile(ledger.store.settings)).orphans(DAY_SECONDS, now) == []


def test_a_part_committed_since_it_was_listed_survives_the_sweep(ledger: Ledger) -> None:
    part = part_of()
    ledger.commit(record(part), part)
    ledger.sweep([record(part).part])
    assert ledger.read_part(record(part)).equals(part)


def test_a_broken_commit_stops_the_search_for_orphans(ledger: Ledger) -> None:
    part = part_of()
    ledger.commit(record(part), part)
    ledger.store.put("commits/select/k1.json", b"broken")
    with pytest.raises(StoreError, match=r"k1\.json"):
        ledger.orphans(DAY_SECONDS, much_later(ledger))


def test_a_sweep_touches_nothing_but_orphans(ledger: Ledger) -> None:
    part = part_of()
    ledger.commit(record(part), part)
    before = keys(ledger)
    for key in ("commits/select/k1.json", "runs/r1.json"):
        with pytest.raises(StoreError, match=key):
            ledger.sweep([Ledger.part_key("select", "k1", "late"), key])
    assert keys(ledger) == before


def test_leftovers_of_dead_writers_are_swept_when_they_are_old(
    local_settings: StoreSettings,
) -> None:
    ledger = Ledger(Store(local_settings))
    part = part_of()
    ledger.commit(record(part), part)
    places = ("parts/select/", "commits/select/", "")
    for place in places:
        with open(f"{local_settings.root}/{place}.tmp-dead", "wb") as file:  # noqa: PTH123
            file.write(b"half")
    now = much_later(ledger)
    assert ledger.committed("select") == {"k1"}
    assert ledger.orphans(100 * DAY_SECONDS, now) == []
    left = ledger.orphans(DAY_SECONDS, now)
    assert left == sorted(f"{place}.tmp-dead" for place in places)
    ledger.sweep(left)
    assert ledger.orphans(DAY_SECONDS, now) == []
    assert ledger.read_part(record(part)).equals(part)


# ---------------------------------------------------------------- indexes


def test_the_first_index_of_an_object_wins(ledger: Ledger) -> None:
    index = Index("i1", "s3://corpus/a.jsonl", "f1", 10, ("s1", "s2"))
    assert ledger.put_index(index)
    assert not ledger.put_index(replace(index, rows=11))
    assert ledger.index_of("i1") == index


def test_an_index_under_anothers_name_is_named(ledger: Ledger) -> None:
    ledger.put_index(Index("i1", "o", "f", 1, ("s",)))
    ledger.store.put("indexes/i2.json", ledger.store.get("indexes/i1.json"))
    with pytest.raises(StoreError, match=r"indexes/i2\.json"):
        ledger.index_of("i2")


# ---------------------------------------------------------------- fingerprints

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=3), PLAIN, max_size=5))
def test_a_fingerprint_does_not_know_the_order_of_a_dict(value: dict[str, object]) -> None:
    turned = dict(reversed(value.items()))
    assert fingerprint(value) == fingerprint(turned)
    assert fingerprint(value) != fingerprint(value, None)


def test_a_fingerprint_is_pinned() -> None:
    # Every key in every store rests on these digits.
    parts = ("score", {"b": 0.1, "a": [1, None, True, "é"]}, ("x",))
    assert fingerprint(*parts) == "cd106d4e13926936c89c0069"


def test_what_differs_has_another_fingerprint() -> None:
    different: list[tuple[object, ...]] = [
        (),
        ("",),
        (None,),
        ("ab",),
        ("a", "b"),
        (["a", "b"],),
        (1,),
        (1.0,),
        ("1",),
        (True,),
        ({"1": 1},),
        ({"a": 0.1},),
        ({"a": math.nextafter(0.1, 1)},),
    ]
    assert len({fingerprint(*parts) for parts in different}) == len(different)


def test_a_tuple_and_a_list_are_the_same_text() -> None:
    assert fingerprint(("a", 1)) == fingerprint(["a", 1])


@pytest.mark.parametrize("value", [math.nan, math.inf, {"a": [math.nan]}, {1: 2}, {"a", "b"}, b"x"])
def test_what_has_no_canonical_text_has_no_fingerprint(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        fingerprint(value)


# ---------------------------------------------------------------- replacing


def test_a_replaced_commit_points_at_the_new_part_and_the_old_one_is_an_orphan(
    ledger: Ledger,
) -> None:
    before, after = part_of(kept=1, too_short=3), part_of(kept=4, too_short=0)
    old = record(before)
    ledger.commit(old, before)
    new = ledger.replace(old, rows_in=4, part=after, usage=Usage(requests=3), run="r2")
    assert ledger.commit_of("select", "k1") == new
    assert ledger.read_part(new).equals(after)
    assert (new.counts.kept, new.counts.rejects, new.run) == (4, {}, "r2")
    assert new.usage.requests == old.usage.requests + 3
    assert ledger.replaced("select") == {"k1"}
    assert ledger.orphans(DAY_SECONDS, much_later(ledger)) == [old.part]
    assert ledger.read_part(old).equals(before)  # until it is swept, for who has begun to read it


def test_a_replacement_whose_rows_do_not_add_up_leaves_everything_as_it_was(
    ledger: Ledger,
) -> None:
    before = part_of()
    old = record(before)
    ledger.commit(old, before)
    there = keys(ledger)
    with pytest.raises(AccountingError, match="select/k1"):
        ledger.replace(old, rows_in=9, part=part_of(), usage=Usage(), run="r2")
    assert keys(ledger) == there


def test_a_replacement_that_dies_at_any_operation_leaves_the_old_part_or_the_new_one(
    ledger: Ledger,
) -> None:
    before, after = part_of(kept=1, too_short=3), part_of(kept=4, too_short=0)
    for done in (False, True):
        for nth in (1, 2, 3):
            old = record(before, key=f"k{nth}{done}")
            ledger.commit(old, before)
            dying = Ledger(CrashingStore(ledger.store.settings, nth, done=done))
            with pytest.raises(Crash):
                dying.replace(old, rows_in=4, part=after, usage=Usage(), run="r2")
            found = ledger.commit_of("select", old.key)
            assert found is not None
            new = done and nth == 3
            assert ledger.read_part(found).equals(after if new else before)
            # Whoever finds the new part finds the mark too, which is put first.
            assert old.key in ledger.replaced("select") or not new


def test_a_retracted_commit_is_none_and_may_be_made_again(ledger: Ledger) -> None:
    part = part_of()
    ledger.commit(record(part), part)
    ledger.retract("select", "k1")
    ledger.retract("select", "k1")
    assert ledger.commit_of("select", "k1") is None
    assert ledger.commit(record(part, "second"), part)


def test_epochs_count_up_also_when_many_change_at_once(ledger: Ledger) -> None:
    def change(_: int) -> None:
        with ledger.epochs.changing():
            assert ledger.epochs.last() is None

    assert ledger.epochs.last() == 0
    change(0)
    assert ledger.epochs.last() == 1
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(change, range(8)))
    assert ledger.epochs.last() == 9
    change(0)
    assert ledger.epochs.last() == 10
