"""The journal over every store: attempts counted, shards given up, the records of runs."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from backtrans.errors import StoreError
from backtrans.journal import Journal, Quarantined
from backtrans.store import Store, StoreSettings


@pytest.fixture
def journal(store: Store) -> Journal:
    return Journal(store)


def test_a_journal_begins_empty(journal: Journal) -> None:
    assert journal.quarantined("r1") == []
    assert journal.runs() == []
    assert not journal.attempted("r1", "select", "k")


def test_attempts_count_up_for_each_run_stage_and_key(journal: Journal) -> None:
    assert [journal.begin_attempt("r1", "select", "k") for _ in range(3)] == [1, 2, 3]
    assert journal.begin_attempt("r2", "select", "k") == 1
    assert journal.begin_attempt("r1", "score", "k") == 1
    assert journal.begin_attempt("r1", "select", "k.1") == 1
    assert journal.begin_attempt("r1", "select", "k") == 4


def test_attempts_begun_at_once_have_numbers_of_their_own(journal: Journal) -> None:
    gate = threading.Barrier(5)

    def begin(_: int) -> int:
        gate.wait(60)
        return journal.begin_attempt("r1", "score", "k")

    with ThreadPoolExecutor(5) as pool:
        assert sorted(pool.map(begin, range(5))) == [1, 2, 3, 4, 5]


def test_a_run_says_what_it_gave_up_and_another_run_does_not(journal: Journal) -> None:
    given_up = [
        Quarantined("r1", stage, key, "a.jsonl from row 0", "ValueError: é\n", 3)
        for stage, key in (("select", "b"), ("score", "b"), ("score", "a"))
    ]
    for each in given_up:
        journal.quarantine(each)
    journal.quarantine(given_up[0])
    assert journal.quarantined("r1") == [given_up[2], given_up[1], given_up[0]]
    assert journal.quarantined("r") == journal.quarantined("r2") == []


def test_runs_come_sorted_and_the_last_record_of_a_run_counts(journal: Journal) -> None:
    for run in ("b", "a-1", "a"):
        journal.put_run(run, {"run": run})
    journal.put_run("b", {"run": "b", "ended_at": "now", "figures": {"kept": 1}})
    assert [run["run"] for run in journal.runs()] == ["a", "a-1", "b"]
    assert journal.runs()[-1]["figures"] == {"kept": 1}


@pytest.mark.parametrize("name", ["", "a/b", "..", ".a", "a b", "a" * 101, "é", "a\n"])
def test_what_is_no_name_is_refused(local_settings: StoreSettings, name: str) -> None:
    journal = Journal(Store(local_settings))
    calls: list[Callable[[], object]] = [
        lambda: journal.begin_attempt(name, "select", "k1"),
        lambda: journal.begin_attempt("r1", name, "k1"),
        lambda: journal.put_run(name, {}),
        lambda: journal.quarantined(name),
    ]
    for call in calls:
        with pytest.raises(StoreError, match="is no name"):
            call()
