"""The same custody over a bucket of a real S3 server, as one story: what goes is gone there too."""

import io
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from backtrans import custody
from backtrans.expiry import expire
from backtrans.pipeline import Pipeline
from backtrans.snapshots import numbered, read_split, snapshots
from backtrans.store import Store, StoreSettings
from tests.cuts import Cut, CutOff
from tests.jobs import Silent, document, published, write_jsonl
from tests.test_custody import SECRET, counted, numbers, run, take_down, write_web

pytestmark = pytest.mark.slow


@pytest.fixture
def bucket(one_s3_settings: StoreSettings) -> StoreSettings:
    """A root in a bucket of Ceph's gateway, or of moto where there is none."""
    return one_s3_settings


def run_in(folder: Path, bucket: StoreSettings, **changes: object) -> Pipeline:
    store = {"endpoint_url": bucket.endpoint_url, "region": bucket.region, "addressing": "path"}
    return run(folder, placement__root=bucket.root, placement__store=store, **changes)


def held_in(bucket: StoreSettings, word: str) -> list[str]:
    """Return the objects under a root in which a word stands, whatever their encoding."""
    store, found = Store(bucket), []
    for info in store.list():
        data = store.get(info.key)
        if info.key.endswith(".parquet"):
            rows = pq.ParquetFile(io.BytesIO(data)).read(use_threads=False).to_pylist()
            data += json.dumps(rows, default=str).encode()
        if word.encode() in data:
            found.append(info.key)
    return found


def test_rows_come_go_and_are_compared_between_snapshots(
    tmp_path: Path, bucket: StoreSettings
) -> None:
    write_web(tmp_path)
    run_in(tmp_path, bucket)
    write_jsonl(tmp_path / "corpus/more.jsonl.gz", [document(k) for k in range(500, 504)])
    (tmp_path / "corpus/web-0.jsonl.gz").unlink()
    pipeline = run_in(tmp_path, bucket)
    assert counted(pipeline, 1, 2) == {("added", "new object"): 4, ("removed", "object gone"): 12}
    assert counted(pipeline, 2, 2) == {}


def test_a_purge_killed_and_done_again_leaves_no_withdrawn_text_in_the_bucket(
    tmp_path: Path, bucket: StoreSettings
) -> None:
    write_web(tmp_path)
    pipeline = run_in(tmp_path, bucket)
    take_down(pipeline, ("domain", "gone.org"))
    for nth in (5, 15):
        with pytest.raises(Cut), CutOff(nth).on():
            custody.purge_withdrawn(pipeline, Silent(), run_is_dead=True)
    custody.purge_withdrawn(Pipeline(pipeline.config), Silent(), run_is_dead=True)
    gone = {k for k in range(24) if k % 4 in (1, 2)}
    for number in range(24):
        holding = held_in(bucket, f"{SECRET}{number:04d} ")
        assert bool(holding) != (number in gone), (number, holding)
    assert numbers(pipeline) == set(range(24)) - gone


def test_an_expiry_killed_leaves_whole_snapshots_and_a_sweep_finds_the_rest(
    tmp_path: Path, bucket: StoreSettings
) -> None:
    write_web(tmp_path)
    run_in(tmp_path, bucket, recipe__score__signals=["likelihood"])
    pipeline = run_in(tmp_path, bucket)
    rows = published(pipeline)
    with pytest.raises(Cut), CutOff(4).on():
        expire(pipeline.ledger, custody.plan_expiry(pipeline, 1, -60))
    for snapshot in snapshots(pipeline.ledger):
        assert sum(t.num_rows for t in read_split(pipeline.ledger, snapshot, "A4")) == 24
    fresh = Pipeline(pipeline.config)
    expire(fresh.ledger, custody.plan_expiry(fresh, 1, -60))
    custody.sweep(fresh, custody.orphans(fresh, -60))
    assert custody.orphans(fresh, -60) == []
    assert [snapshot.number for snapshot in snapshots(fresh.ledger)] == [2]
    assert numbered(fresh.ledger, 2).number == 2
    assert published(fresh) == rows
    assert fresh.plan().nothing_pending
