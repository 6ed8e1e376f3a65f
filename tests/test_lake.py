"""The lake table: equal to its snapshot after every refresh, whoever dies or comes in between."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
import pytest

from backtrans.errors import ConfigError, StoreError
from backtrans.lake.files import Cut
from backtrans.lake.refresh import Refreshed, held_number, lake_table, refresh
from backtrans.lake.table import LakeTable
from backtrans.ledger import Ledger
from backtrans.pipeline import Pipeline
from backtrans.store import Store, StoreSettings
from tests.jobs import Silent, config, document, published, write_corpus, write_jsonl
from tests.lakes import SECRET, opened, row, rows_of, snapshot

pytestmark = pytest.mark.slow

SMALL = Cut(every_rows=4, least_bytes=0, most_bytes=10_000)


@pytest.fixture
def ledger(store: Store) -> Ledger:
    return Ledger(store)


@pytest.fixture
def lake(store: Store) -> StoreSettings:
    """Where the table is to lie: beside the root, in the same folder or bucket."""
    return replace(store.settings, root=store.settings.root.removesuffix("root") + "the lake")


def log_of(lake: StoreSettings) -> dict[str, bytes]:
    place = Store(lake)
    return {info.key: place.get(info.key) for info in place.list("_delta_log/")}


def test_after_every_refresh_the_table_is_the_snapshot_and_nothing_else(
    ledger: Ledger, lake: StoreSettings
) -> None:
    contents = {
        1: [row(k) for k in range(20)],
        2: [row(k) for k in range(30)],  # more
        3: [row(k) for k in range(30) if k % 5],  # some gone
        4: [row(k, word="new" if k == 7 else "") for k in range(30) if k % 5],  # one changed
        5: [row(k, score=4.9 if k == 7 else None) for k in range(30)],  # one in a better split
        9: [row(k, word="all") for k in range(3)],  # numbers in between that it never saw
        10: [],
        11: [row(k) for k in range(20)],
    }
    for version, (number, rows) in enumerate(contents.items()):
        done = refresh(ledger, snapshot(ledger, number, rows), lake, SMALL)
        assert rows_of(lake) == sorted(rows, key=lambda r: r["id"])
        assert (done.number, done.version) == (number, version)
        assert opened(lake).version() == version, "one transaction a refresh"
        assert held_number(ledger, lake) == number


def test_a_refresh_to_what_the_table_holds_or_held_before_does_nothing(
    ledger: Ledger, lake: StoreSettings
) -> None:
    first = snapshot(ledger, 1, [row(k) for k in range(9)])
    second = snapshot(ledger, 2, [row(k) for k in range(5)])
    refresh(ledger, second, lake)
    objects = [info.key for info in Store(lake).list()]
    for late in (second, first):
        done = refresh(ledger, late, lake)
        assert (done.number, done.added, done.removed) == (2, 0, 0)
    assert [info.key for info in Store(lake).list()] == objects
    assert len(rows_of(lake)) == 5


def test_a_row_that_comes_goes_or_changes_leaves_the_files_of_the_others(
    ledger: Ledger, lake: StoreSettings
) -> None:
    rows = [row(k) for k in range(100)]
    whole = refresh(ledger, snapshot(ledger, 1, rows), lake, SMALL)
    assert whole.added > 15
    for number, changed in enumerate(
        (
            [*rows[:50], row(999), *rows[50:]],
            [*rows[:49], *rows[50:]],
            [*rows[:49], row(50, word="other"), *rows[51:]],
        ),
        start=2,
    ):
        done = refresh(ledger, snapshot(ledger, number, changed), lake, SMALL)
        assert 1 <= done.added <= 2
        assert 1 <= done.removed <= 2
        assert done.kept >= whole.added - 2
        assert len(rows_of(lake)) == len(changed)


def test_the_log_holds_no_text_of_any_row(ledger: Ledger, lake: StoreSettings) -> None:
    for number in range(1, 4):
        rows = [row(k, word=str(number)) for k in range(20)]
        refresh(ledger, snapshot(ledger, number, rows), lake, SMALL)
    table = opened(lake)
    table.optimize.compact()  # a stranger, who collects statistics of his own
    table.create_checkpoint()
    log = log_of(lake)
    assert len(log) > 4
    assert not [key for key, data in log.items() if SECRET.encode() in data]
    assert any(SECRET in str(r) for r in rows_of(lake))


def test_the_log_says_whose_snapshot_a_version_is(ledger: Ledger, lake: StoreSettings) -> None:
    refresh(ledger, snapshot(ledger, 3, [row(1)]), lake)
    (entry,) = opened(lake).history()
    assert entry["backtrans.snapshot"] == "3"
    assert entry["backtrans.digest"] == "digest-3"


def test_a_table_that_another_wrote_is_refused_and_left_alone(
    ledger: Ledger, lake: StoreSettings
) -> None:
    from backtrans.lake.table import storage_options

    place = Store(lake).url("x").removesuffix("/x")
    deltalake.write_deltalake(
        place, pa.table({"theirs": [1, 2]}), storage_options=storage_options(lake)
    )
    with pytest.raises(StoreError, match=r"the lake: .*did not write"):
        refresh(ledger, snapshot(ledger, 1, [row(1)]), lake)
    with pytest.raises(StoreError, match="did not write"):
        held_number(ledger, lake)
    assert rows_of_any(lake) == [{"theirs": 1}, {"theirs": 2}]


def rows_of_any(lake: StoreSettings) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pa.table(opened(lake).scan().read_all()).to_pylist()
    return found


def test_a_root_made_anew_at_the_same_place_is_another_root(tmp_path: Path) -> None:
    root, lake = StoreSettings(str(tmp_path / "root")), StoreSettings(str(tmp_path / "lake"))
    ledger = Ledger(Store(root))
    refresh(ledger, snapshot(ledger, 7, [row(1)]), lake)
    (tmp_path / "root").rename(tmp_path / "old")
    with pytest.raises(StoreError, match="did not write"):
        refresh(ledger, snapshot(ledger, 1, [row(2)]), lake)
    moved = Ledger(Store(StoreSettings(str(tmp_path / "old"))))
    assert held_number(moved, lake) == 7


def before_commit(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """Let something happen between the next refresh's look at the table and its transaction."""
    commit = LakeTable.commit

    def interrupted(table: LakeTable, *arguments: Any) -> bool:
        monkeypatch.setattr(LakeTable, "commit", commit)
        happens()
        return commit(table, *arguments)

    monkeypatch.setattr(LakeTable, "commit", interrupted)


@pytest.mark.parametrize("begun", [False, True], ids=["no table yet", "a table"])
@pytest.mark.parametrize("others", [1, 2], ids=["the same snapshot", "a later one"])
def test_of_two_drivers_one_transaction_wins_and_the_other_sees_it(
    ledger: Ledger,
    lake: StoreSettings,
    monkeypatch: pytest.MonkeyPatch,
    begun: bool,
    others: int,
) -> None:
    if begun:
        refresh(ledger, snapshot(ledger, 1, []), lake)
    first = 1 + begun
    contents = {n: [row(k, word=str(n)) for k in range(6)] for n in (first, first + 1)}
    made = {n: snapshot(ledger, n, rows) for n, rows in contents.items()}
    winner = first + others - 1
    before_commit(monkeypatch, lambda: refresh(ledger, made[winner], lake))
    done = refresh(ledger, made[first], lake)
    assert (done.number, done.added) == (winner, 0)
    assert opened(lake).version() == int(begun)
    assert rows_of(lake) == sorted(contents[winner], key=lambda r: r["id"])


def test_a_driver_whose_snapshot_is_newer_comes_after_the_one_it_met(
    ledger: Ledger, lake: StoreSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = [row(k) for k in range(30)], [row(k) for k in range(2, 33)]
    older, newer = snapshot(ledger, 1, old), snapshot(ledger, 2, new)
    before_commit(monkeypatch, lambda: refresh(ledger, older, lake, SMALL))
    done = refresh(ledger, newer, lake, SMALL)
    assert (done.number, done.version) == (2, 1)
    assert done.kept > 0
    assert rows_of(lake) == sorted(new, key=lambda r: r["id"])


def test_many_drivers_at_once_make_one_version(ledger: Ledger, lake: StoreSettings) -> None:
    rows = [row(k) for k in range(40)]
    made = snapshot(ledger, 1, rows)
    start = threading.Barrier(6)
    done: list[Refreshed] = []

    def drive() -> None:
        start.wait()
        done.append(refresh(ledger, made, lake, SMALL))

    drivers = [threading.Thread(target=drive) for _ in range(6)]
    for driver in drivers:
        driver.start()
    for driver in drivers:
        driver.join()
    assert len(done) == 6
    assert sum(d.added > 0 for d in done) == 1
    assert opened(lake).version() == 0
    assert rows_of(lake) == sorted(rows, key=lambda r: r["id"])


def test_what_strangers_do_to_the_table_the_next_refresh_puts_right(
    ledger: Ledger, lake: StoreSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [row(k) for k in range(30)]
    refresh(ledger, snapshot(ledger, 1, rows), lake, SMALL)
    opened(lake).delete("score > 4.5")
    stray = pa.Table.from_pylist([row(77)], schema=pa.schema(opened(lake).schema()))
    deltalake.write_deltalake(opened(lake), stray, mode="append")
    # One compacts, which gives the files other names, while this refresh is under way.
    before_commit(monkeypatch, opened(lake).optimize.compact)
    refresh(ledger, snapshot(ledger, 2, rows), lake, SMALL)
    assert rows_of(lake) == sorted(rows, key=lambda r: r["id"])


def test_a_driver_killed_before_its_transaction_leaves_it_to_the_next_run(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    settings = config(tmp_path, placement__lake={"uri": "lake"})
    killed = (
        "import os, pathlib, signal\n"
        "from backtrans.lake.table import LakeTable\n"
        "from backtrans.pipeline import Pipeline\n"
        "from backtrans.config import load\n"
        "from tests.jobs import Silent\n"
        "LakeTable.commit = lambda *a: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"Pipeline(load(pathlib.Path({str(tmp_path / 'run.yaml')!r}))).run(Silent())\n"
    )
    root = Path(__file__).parent.parent
    died = subprocess.run(
        [sys.executable, "-c", killed], env={**os.environ, "PYTHONPATH": str(root)}
    )
    assert died.returncode == -signal.SIGKILL
    pipeline = Pipeline(settings)
    status = pipeline.status()
    assert status.snapshot is not None
    assert status.lake is not None
    assert status.lake.holds is None
    left_behind = set((tmp_path / "lake").rglob("*.parquet"))
    assert left_behind
    watching = Silent()
    pipeline.run(watching)
    assert watching.phases == []
    lake = StoreSettings(str(tmp_path / "lake"))
    assert len(rows_of(lake)) == status.snapshot.rows["A4"]
    assert len(opened(lake).history()) == 1
    found = pipeline.publication.vacuum(0, delete=True)
    assert {tmp_path / "lake" / path for path in found} == left_behind
    assert len(rows_of(lake)) == status.snapshot.rows["A4"]


def test_a_run_brings_the_table_to_what_it_published(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    changes = {"placement__lake": {"uri": "lake"}}
    pipeline = Pipeline(config(tmp_path, **changes))
    lake = StoreSettings(str(tmp_path / "lake"))
    for number in (1, 2, 2):
        if number == 2:
            write_jsonl(tmp_path / "corpus/part-0.jsonl.gz", [document(k) for k in range(60, 90)])
        watching = Silent()
        pipeline.run(watching)
        assert any(f"snapshot {number}" in note for note in watching.notes)
        status = pipeline.status()
        assert status.lake is not None
        assert status.lake.holds == number
        without_run = [{k: v for k, v in r.items() if k != "run"} for r in rows_of(lake)]
        assert without_run == sorted(published(pipeline), key=lambda r: r["id"])
    assert len(opened(lake).history()) == 2


def test_a_lake_is_no_part_of_the_recipe(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    Pipeline(config(tmp_path)).run(Silent())
    pipeline = Pipeline(config(tmp_path, placement__lake={"uri": "lake"}))
    watching = Silent()
    pipeline.run(watching)
    assert watching.phases == []
    assert (tmp_path / "lake/_delta_log").is_dir()


def test_a_place_that_cannot_be_had_stops_a_run_before_its_work(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    deltalake.write_deltalake(str(tmp_path / "lake"), pa.table({"theirs": [1]}))
    with pytest.raises(StoreError, match="did not write"):
        Pipeline(config(tmp_path, placement__lake={"uri": "lake"})).run(Silent())
    assert not (tmp_path / "out").exists()


def test_without_the_extra_the_error_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "deltalake", None)
    with pytest.raises(ConfigError, match=r"backtrans\[lake\]"):
        LakeTable(StoreSettings(str(tmp_path)), "someone")


def test_vacuum_deletes_the_texts_of_rows_that_are_gone_and_keeps_the_table(
    ledger: Ledger, lake: StoreSettings
) -> None:
    refresh(ledger, snapshot(ledger, 1, [row(1, word="withdrawn")]), lake)
    refresh(ledger, snapshot(ledger, 2, [row(2)]), lake)
    place = Store(lake)
    (old,) = lake_table(ledger, lake).vacuum(0, delete=False)
    assert place.exists(old)
    assert lake_table(ledger, lake).vacuum(0, delete=True) == [old]
    assert not place.exists(old)
    assert [r["row"] for r in rows_of(lake)] == [2]


def test_no_credential_is_written_to_the_table(
    s3_settings: StoreSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = os.environ["AWS_SECRET_ACCESS_KEY"]
    ledger = Ledger(Store(s3_settings))
    lake = replace(s3_settings, root=s3_settings.root + "-lake")
    refresh(ledger, snapshot(ledger, 1, [row(1)]), lake)
    place = Store(lake)
    objects = [place.get(info.key) for info in place.list()]
    assert len(objects) == 2
    assert not [data for data in objects if secret.encode() in data]
    assert secret not in json.dumps([repr(lake), repr(lake_table(ledger, lake).uri)])
    assert opened(lake).version() == 0
