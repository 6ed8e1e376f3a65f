"""Taking down, purging, expiring, comparing, sweeping: what goes is gone, what stays is whole."""

import io
import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from backtrans import custody
from backtrans.changes import changes
from backtrans.corpus.urls import plain_domain, plain_url
from backtrans.errors import ConfigError, StoreError
from backtrans.expiry import expire
from backtrans.pipeline import Pipeline
from backtrans.snapshots import latest, numbered, read_split, snapshots
from backtrans.takedown import asked, listed, record, together, withdrawn
from tests.cuts import Cut, CutOff
from tests.jobs import Silent, config, document, published, write_corpus, write_jsonl

pytestmark = pytest.mark.slow

SECRET = "xylophonequartz"


def web_document(number: int, host: str, words: int = 130) -> dict[str, Any]:
    """A document whose text and metadata hold a word that occurs nowhere else."""
    made = document(number, words)
    made["text"] = f"{SECRET}{number:04d} {made['text']}"
    made["metadata"] = {"url": f"https://www.{host}/page/{number}", "note": f"{SECRET}{number:04d}"}
    return made


def write_web(folder: Path) -> None:
    hosts = ("keep.org", "gone.org", "sub.gone.org", "notgone.org")
    for file in range(2):
        documents = [web_document(k, hosts[k % 4]) for k in range(file * 12, file * 12 + 12)]
        write_jsonl(folder / "corpus" / f"web-{file}.jsonl.gz", documents)


def run(folder: Path, **changes: object) -> Pipeline:
    pipeline = Pipeline(config(folder, recipe__curate={"a4": 1.0, "a5": 3.2}, **changes))
    pipeline.run(Silent())
    return Pipeline(pipeline.config)


def take_down(pipeline: Pipeline, *entries: tuple[str, str]) -> None:
    record(pipeline.ledger, asked(entries, "asked to"))


def numbers(pipeline: Pipeline, split: str = "A4") -> set[int]:
    return {int(row["document_id"].split("-")[1]) for row in published(pipeline, split)}


def held_under(root: Path, word: str) -> list[str]:
    """Return the files under a root in which a word stands, compressed or not, in name or bytes."""
    found = []
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        data = path.read_bytes()
        if path.suffix == ".parquet":
            table = pq.read_table(io.BytesIO(data))
            footer = str(pq.ParquetFile(io.BytesIO(data)).metadata.to_dict())
            data += json.dumps(table.to_pylist(), default=str).encode() + footer.encode()
        if word.encode() in data:
            found.append(str(path.relative_to(root)))
    return found


# ---------------------------------------------------------------- what a takedown names


@pytest.mark.parametrize(
    "spelling",
    [
        "https://gone.org/a/b?q=1",
        "http://www.GONE.org/a/b/?q=1#part",
        "//gone.org:443/a/b?q=1",
        "gone.org/a/b?q=1",
    ],
)
def test_a_page_is_the_same_however_its_url_is_spelt(spelling: str) -> None:
    gone = together([asked([("url", spelling)])])
    assert gone.why("id", "https://gone.org/a/b?q=1", None) is not None
    assert gone.why("id", "https://gone.org/a/b?q=2", None) is None
    assert gone.why("id", "https://gone.org/a", None) is None


def test_a_domain_takes_those_below_it_and_no_other() -> None:
    gone = together([asked([("domain", "Gone.org")])])
    assert gone.why(None, "https://a.b.gone.org/x", None) == "domain gone.org"
    assert gone.why(None, "https://www.gone.org", None) == "domain gone.org"
    assert gone.why(None, "https://notgone.org/", None) is None
    assert gone.why(None, "https://gone.org.evil.com/", None) is None
    assert gone.why(None, None, None) is None


@pytest.mark.parametrize("odd", ["", "http://[broken", "::::", "http://", "\0"])
def test_an_odd_url_is_no_error(odd: str) -> None:
    assert together([asked([("domain", "gone.org")])]).why(None, odd, None) is None
    assert isinstance(plain_url(odd) + plain_domain(odd), str)


@pytest.mark.parametrize("name", ["corpus/part-0.jsonl.gz", "file:///c/part-0.jsonl.gz", "./a"])
def test_an_object_is_named_as_the_corpus_is_listed_or_not_at_all(name: str) -> None:
    with pytest.raises(ConfigError, match="say the whole path"):
        asked([("object", name)])


def test_a_list_is_read_line_by_line_and_a_bad_line_is_named() -> None:
    text = "# by letter of May\n\ndomain gone.org\nid  doc-7 \nurl https://x.org/a b\n"
    assert listed(text, "l") == [
        ("domain", "gone.org"),
        ("id", " doc-7"),
        ("url", "https://x.org/a b"),
    ]
    assert asked(listed(text, "l")).id == ("doc-7",)
    with pytest.raises(ConfigError, match=r"list\.txt, line 2: 'gone\.org'"):
        listed("id x\ngone.org\n", "list.txt")
    with pytest.raises(ConfigError, match="names nothing"):
        asked([("domain", "  ")])


# ---------------------------------------------------------------- out of the splits


def test_what_is_taken_down_is_out_of_the_next_snapshot_and_nothing_is_computed(
    tmp_path: Path,
) -> None:
    write_web(tmp_path)
    pipeline = run(tmp_path)
    everything = numbers(pipeline)
    assert everything == set(range(24))
    take_down(pipeline, ("domain", "gone.org"), ("id", "doc-4"), ("url", "keep.org/page/8"))
    watching = Silent()
    Pipeline(pipeline.config).run(watching)
    gone = {k for k in range(24) if k % 4 in (1, 2)} | {4, 8}
    assert watching.phases == []
    assert numbers(pipeline) == everything - gone
    assert numbers(pipeline, "A5") <= everything - gone
    snapshot = latest(pipeline.ledger)
    assert snapshot is not None
    assert (snapshot.number, snapshot.takedown, snapshot.taken_down_rows) == (2, 1, len(gone))
    before = numbered(pipeline.ledger, 1)
    assert sum(rows.num_rows for rows in read_split(pipeline.ledger, before, "A4")) == 24


def test_documents_that_come_later_are_taken_down_as_they_are_read(tmp_path: Path) -> None:
    write_web(tmp_path)
    pipeline = run(tmp_path)
    take_down(pipeline, ("domain", "gone.org"))
    later = [web_document(k, "gone.org" if k % 2 else "keep.org") for k in range(100, 104)]
    write_jsonl(tmp_path / "corpus/later.jsonl.gz", later)
    again = run(tmp_path)
    assert again.status().stages[0].rejects == {"taken_down": 2}
    assert {100, 102} <= numbers(again)
    assert not {101, 103} & numbers(again)
    for number in (101, 103):
        assert held_under(tmp_path / "out", f"{SECRET}{number:04d}") == []


def test_a_whole_object_goes_by_the_name_that_it_has_now(tmp_path: Path) -> None:
    write_web(tmp_path)
    run(tmp_path)
    (tmp_path / "corpus/web-0.jsonl.gz").rename(tmp_path / "corpus/moved.jsonl.gz")
    pipeline = run(tmp_path)
    take_down(pipeline, ("object", str(tmp_path / "corpus/moved.jsonl.gz")))
    assert numbers(run(tmp_path)) == set(range(12, 24))


# ---------------------------------------------------------------- purged


def purge_and_check(folder: Path, gone: set[int], *, run_is_dead: bool = False) -> Pipeline:
    pipeline = Pipeline(config(folder, recipe__curate={"a4": 1.0, "a5": 3.2}))
    custody.purge_withdrawn(pipeline, Silent(), run_is_dead=run_is_dead)
    for number in range(24):
        holding = held_under(folder / "out", f"{SECRET}{number:04d} ")
        assert bool(holding) != (number in gone), (number, holding)
    assert numbers(pipeline) == set(range(24)) - gone
    return pipeline


def test_after_a_purge_no_object_under_the_root_holds_a_withdrawn_text(tmp_path: Path) -> None:
    write_web(tmp_path)
    pipeline = run(tmp_path)
    run(tmp_path, recipe__score__signals=["likelihood"])  # another recipe's parts hold it too
    pipeline = run(tmp_path)
    take_down(pipeline, ("domain", "gone.org"), ("id", "doc-0"))
    gone = {k for k in range(24) if k % 4 in (1, 2)} | {0}
    pipeline = purge_and_check(tmp_path, gone)
    for number in gone:
        assert held_under(tmp_path / "out", f"{SECRET}{number:04d}") == [], "metadata hold it too"
    # Every account still holds, the snapshots that held them are gone, and nothing is pending.
    status = pipeline.status()
    assert status.stages[0].rejects == {"taken_down": len(gone)}
    rows_in = 24
    for stage in status.stages:
        assert stage.rows_in == rows_in
        rows_in = stage.rows_in - sum(stage.rejects.values())
    assert len(snapshots(pipeline.ledger)) == 1
    watching = Silent()
    Pipeline(pipeline.config).run(watching)
    assert watching.phases == []


def test_an_orphan_a_leftover_and_a_loose_split_are_purged_too(tmp_path: Path) -> None:
    write_web(tmp_path)
    pipeline = run(tmp_path)
    out = tmp_path / "out"
    part = next((out / "parts/select").iterdir())
    (part.parent / f"{part.stem[:-3]}abc.parquet").write_bytes(part.read_bytes())
    (out / "parts/select/.tmp-0123").write_bytes(part.read_bytes())
    split = next(out.glob("splits/*/A4/*.parquet"))
    (out / "training/feedbeef").mkdir(parents=True)  # of one that was killed
    (out / "training/feedbeef/examples.parquet").write_bytes(part.read_bytes())
    (out / "splits/feedbeef/A4").mkdir(parents=True)
    (out / "splits/feedbeef/A4/part-00000.parquet").write_bytes(split.read_bytes())
    take_down(pipeline, ("domain", "gone.org"))
    purge_and_check(tmp_path, {k for k in range(24) if k % 4 in (1, 2)})


def test_a_purge_empties_the_lake_table_too(tmp_path: Path) -> None:
    write_web(tmp_path)
    pipeline = run(tmp_path, placement__lake={"uri": "lake"})
    assert held_under(tmp_path / "lake", f"{SECRET}0001 ")
    take_down(pipeline, ("domain", "gone.org"))
    custody.purge_withdrawn(pipeline, Silent())
    for number in range(24):
        assert bool(held_under(tmp_path / "lake", f"{SECRET}{number:04d}")) != (
            number % 4 in (1, 2)
        )


def test_a_purge_waits_for_a_run_that_may_be_under_way(tmp_path: Path) -> None:
    write_web(tmp_path)
    pipeline = run(tmp_path)
    take_down(pipeline, ("id", "doc-3"))
    later = {**(pipeline.journal.last() or {}), "run": "20990101T000000Z-aaaaaa"}
    del later["ended_at"]
    pipeline.journal.put_run(str(later["run"]), later)
    with pytest.raises(ConfigError, match="has not ended"):
        custody.purge_withdrawn(pipeline, Silent())
    purge_and_check(tmp_path, {3}, run_is_dead=True)


def test_a_purge_killed_before_any_change_to_the_store_is_finished_by_another(
    tmp_path: Path,
) -> None:
    nth = 1
    while True:
        folder = tmp_path / str(nth)
        folder.mkdir()
        write_web(folder)
        pipeline = run(folder)
        take_down(pipeline, ("domain", "gone.org"))
        cut = CutOff(nth)
        try:
            with cut.on():
                custody.purge_withdrawn(pipeline, Silent())
        except Cut:
            nth += 4  # every fourth: each is a run of its own
        else:
            break
        purge_and_check(folder, {k for k in range(24) if k % 4 in (1, 2)}, run_is_dead=True)
    assert nth > 40


# ---------------------------------------------------------------- compared


def counted(pipeline: Pipeline, before: int, after: int) -> dict[tuple[str, str], int]:
    ledger = pipeline.ledger
    found = changes(ledger, numbered(ledger, before), numbered(ledger, after))
    return dict(Counter((change.kind, change.reason) for change in found))


def grow(folder: Path) -> None:
    write_jsonl(folder / "corpus/more.jsonl.gz", [document(k) for k in range(500, 504)])


def shrink(folder: Path) -> None:
    (folder / "corpus/part-0.jsonl.gz").unlink()


def change(folder: Path) -> None:
    write_jsonl(folder / "corpus/part-0.jsonl.gz", [document(k) for k in range(7)])


def rename(folder: Path) -> None:
    (folder / "corpus/part-0.jsonl.gz").rename(folder / "corpus/other.jsonl.gz")
    grow(folder)  # else nothing new would be published


@pytest.mark.parametrize(
    ("happens", "expected"),
    [
        (grow, {("added", "new object"): 4}),
        (shrink, {("removed", "object gone"): 18}),
        (change, {("removed", "object changed"): 18, ("added", "object changed"): 7}),
        (rename, {("added", "new object"): 4}),
    ],
    ids=["grown", "shrunk", "changed", "renamed"],
)
def test_what_the_corpus_brought_or_took_is_told_with_its_reason(
    tmp_path: Path, happens: Callable[[Path], None], expected: dict[tuple[str, str], int]
) -> None:
    write_corpus(tmp_path)
    pipeline = run(tmp_path)
    happens(tmp_path)
    run(tmp_path)
    assert counted(pipeline, 1, 2) == expected
    swapped = {"added": "removed", "removed": "added"}
    reasons = {"new object": "object gone", "object gone": "new object"}
    assert counted(pipeline, 2, 1) == {
        (swapped[kind], reasons.get(reason, reason)): n for (kind, reason), n in expected.items()
    }


def test_what_a_threshold_or_a_takedown_changed_is_told_row_by_row(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    pipeline = run(tmp_path)
    rows = published(pipeline)
    run_again = Pipeline(config(tmp_path, recipe__curate={"a4": 3.0, "a5": 3.2}))
    run_again.run(Silent())
    low = sum(row["score"] < 3.0 for row in rows)
    assert low
    assert counted(pipeline, 1, 2) == {("removed", "below_a4"): low}
    assert counted(pipeline, 2, 1) == {("added", "below_a4"): low}
    Pipeline(config(tmp_path, recipe__curate={"a4": 3.0, "a5": 3.1})).run(Silent())
    better = sum(3.1 <= row["score"] < 3.2 for row in rows)
    assert counted(pipeline, 2, 3) == ({("changed", "split"): better} if better else {})
    take_down(pipeline, ("id", next(r["document_id"] for r in rows if r["score"] >= 3.0)))
    Pipeline(config(tmp_path, recipe__curate={"a4": 3.0, "a5": 3.1})).run(Silent())
    assert counted(pipeline, latest_number(pipeline) - 1, latest_number(pipeline)) == {
        ("removed", "taken down"): 1
    }


def latest_number(pipeline: Pipeline) -> int:
    return snapshots(pipeline.ledger)[-1].number


def test_equal_snapshots_differ_in_nothing_and_no_part_is_read(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    pipeline = run(tmp_path)
    for part in (tmp_path / "out/parts/curate").iterdir():
        part.write_bytes(b"not read")
    assert counted(pipeline, 1, 1) == {}


def test_a_snapshot_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    pipeline = run(tmp_path)
    with pytest.raises(StoreError, match="no snapshot 7; there are: 1"):
        numbered(pipeline.ledger, 7)


# ---------------------------------------------------------------- expired and swept


def files_under(root: Path) -> set[str]:
    return {str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()}


def test_an_expiry_takes_what_only_old_snapshots_hold_and_nothing_else(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    run(tmp_path)
    run(tmp_path, recipe__score__signals=["likelihood"])  # scores and curates anew
    shrink(tmp_path)
    pipeline = run(tmp_path)
    rows = published(pipeline)
    going = custody.plan_expiry(pipeline, keep=1, older_than_seconds=-60)
    assert [snapshot.number for snapshot in going.snapshots] == [1, 2]
    before = files_under(tmp_path / "out")
    assert files_under(tmp_path / "out") == before, "a plan touches nothing"
    expire(pipeline.ledger, going)
    fresh = Pipeline(pipeline.config)
    assert published(fresh) == rows
    assert fresh.plan().nothing_pending
    assert [snapshot.number for snapshot in snapshots(fresh.ledger)] == [3]
    left = files_under(tmp_path / "out")
    assert sum(name.startswith("commits/select/") for name in left) == 3
    assert sum(name.startswith("parts/score/") for name in left) == 3
    # What went is computed anew when it is wanted again, and the result is whole.
    write_corpus(tmp_path)
    again = run(tmp_path)
    assert len(published(again)) == 36


def test_the_latest_snapshot_never_expires_and_young_ones_stay(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    run(tmp_path)
    grow(tmp_path)
    pipeline = run(tmp_path)
    assert custody.plan_expiry(pipeline, 1, 3600).snapshots == []
    assert [s.number for s in custody.plan_expiry(pipeline, 0, -60).snapshots] == [1]
    for keep in (2, 3, 4):  # as many as there are, and more
        assert custody.plan_expiry(pipeline, keep, -60).snapshots == []


def test_an_expiry_of_an_old_recipe_leaves_what_is_known_of_the_corpus_under_the_new_one(
    tmp_path: Path,
) -> None:
    write_corpus(tmp_path)
    run(tmp_path)
    pipeline = run(tmp_path, recipe__select__max_chars=4000)  # the same shards, selected anew
    going = custody.plan_expiry(pipeline, keep=1, older_than_seconds=-60)
    assert [snapshot.number for snapshot in going.snapshots] == [1]
    expire(pipeline.ledger, going)
    fresh = Pipeline(pipeline.config)
    assert fresh.plan().nothing_pending
    assert len(published(fresh)) == 36


def test_an_expiry_killed_before_any_change_leaves_whole_snapshots_and_is_finished_by_a_sweep(
    tmp_path: Path,
) -> None:
    nth = 1
    while True:
        folder = tmp_path / str(nth)
        folder.mkdir()
        write_corpus(folder, files=1)
        run(folder, recipe__score__signals=["likelihood"])
        pipeline = run(folder)
        rows = published(pipeline)
        going = custody.plan_expiry(pipeline, 1, -60)
        cut = CutOff(nth)
        try:
            with cut.on():
                expire(pipeline.ledger, going)
        except Cut:
            nth += 2
        else:
            break
        for snapshot in snapshots(pipeline.ledger):
            assert sum(t.num_rows for t in read_split(pipeline.ledger, snapshot, "A4")) > 0
        fresh = run(folder)
        assert published(fresh) == rows
        expire(fresh.ledger, custody.plan_expiry(fresh, 1, -60))
        custody.sweep(fresh, custody.orphans(fresh, -60))
        assert custody.orphans(fresh, -60) == []
        assert published(run(folder)) == rows
    assert nth > 8


def test_a_sweep_takes_what_a_dead_publisher_left_and_no_file_of_a_snapshot(
    tmp_path: Path,
) -> None:
    write_corpus(tmp_path)
    pipeline = run(tmp_path)
    before = files_under(tmp_path / "out")
    loose = tmp_path / "out/splits/0123456789abcdef/A5/part-00000.parquet"
    loose.parent.mkdir(parents=True)
    loose.write_bytes(b"of a publisher that died")
    os.utime(loose, (1_000_000_000, 1_000_000_000))
    left = [f"{folder}/.tmp-0123" for folder in ("models", "splits", "stopped", "parts/select")]
    for key in left:
        (tmp_path / "out" / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / key).write_bytes(b"of a writer that died")
        os.utime(tmp_path / "out" / key, (1_000_000_000, 1_000_000_000))
    found = custody.orphans(pipeline, 3600)
    assert found == sorted(["splits/0123456789abcdef/A5/part-00000.parquet", *left])
    custody.sweep(pipeline, found)
    assert files_under(tmp_path / "out") == before


def test_a_sweep_takes_the_mark_that_stopped_a_run_once_that_has_ended(tmp_path: Path) -> None:
    """A run that was killed may have workers left, which are to see it."""
    write_corpus(tmp_path)
    pipeline = run(tmp_path)
    [ended] = pipeline.journal.runs()
    pipeline.journal.put_run("20260101T000000Z-killed", {"run": "20260101T000000Z-killed"})
    for name in (ended["run"], "20260101T000000Z-killed"):
        pipeline.journal.stop(name)
        os.utime(tmp_path / "out/stopped" / name, (1_000_000_000, 1_000_000_000))
    found = custody.orphans(pipeline, 3600)
    assert found == [f"stopped/{ended['run']}"]
    custody.sweep(pipeline, found)
    assert pipeline.journal.stopped("20260101T000000Z-killed")
    assert not pipeline.journal.stopped(ended["run"])
    assert custody.orphans(pipeline, -60) == []


def test_counts_of_attempts_go_once_their_run_has_ended_and_a_later_run_does_not_miss_them(
    tmp_path: Path,
) -> None:
    """Those of a run that was killed stay: its workers may be there still, and go on counting."""
    write_corpus(tmp_path)
    pipeline = run(tmp_path)
    pipeline.journal.put_run("20260101T000000Z-killed", {"run": "20260101T000000Z-killed"})
    pipeline.journal.begin_attempt("20260101T000000Z-killed", "select", "k")
    assert custody.counts(pipeline, 3600) == [], "they are young"
    found = custody.counts(pipeline, -60)
    assert {key.split("/")[1] for key in found} == {pipeline.journal.runs()[-1]["run"]}
    custody.delete_counts(pipeline, found)
    left = [info.key for info in pipeline.ledger.store.list("attempts/")]
    assert left == ["attempts/20260101T000000Z-killed/select/k.1"]
    assert sum(run(tmp_path).run(Silent()).made.values()) == 0


def test_nothing_is_withdrawn_before_the_first_takedown(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    assert not withdrawn(run(tmp_path).ledger)
