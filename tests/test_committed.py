"""What a driver believes to be committed: never more than is, whatever the checkpoint holds."""

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from backtrans import checkpoint, committed, custody
from backtrans.checkpoint import commits_in, commits_table
from backtrans.errors import StoreError
from backtrans.ledger import Commit, Ledger
from backtrans.pipeline import Pipeline
from backtrans.store import Store
from tests.jobs import Silent, config, document, published, write_corpus, write_jsonl


class CountingStore(Store):
    """A store that counts what is asked of it, by the folder of the key."""

    def __init__(self, store: Store) -> None:
        super().__init__(store.settings)
        self.asked: Counter[str] = Counter()

    def get(self, key: str) -> bytes:
        self.asked[key.split("/", maxsplit=1)[0]] += 1
        return super().get(key)

    def list(self, prefix: str = "") -> Iterator[object]:  # type: ignore[override]
        self.asked["list " + prefix.split("/", maxsplit=1)[0]] += 1
        return super().list(prefix)


def counted(pipeline: Pipeline) -> CountingStore:
    store = CountingStore(pipeline.ledger.store)
    pipeline.ledger = Ledger(store)
    return store


@pytest.fixture
def ran(tmp_path: Path) -> Pipeline:
    write_corpus(tmp_path)
    for path in (tmp_path / "corpus").iterdir():
        os.utime(path, (1_000_000_000, 1_000_000_000))  # not of this moment: trusted by its stamp
    pipeline = Pipeline(config(tmp_path))
    pipeline.run(Silent())
    return Pipeline(pipeline.config)


def test_a_plan_with_nothing_new_reads_no_commit_and_hashes_no_input(
    ran: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hashed(*_: object) -> str:
        raise AssertionError("an input was read though its stamp is known")

    monkeypatch.setattr("backtrans.standing.content_fingerprint", hashed)
    store = counted(ran)
    assert ran.plan().nothing_pending
    assert store.asked["commits"] == store.asked["list commits"] == store.asked["indexes"] == 0


def test_a_run_with_nothing_new_reads_no_part_and_writes_no_checkpoint(ran: Pipeline) -> None:
    before = [info.key for info in ran.ledger.store.list("checkpoints/")]
    store = counted(ran)
    ran.run(Silent())
    assert store.asked["commits"] == store.asked["parts"] == 0
    assert [info.key for info in store.list("checkpoints/")] == before


def test_a_plan_over_a_grown_corpus_looks_up_what_is_new_and_nothing_else(
    ran: Pipeline, tmp_path: Path
) -> None:
    write_jsonl(tmp_path / "corpus/part-9.jsonl.gz", [document(k) for k in range(100, 104)])
    store = counted(ran)
    plan = ran.plan()
    assert plan.unread_objects == 1
    assert store.asked["indexes"] == 1
    assert store.asked["commits"] == store.asked["list commits"] == 0


def test_what_others_have_committed_since_the_checkpoint_is_found(
    ran: Pipeline, tmp_path: Path
) -> None:
    old = tmp_path / "old"
    shutil.copytree(tmp_path / "out/checkpoints", old)
    write_jsonl(tmp_path / "corpus/part-9.jsonl.gz", [document(k) for k in range(100, 120)])
    Pipeline(ran.config).run(Silent())
    shutil.rmtree(tmp_path / "out/checkpoints")
    shutil.copytree(old, tmp_path / "out/checkpoints")
    assert ran.plan().nothing_pending
    assert ran.status().stages[-1].shards == 9


@pytest.mark.parametrize("few", [0, 2000], ids=["by listing", "one by one"])
def test_without_checkpoints_the_same_is_known(
    ran: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(committed, "FEW", few)
    plan, status, rows = ran.plan(), ran.status(), published(ran)
    shutil.rmtree(tmp_path / "out/checkpoints")
    bare = Pipeline(ran.config)
    assert (bare.plan(), bare.status(), published(bare)) == (plan, status, rows)
    assert bare.run(Silent()).snapshot == status.snapshot


def test_a_checkpoint_of_an_earlier_epoch_is_not_believed(ran: Pipeline, tmp_path: Path) -> None:
    with ran.ledger.epochs.changing():
        pass
    gone = next((tmp_path / "out/commits/curate").iterdir())
    gone.unlink()
    curate = ran.plan().stages[-1]
    assert (curate.committed, curate.pending) == (5, {"not done yet": 1})
    assert ran.run(Silent()).made == {"curate": 1}
    assert ran.plan().nothing_pending


def test_epochs_are_counted_one_by_one_whoever_begins_them(store: Store) -> None:
    ledger = Ledger(store)
    assert ledger.epochs.last() == 0
    for number in (1, 2, 3):
        with ledger.epochs.changing():
            assert ledger.epochs.last() is None
        assert ledger.epochs.last() == number


def test_while_commits_change_no_checkpoint_is_believed_or_written(
    ran: Pipeline, tmp_path: Path
) -> None:
    before = {path.name for path in (tmp_path / "out/checkpoints").iterdir()}
    changing = ran.ledger.epochs.changing()
    changing.__enter__()  # and it is killed there
    next((tmp_path / "out/commits/curate").iterdir()).unlink()
    assert ran.plan().stages[-1].pending == {"not done yet": 1}
    Pipeline(ran.config).run(Silent())
    assert {path.name for path in (tmp_path / "out/checkpoints").iterdir()} == before
    (mark,) = custody.orphans(ran, -60)
    assert mark.startswith("changing/")
    custody.sweep(ran, [mark])
    Pipeline(ran.config).run(Silent())
    assert {path.name for path in (tmp_path / "out/checkpoints").iterdir()} > before


def test_a_change_that_keeps_size_and_time_of_a_file_is_seen(ran: Pipeline, tmp_path: Path) -> None:
    path = tmp_path / "corpus/part-0.jsonl.gz"
    before, data = path.stat(), path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert ran.plan().unread_objects == 1


def test_a_file_of_this_very_moment_is_hashed_again(tmp_path: Path) -> None:
    write_corpus(tmp_path, files=1)
    pipeline = Pipeline(config(tmp_path))
    pipeline.run(Silent())
    (record,) = (tmp_path / "out/checkpoints").glob("*.json")
    objects = checkpoint.read(pipeline.ledger, f"checkpoints/{record.stem}/objects.parquet")
    assert objects["stamp"].to_pylist() == [""]


def test_two_checkpoints_are_kept_and_no_more(ran: Pipeline, tmp_path: Path) -> None:
    for number in range(3):
        write_jsonl(tmp_path / f"corpus/more-{number}.jsonl.gz", [document(200 + number)])
        Pipeline(ran.config).run(Silent())
    names = {path.name for path in (tmp_path / "out/checkpoints").iterdir()}
    assert sum(name.endswith(".json") for name in names) == 2


def test_a_checkpoint_that_goes_while_it_is_read_costs_time_and_nothing_else(
    ran: Pipeline, tmp_path: Path
) -> None:
    expected = ran.plan()
    for table in (tmp_path / "out/checkpoints").glob("*/*.parquet"):
        table.unlink()
    assert Pipeline(ran.config).plan() == expected


def test_a_damaged_checkpoint_is_an_error_that_names_it(ran: Pipeline, tmp_path: Path) -> None:
    (table,) = (tmp_path / "out/checkpoints").glob("*/curate.parquet")
    table.write_bytes(table.read_bytes()[:100])
    with pytest.raises(StoreError, match=r"curate\.parquet: not a checkpoint"):
        ran.plan()


def test_commits_survive_the_way_through_a_table(ran: Pipeline) -> None:
    commits: list[Commit] = list(ran.ledger.commits("select"))
    assert any(commit.counts.rejects for commit in commits)
    assert list(commits_in(commits_table(commits))) == commits
