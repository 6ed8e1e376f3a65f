"""The records of generations, and how segments are laid out by hash."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtrans import generations
from backtrans.buckets import cut, encoded, entries_of
from backtrans.corpus.duplicates import Entries
from backtrans.errors import StoreError
from backtrans.generations import Generations, in_order, index_of
from backtrans.ledger import Ledger
from backtrans.records import parquet
from backtrans.stages.select import segment_id, shard_identity
from backtrans.store import Store, StoreSettings


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(Store(StoreSettings(str(tmp_path / "root"))))


def selected(*kept: int, first: int = 0) -> pa.Table:
    """Return commits of select, the last shard first."""
    names = [f"{first + place:04d}" for place in range(len(kept))]
    return pa.table(
        {
            "shard": [f"shard-{name}" for name in reversed(names)],
            "part": [f"part-{name}" for name in reversed(names)],
            "kept": pa.array(list(reversed(kept)), pa.int64()),
            "run": ["anything"] * len(kept),
        }
    )


PRESENT = [f"shard-{number:04d}" for number in range(20)]


def test_a_number_is_given_once_and_who_loses_finds_the_winner(ledger: Ledger) -> None:
    mine, theirs = Generations(ledger, "abc"), Generations(ledger, "abc")
    assert mine.begin([], selected(5, 5), PRESENT)
    assert not theirs.begin([], selected(7), PRESENT)
    (one,) = theirs.upto()
    assert one.number == 1
    assert one.shards["part"].to_pylist() == ["part-0000", "part-0001"]
    assert theirs.begin([one], selected(7), PRESENT)
    assert [each.number for each in mine.upto()] == [1, 2]
    assert [each.number for each in mine.upto(1)] == [1]
    assert mine.upto()[1].shards["again"].to_pylist() == [True]
    assert mine.upto()[0].folder != mine.upto()[1].folder


def test_shards_are_cut_into_batches_in_their_order_whatever_their_size(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generations, "BATCH_SEGMENTS", 10)
    known = Generations(ledger, "abc")
    known.begin([], selected(4, 5, 35, 0, 0, 9, 3), PRESENT)
    (one,) = known.upto()
    assert one.shards["batch"].to_pylist() == [0, 0, 0, 1, 1, 1, 2]
    assert one.batches == 3
    assert one.spans == 1


def test_there_are_never_fewer_buckets_than_before(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generations, "BUCKET_ROWS", 100)
    known = Generations(ledger, "abc")
    for number, kept in enumerate((6, 60, 1, 600)):
        known.begin(known.upto(), selected(kept, first=number), PRESENT)
    few, more, same, most = known.upto()
    assert [each.buckets for each in (few, more, same, most)] == [1, 16, 16, 128]
    # What meets in a bucket of a later one, lay in one bucket of each earlier one.
    assert few.entries(101, 0, most.bits) == few.entries(0, 0)
    assert more.entries(101, 0, most.bits) == more.entries(101 // 8, 0)


def test_generations_of_other_recipes_are_not_seen_and_go_by_themselves(ledger: Ledger) -> None:
    mine, others = Generations(ledger, "abc"), Generations(ledger, "abcd")
    mine.begin([], selected(1), PRESENT)
    mine.begin(mine.upto(), selected(1, first=1), PRESENT)
    others.begin([], selected(1), PRESENT)
    assert len(mine.upto()) == 2
    ledger.store.put(mine.upto()[0].finished, b"")
    keys = index_of(ledger, "abc")
    assert len(keys) == 3
    assert keys[0] > keys[1]  # the last record goes first
    assert "finished" in keys[2]


def test_what_is_gone_from_the_corpus_or_a_copy_itself_no_longer_counts(ledger: Ledger) -> None:
    shards = [shard_identity(f"object {number}", 8, 0) for number in range(3)]
    known = Generations(ledger, "abc")
    for number, shard in enumerate(shards):
        added = pa.table({"shard": [shard], "part": [shard], "kept": pa.array([1], pa.int64())})
        known.begin(known.upto(), added, [shards[0], *shards[2:]] if number else shards)
    first, _, last = known.upto()
    assert len(first.gone) == 0
    assert last.shards["shard"].to_pylist() == shards[2:]
    ids = pa.array([segment_id(shard, row) for shard in shards for row in range(2)])
    found = Entries(np.zeros((6, 64), np.uint8), np.arange(6, dtype=np.uint64), np.arange(6))
    (entries,) = cut(ids, found, 0)
    copies = pa.table({"id": [segment_id(shards[0], 1)]})
    counted = last.counts(entries, copies)
    assert counted["id"].to_pylist() == [ids[place].as_py() for place in (0, 4, 5)]
    assert entries_of(counted).hashes.tolist() == [0, 4, 5]


def test_a_record_that_is_none_is_an_error_that_names_it(ledger: Ledger) -> None:
    known = Generations(ledger, "abc")
    known.begin([], selected(1), PRESENT)
    (key,) = index_of(ledger, "abc")
    ledger.store.put(key, parquet(pa.table({"shard": ["a"]})))
    with pytest.raises(StoreError, match="000001"):
        Generations(ledger, "abc").upto()


@settings(max_examples=40)
@given(
    st.lists(st.lists(st.integers(0, 2**64 - 1), max_size=6), max_size=20),
    st.integers(0, 4),
)
def test_what_is_cut_into_buckets_is_whole_and_each_hash_lies_in_its_own(
    hashes: list[list[int]], bits: int
) -> None:
    sketches = np.arange(len(hashes) * 64, dtype=np.uint64).astype(np.uint8).reshape(-1, 64)
    flat = np.array([each for held in hashes for each in held], np.uint64)
    segment = np.repeat(np.arange(len(hashes)), [len(held) for held in hashes]).astype(np.int64)
    ids = pa.array([f"segment-{place:03d}" for place in range(len(hashes))], pa.string())
    tables = list(cut(ids, Entries(sketches, flat, segment), bits))
    assert len(tables) == 1 << bits
    found = []
    for bucket, table in enumerate(tables):
        assert len(encoded(table)) > 0
        names, held = table["id"].to_pylist(), entries_of(table)
        assert names == sorted(names)
        for one, place in zip(held.hashes.tolist(), held.segment.tolist(), strict=True):
            assert one >> (64 - bits) == bucket
            whole = int(names[place].removeprefix("segment-"))
            assert (held.bytes[place] == sketches[whole]).all()
            found.append((whole, one))
    assert sorted(found) == sorted(zip(segment.tolist(), flat.tolist(), strict=True))


def test_calls_are_made_a_little_ahead_of_the_reader_and_their_failure_is_told() -> None:
    begun = []

    def call(number: int) -> int:
        begun.append(number)
        if number == 90:
            raise StoreError("no")
        return number

    taken = in_order(call, range(100))
    assert [next(taken) for _ in range(10)] == list(range(10))
    assert len(begun) < 30
    with pytest.raises(StoreError, match="no"):
        list(taken)
