"""A worker that hangs is said, by the names of its shards, while the run goes on."""

from pathlib import Path

import pytest

from backtrans import stalls
from backtrans.engines.scripted import HANG
from backtrans.journal import Journal
from backtrans.pipeline import Pipeline
from backtrans.stalls import LEAST_SECONDS, TIMES_THE_LONGEST, Stalls
from backtrans.store import Store, StoreSettings
from backtrans.work import Address, Receipt
from tests.jobs import Silent, config, document, published, write_jsonl

MINUTE = 60.0


class Phase:
    """A phase of some addresses, and a clock that is put on by hand."""

    def __init__(
        self, folder: Path, addresses: int = 5, at_once: int = 2, portion: int = 1
    ) -> None:
        self.now = 1_000_000.0
        self.journal = Journal(Store(StoreSettings(str(folder))))
        self.observer = Silent()
        self.addresses = [Address(f"k{n}", f"s{n}", "corpus.jsonl", n) for n in range(addresses)]
        portions = [
            self.addresses[begin : begin + portion] for begin in range(0, addresses, portion)
        ]
        self.stalls = Stalls(
            self.journal, self.observer, "run", "score", portions, at_once, lambda: self.now
        )

    def begin(self, *numbers: int) -> None:
        for number in numbers:
            self.journal.begin_attempt("run", "score", f"k{number}")
        self.stalls.look()

    def end(self, number: int, seconds: float) -> None:
        self.stalls.heard(Receipt(self.addresses[number], "done", seconds=seconds))

    def after(self, seconds: float) -> list[str]:
        """Look so much later; return what was said."""
        self.now += seconds
        before = len(self.observer.notes)
        self.stalls.look()
        return self.observer.notes[before:]


@pytest.fixture
def phase(tmp_path: Path) -> Phase:
    return Phase(tmp_path)


def test_what_is_in_flight_for_too_long_is_said_by_name_once_and_again_when_doubled(
    phase: Phase,
) -> None:
    phase.begin(0, 1)
    assert phase.after(LEAST_SECONDS - 1) == []
    phase.end(1, 40)
    [line] = phase.after(1)
    assert line == (
        "score: 1 in flight for 10 min or more; the longest of 1 done took 40 s:"
        " corpus.jsonl from row 0 since 13:46:40 UTC"
    )
    assert phase.after(MINUTE) == []
    assert phase.after(LEAST_SECONDS - MINUTE - 1) == []
    [again] = phase.after(1)
    assert "for 20 min or more" in again
    assert phase.after(LEAST_SECONDS) == []
    assert "for 40 min or more" in phase.after(LEAST_SECONDS)[0]


def test_a_shard_is_measured_by_the_longest_that_is_done(phase: Phase) -> None:
    phase.begin(0)
    phase.end(0, 5 * MINUTE)
    phase.begin(1)
    assert phase.after(TIMES_THE_LONGEST * 5 * MINUTE - 1) == []
    assert "corpus.jsonl from row 1 since" in phase.after(1)[0]


def test_what_came_back_is_no_longer_looked_at(phase: Phase) -> None:
    phase.begin(0, 1)
    phase.now += LEAST_SECONDS
    phase.end(0, 3)
    phase.end(1, 4)
    assert phase.after(0) == []


def test_many_that_stall_at_once_are_one_line(tmp_path: Path) -> None:
    phase = Phase(tmp_path, addresses=100, at_once=50)
    phase.begin(*range(50))
    [line] = phase.after(LEAST_SECONDS)
    assert line.startswith("score: 50 in flight for 10 min or more: corpus.jsonl from row 0 ")
    assert line.endswith(", and 47 more")


def test_looking_costs_no_more_than_what_can_be_in_flight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    phase, looked = Phase(tmp_path, addresses=1_000, at_once=8), []
    attempted = phase.journal.attempted
    monkeypatch.setattr(
        phase.journal, "attempted", lambda *key: looked.append(key[2]) or attempted(*key)
    )
    phase.begin(0, 1, 2)
    assert looked == [f"k{n}" for n in range(8)]
    looked.clear()
    phase.end(0, 1)
    assert phase.after(1) == []
    assert looked == [f"k{n}" for n in range(3, 9)], "what is known to have begun is asked again"


def test_of_a_portion_no_more_is_looked_at_than_what_follows_on_what_has_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    phase, looked = Phase(tmp_path, addresses=1_000, at_once=2, portion=100), []
    attempted = phase.journal.attempted
    monkeypatch.setattr(
        phase.journal, "attempted", lambda *key: looked.append(key[2]) or attempted(*key)
    )
    phase.begin(0, 1, 100)
    assert looked == ["k0", "k1", "k2", "k100", "k101"]
    for number in range(100):
        phase.end(number, 1)
    looked.clear()
    assert phase.after(1) == []
    assert looked == ["k101", "k200"], "a portion that came back makes room for the next"
    [line] = phase.after(LEAST_SECONDS)
    assert line.startswith("score: 1 in flight")
    assert "corpus.jsonl from row 100 since" in line


def test_a_phase_that_no_worker_begins_is_said_too(phase: Phase) -> None:
    assert phase.after(LEAST_SECONDS - 1) == []
    [line] = phase.after(1)
    assert line.startswith("score: none of the 5 left has begun since 13:46:40 UTC")
    assert phase.after(LEAST_SECONDS - 1) == []
    assert len(phase.after(1)) == 1
    phase.begin(0)
    assert phase.after(1) == []
    phase.end(0, 1)
    assert phase.after(LEAST_SECONDS - 1) == []
    assert "none of the 4 left has begun" in phase.after(1)[0]


class Mending(Silent):
    """An observer that ends the fault when it hears of the shard that it holds up."""

    def __init__(self, shard: str, mended: Path) -> None:
        super().__init__()
        self._shard = shard
        self._mended = mended

    def note(self, line: str) -> None:
        super().note(line)
        if self._shard in line:
            self._mended.touch()


@pytest.mark.timeout(120)  # without a word of the stall it hangs
@pytest.mark.parametrize(
    "runtime", ["local", pytest.param("ray", marks=[pytest.mark.ray, pytest.mark.slow])]
)
def test_an_engine_that_hangs_is_said_during_the_run_which_goes_on_when_it_is_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runtime: str
) -> None:
    documents = [document(n) for n in range(24)]
    documents[11]["text"] += f" {HANG}"
    write_jsonl(tmp_path / "corpus/part-0.jsonl.gz", documents)
    mended = tmp_path / "mended"
    model = {"path": f"scripted:default?mended_by={mended}", "engine": "scripted"}
    pipeline = Pipeline(
        config(
            tmp_path,
            recipe__deduplicate={"enabled": False},
            recipe__models={"backward": model, "forward": model},
            placement__runtime=runtime,
            placement__engine={"device": "cpu"},
        )
    )
    monkeypatch.setattr(stalls, "LEAST_SECONDS", 0.2)
    shard = f"{tmp_path}/corpus/part-0.jsonl.gz from row 8 since"
    observer = Mending(shard, mended)
    pipeline.run(observer)
    said = next(line for line in observer.notes if shard in line)
    assert said.startswith("backtranslate+score: ")
    assert " in flight for " in said
    assert published(pipeline)
    assert {receipt.outcome for receipt in observer.receipts} == {"done"}
