"""Copies of earlier segments are refused: within a corpus, between runs, whatever befalls a run."""

import io
import random
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from backtrans import custody, generations
from backtrans.corpus.similarity import Sketch, estimate
from backtrans.errors import RunIncomplete
from backtrans.expiry import expire
from backtrans.pipeline import Pipeline
from backtrans.store import Store, StoreSettings
from backtrans.takedown import asked, record
from tests.cuts import Cut, CutOff, misread
from tests.jobs import Silent, config, document, published, write_jsonl
from tests.test_corpus_similarity import changed, true_similarity

OTHERS = {"recipe__curate": {"a4": 1.0, "a5": 3.2}}
"""What would otherwise refuse rows too."""

Outcome = tuple[str | None, str | None]
"""A reason, and the document that the detail names."""


def copy_of(number: int, name: str, share: float = 0.0) -> dict[str, Any]:
    """A document like another, with this share of its words changed, under an id of its own."""
    text = changed(document(number)["text"], share, random.Random(name))
    return {**document(number), "id": name, "text": text}


def write_clusters(folder: Path, files: int = 3, each: int = 12, seed: int = 1) -> None:
    """Write files of documents of which about half are copies of others, somewhere."""
    drawn = random.Random(seed)
    made = []
    for number in range(files * each):
        of = drawn.randrange(files * each // 2)
        share = drawn.choice([0.0, 0.0, 0.005, 0.01, 0.02, 0.05])
        made.append(copy_of(of, f"doc-{number}", share))
    for file in range(files):
        write_jsonl(folder / f"corpus/part-{file}.jsonl.gz", made[file * each : (file + 1) * each])


def run(folder: Path, **changes: Any) -> Pipeline:
    Pipeline(config(folder, **OTHERS | changes)).run(Silent())
    return Pipeline(config(folder, **OTHERS | changes))


def segments(pipeline: Pipeline) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in pipeline.rows("select") if row["reject_reason"] is None}


def outcomes(pipeline: Pipeline) -> dict[str, Outcome]:
    """Return what became of each document's segment."""
    found = segments(pipeline)
    outcome: dict[str, Outcome] = {}
    for row in pipeline.rows("deduplicate"):
        detail = row["reject_detail"]
        like = found[detail.split()[-1]]["document_id"] if detail else None
        outcome[found[row["id"]]["document_id"]] = (row["reject_reason"], like)
    return outcome


def delivered(pipeline: Pipeline) -> set[str]:
    return {row["document_id"] for row in published(pipeline)}


def decisions(pipeline: Pipeline) -> list[dict[str, Any]]:
    """Return the rows of the stage, without regard to which run made them."""
    return sorted(pipeline.rows("deduplicate"), key=lambda row: str(row["id"]))


def index(pipeline: Pipeline) -> list[str]:
    return [info.key for info in pipeline.ledger.store.list("deduplicate/")]


@contextmanager
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have several batches, buckets and spans where there is little."""
    with monkeypatch.context() as patched:
        patched.setattr(generations, "BATCH_SEGMENTS", 10)
        patched.setattr(generations, "BUCKET_ROWS", 100)
        patched.setattr(generations, "SPAN_BATCHES", 2)
        for name in ("stages.match", "stages.deduplicate"):
            patched.setattr(f"backtrans.{name}.SPAN_BATCHES", 2)
        yield


# ------------------------------------------------------------------ what is refused


def test_the_first_of_the_same_words_stays_and_the_others_name_it(tmp_path: Path) -> None:
    again = copy_of(1, "again")
    again["text"] = again["text"].upper().replace(" ", ",\n")
    write_jsonl(tmp_path / "corpus/a.jsonl.gz", [document(0), document(1), document(2)])
    write_jsonl(tmp_path / "corpus/b.jsonl.gz", [copy_of(1, "copy"), document(3), again])
    pipeline = run(tmp_path)
    same = {"doc-1", "copy", "again"}
    found = outcomes(pipeline)
    kept = {name for name, (reason, _) in found.items() if reason is None}
    (first,) = kept & same
    assert kept - same == {"doc-0", "doc-2", "doc-3"}
    assert {name: found[name] for name in same - {first}} == dict.fromkeys(
        same - {first}, ("duplicate", first)
    )
    assert delivered(pipeline) == kept


def test_one_that_is_merely_alike_is_refused_with_the_similarity(tmp_path: Path) -> None:
    near = copy_of(1, "near", 0.01)
    far = copy_of(1, "far", 0.2)
    write_jsonl(tmp_path / "corpus/a.jsonl.gz", [document(1), near, far])
    pipeline = run(tmp_path)
    rows = [row for row in pipeline.rows("deduplicate") if row["reject_reason"]]
    (row,) = rows
    assert row["reject_reason"] == "near_duplicate"
    said = estimate(Sketch.of(document(1)["text"]), Sketch.of(near["text"]))
    assert row["reject_detail"].startswith(f"{said:.2f} like ")
    assert len(delivered(pipeline) & {"doc-1", "near"}) == 1
    assert "far" in delivered(pipeline)


def test_every_segment_has_the_verdict_of_a_loop_over_all_earlier_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_clusters(tmp_path)
    with small_pieces(monkeypatch):
        pipeline = run(tmp_path)
    found = segments(pipeline)
    sketches = {name: Sketch.of(found[name]["text"]) for name in sorted(found)}
    expected: dict[str, tuple[str | None, str | None]] = {}
    for place, (name, mine) in enumerate(sketches.items()):
        expected[name] = (None, None)
        earlier = list(sketches.items())[:place]
        same = [other for other, its in earlier if its.content == mine.content]
        like = [
            other
            for other, its in earlier
            if set(its.bands) & set(mine.bands) and estimate(its, mine) >= 0.7
        ]
        if same:
            expected[name] = ("duplicate", same[0])
        elif like:
            expected[name] = ("near_duplicate", like[0])
    said = {
        row["id"]: (row["reject_reason"], (row["reject_detail"] or "").split()[-1:] or [None])
        for row in decisions(pipeline)
    }
    assert {name: (reason, like[0]) for name, (reason, like) in said.items()} == expected
    reasons = {reason for reason, _ in expected.values()}
    assert reasons == {None, "duplicate", "near_duplicate"}


def test_it_is_a_line_of_the_status_and_its_rows_add_up(tmp_path: Path) -> None:
    write_clusters(tmp_path)
    stages = {stage.stage: stage for stage in run(tmp_path).status().stages}
    copies = stages["deduplicate"]
    assert list(stages)[:2] == ["select", "deduplicate"]
    assert copies.rows_in == stages["select"].kept == 36
    assert copies.kept == stages["backtranslate"].rows_in < 36
    assert copies.kept + sum(copies.rejects.values()) == 36


def test_switched_off_there_is_no_such_stage_and_copies_are_asked_about(tmp_path: Path) -> None:
    write_clusters(tmp_path)
    pipeline = run(tmp_path, recipe__deduplicate={"enabled": False})
    assert "deduplicate" not in {stage.stage for stage in pipeline.status().stages}
    assert len(delivered(pipeline)) == 36
    assert index(pipeline) == []
    assert pipeline.plan().nothing_pending


def test_without_near_only_the_same_words_are_copies(tmp_path: Path) -> None:
    documents = [document(1), copy_of(1, "near", 0.01), copy_of(1, "same"), document(2)]
    write_jsonl(tmp_path / "corpus/a.jsonl.gz", documents)
    pipeline = run(tmp_path, recipe__deduplicate={"near": False})
    assert pipeline.status().stages[1].rejects == {"duplicate": 1}
    changed_since = Pipeline(config(tmp_path, **OTHERS, recipe__deduplicate={"near": True}))
    assert "deduplicate" in changed_since.plan().changed_stages
    unused = {"near": False, "threshold": 0.9}  # what is not used decides nothing
    assert Pipeline(config(tmp_path, **OTHERS, recipe__deduplicate=unused)).plan().nothing_pending


# ------------------------------------------------------------------ the same whoever does it


@pytest.mark.parametrize(
    "how",
    [
        {"placement__readers": {"in_flight": 5}},
        pytest.param({"placement__root": "elsewhere"}, marks=pytest.mark.slow),
        pytest.param(
            {"placement__runtime": "ray", "placement__readers": {"min": 2, "max": 2}},
            marks=[pytest.mark.ray, pytest.mark.slow],
        ),
    ],
    ids=["several in flight", "another root", "two actors of Ray"],
)
def test_decisions_do_not_depend_on_who_makes_them(tmp_path: Path, how: dict[str, Any]) -> None:
    write_clusters(tmp_path)
    plain = run(tmp_path)
    other = run(tmp_path, **{"placement__root": "other"} | how)
    assert decisions(other) == decisions(plain)
    assert delivered(other) == delivered(plain)


@pytest.mark.slow
def test_decisions_do_not_depend_on_names_batches_or_buckets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_clusters(tmp_path)
    plain = run(tmp_path)
    with small_pieces(monkeypatch):
        small = run(tmp_path, placement__root="small")
        parts = {key.split("/")[3] for key in index(small) if key.count("/") > 3}
        entries = [key for key in index(small) if "/entries/" in key]
        assert parts == {"entries", "segments", "verdicts", "copies"}
        assert len(entries) > 20
        assert decisions(small) == decisions(plain)
    for number, path in enumerate(sorted((tmp_path / "corpus").iterdir(), reverse=True)):
        path.rename(path.with_name(f"{number}.jsonl.gz"))
    renamed = run(tmp_path, placement__root="renamed")
    assert decisions(renamed) == decisions(plain)


@pytest.mark.slow
def test_two_drivers_at_once_decide_alike(tmp_path: Path) -> None:
    write_clusters(tmp_path, files=5)
    alone = run(tmp_path, placement__root="alone")
    shared = config(tmp_path, **OTHERS, placement__root="shared")  # read once: not while written
    with ThreadPoolExecutor(3) as drivers:
        begun = [drivers.submit(Pipeline(shared).run, Silent()) for _ in range(3)]
        for each in begun:
            each.result()
    together = Pipeline(shared)
    assert together.plan().nothing_pending
    records = [key for key in index(together) if "/generations/" in key]
    if len(records) == 1:  # else one of them began before the others had read everything
        assert decisions(together) == decisions(alone)
    refused = {name for name, (reason, _) in outcomes(together).items() if reason}
    assert len(refused) == len([1 for reason, _ in outcomes(alone).values() if reason])


@pytest.mark.slow
def test_killed_before_any_change_to_the_store_the_next_run_decides_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_clusters(tmp_path)
    with small_pieces(monkeypatch):
        # Selected already, and with a generation before: an earlier part of the same corpus.
        selected = tmp_path / "selected"
        later = tmp_path / "corpus/part-2.jsonl.gz"
        later.rename(tmp_path / "later")
        run(tmp_path, placement__root="selected")
        (tmp_path / "later").rename(later)
        shutil.copytree(selected, tmp_path / "counted")
        counting = CutOff()
        with counting.on():
            whole = run(tmp_path, placement__root="counted")
        assert counting.changes > 40
        expected, shown = decisions(whole), delivered(whole)
        for nth in range(1, counting.changes + 1):
            shutil.copytree(selected, tmp_path / "cut")
            with CutOff(nth).on(), pytest.raises(Cut):
                run(tmp_path, placement__root="cut")
            after = run(tmp_path, placement__root="cut")
            assert decisions(after) == expected, nth
            assert delivered(after) == shown, nth
            assert after.plan().nothing_pending
            shutil.rmtree(tmp_path / "cut")


# ------------------------------------------------------------------ a corpus that changes


def test_a_refresh_drops_copies_of_what_was_delivered_and_changes_nothing_earlier(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_clusters(tmp_path)
    with small_pieces(monkeypatch):
        before = run(tmp_path)
        earlier, shown = decisions(before), delivered(before)
        one = sorted(shown)[0]
        text = next(r["text"] for r in segments(before).values() if r["document_id"] == one)
        # Small enough for one bucket by itself: it looks into those that there are.
        fresh = [{**document(500), "id": "copy", "text": text}, document(501)]
        write_jsonl(tmp_path / "corpus/a-new-one.jsonl.gz", fresh)
        after = run(tmp_path)
    assert [row for row in decisions(after) if row in earlier] == earlier
    assert outcomes(after)["copy"] == ("duplicate", one)
    assert delivered(after) == shown | {"doc-501"}


def test_a_small_beginning_is_found_again_in_the_many_buckets_of_a_large_refresh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_jsonl(tmp_path / "corpus/a.jsonl.gz", [document(number) for number in range(4)])
    with small_pieces(monkeypatch):
        assert len([key for key in index(run(tmp_path)) if "/verdicts/" in key]) == 1
        fresh = [copy_of(number, f"copy-{number}", number / 200) for number in range(4)]
        fresh += [document(number) for number in range(10, 46)]
        write_jsonl(tmp_path / "corpus/b.jsonl.gz", fresh)
        after = run(tmp_path)
    refused = {name: like for name, (reason, like) in outcomes(after).items() if reason}
    assert refused == {f"copy-{number}": f"doc-{number}" for number in range(4)}


def test_an_object_that_changed_keeps_what_stayed_in_it(tmp_path: Path) -> None:
    """Its shards are new, and those that they take the place of no longer count."""
    first = [document(1), document(2), copy_of(1, "copy"), copy_of(2, "near", 0.005)]
    write_jsonl(tmp_path / "corpus/a.jsonl.gz", first)
    write_jsonl(tmp_path / "corpus/b.jsonl.gz", [copy_of(1, "elsewhere"), document(3)])
    run(tmp_path)
    write_jsonl(tmp_path / "corpus/a.jsonl.gz", [*first, document(4)])
    after = run(tmp_path)
    for alike in ({"doc-1", "copy", "elsewhere"}, {"doc-2", "near"}, {"doc-3"}, {"doc-4"}):
        assert len(alike & delivered(after)) == 1


@pytest.mark.slow
def test_a_copy_comes_in_the_place_of_what_has_gone_and_once(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "corpus/a.jsonl.gz", [document(1), document(2)])
    run(tmp_path)
    (tmp_path / "corpus/a.jsonl.gz").unlink()
    fresh = [copy_of(1, "copy"), document(3), copy_of(1, "another", 0.005)]
    write_jsonl(tmp_path / "corpus/b.jsonl.gz", fresh)
    shown = delivered(run(tmp_path))
    assert "doc-3" in shown
    assert len(shown) == 2
    write_jsonl(tmp_path / "corpus/c.jsonl.gz", [copy_of(1, "a third")])
    assert delivered(run(tmp_path)) == shown


@pytest.mark.slow
def test_another_recipe_upstream_decides_anew(tmp_path: Path) -> None:
    write_clusters(tmp_path)
    run(tmp_path)
    other = run(tmp_path, recipe__select={"min_chars": 90, "max_chars": 5000})
    places = {key.split("/")[1] for key in index(other)}
    assert len(places) == 2
    assert len(delivered(other)) == len(delivered(run(tmp_path)))


def test_rows_that_a_retry_brings_are_compared_with_all_before_and_those_decided_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_clusters(tmp_path, files=2)
    with small_pieces(monkeypatch):
        with misread("invalid_utf8", {2, 5, 9}):
            before = run(tmp_path)
        kept = {name for name, (reason, _) in outcomes(before).items() if reason is None}
        Pipeline(before.config).run(Silent(), ["invalid_utf8"])
        after = Pipeline(before.config)
    found = outcomes(after)
    assert len(found) == 24
    assert all(found[name] == (None, None) for name in kept)
    texts = {row["document_id"]: row["text"] for row in segments(after).values()}
    for name in found.keys() - outcomes(before).keys():
        like = [k for k in kept if true_similarity(texts[k], texts[name]) > 0.95]
        assert (found[name][0] is None) == (not like) or found[name][1] not in kept
    assert after.plan().nothing_pending


# ------------------------------------------------------------------ what is withdrawn, or old


@pytest.mark.slow
def test_copies_of_an_object_that_is_withdrawn_do_not_come_either(tmp_path: Path) -> None:
    path = tmp_path / "corpus/a.jsonl.gz"
    write_jsonl(path, [document(1), document(2)])
    before = run(tmp_path)
    record(before.ledger, asked([("object", str(path))], "asked to"))
    write_jsonl(tmp_path / "corpus/b.jsonl.gz", [copy_of(1, "copy"), document(3)])
    assert delivered(run(tmp_path)) == {"doc-3"}


@pytest.mark.slow
def test_copies_of_what_is_withdrawn_do_not_come_in_its_place(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "corpus/a.jsonl.gz", [document(1), copy_of(1, "copy"), document(2)])
    before = run(tmp_path)
    (first,) = delivered(before) & {"doc-1", "copy"}
    record(before.ledger, asked([("id", first)], "asked to"))
    after = run(tmp_path)
    assert delivered(after) == {"doc-2"}
    custody.purge_withdrawn(after, Silent())
    purged = run(tmp_path)
    assert delivered(purged) == {"doc-2"}
    assert purged.plan().nothing_pending
    for stage in purged.status().stages:
        assert stage.rows_in == stage.kept + sum(stage.rejects.values())
    write_jsonl(tmp_path / "corpus/b.jsonl.gz", [copy_of(1, "another"), document(3)])
    assert delivered(run(tmp_path)) == {"doc-2", "doc-3"}


@pytest.mark.slow
def test_purged_at_any_point_of_an_unfinished_run_the_next_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_clusters(tmp_path, files=2)
    counting = CutOff()
    with small_pieces(monkeypatch):
        with counting.on():
            run(tmp_path, placement__root="counted")
        assert counting.changes > 40
        for nth in range(8, counting.changes, 5):
            root = f"cut-{nth}"
            with CutOff(nth).on(), pytest.raises(Cut):
                run(tmp_path, placement__root=root)
            cut = Pipeline(config(tmp_path, **OTHERS, placement__root=root))
            record(cut.ledger, asked([("id", "doc-3")], "asked to"))
            with suppress(RunIncomplete):  # there is nothing whole to publish yet
                custody.purge_withdrawn(cut, Silent(), run_is_dead=True)
            after = run(tmp_path, placement__root=root)
            assert after.plan().nothing_pending, nth
            assert "doc-3" not in delivered(after)
            assert not any(row["document_id"] == "doc-3" for row in segments(after).values())


@pytest.mark.slow
def test_what_vanishes_or_is_withdrawn_while_copies_are_sought_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_clusters(tmp_path)
    with small_pieces(monkeypatch):
        counting = CutOff()
        with counting.on():
            run(tmp_path, placement__root="counted")
        assert counting.changes > 40
        for nth in range(14, counting.changes - 10, 9):
            with CutOff(nth).on(), pytest.raises(Cut):
                run(tmp_path, placement__root=f"cut-{nth}")
            gone = tmp_path / "corpus/part-1.jsonl.gz"
            gone.rename(tmp_path / "gone")
            cut = Pipeline(config(tmp_path, **OTHERS, placement__root=f"cut-{nth}"))
            record(cut.ledger, asked([("id", "doc-3")], "asked to"))
            after = run(tmp_path, placement__root=f"cut-{nth}")
            assert after.plan().nothing_pending, nth
            shown = delivered(after)
            assert shown <= {f"doc-{k}" for k in (*range(12), *range(24, 36))} - {"doc-3"}, nth
            (tmp_path / "gone").rename(gone)
            assert shown <= delivered(run(tmp_path, placement__root=f"cut-{nth}")), nth


@pytest.mark.slow
def test_a_part_that_cannot_be_read_costs_its_shard_and_no_other(tmp_path: Path) -> None:
    write_clusters(tmp_path)
    selecting = Pipeline(config(tmp_path, **OTHERS, placement__root="out"))
    cut = next(n for n in range(1, 200) if _broken_after(selecting, tmp_path, n))
    assert cut
    pipeline = Pipeline(config(tmp_path, **OTHERS))
    with pytest.raises(RunIncomplete, match="not a readable part"):
        pipeline.run(Silent())
    stages = {stage.stage: stage.shards for stage in pipeline.status().stages}
    assert stages["deduplicate"] == stages["curate"] == stages["select"] - 1


def _broken_after(pipeline: Pipeline, folder: Path, nth: int) -> bool:
    """Kill a run at the nth change; where all is selected and no more, break one part."""
    shutil.rmtree(folder / "out", ignore_errors=True)
    with CutOff(nth).on(), pytest.raises(Cut):
        Pipeline(pipeline.config).run(Silent())
    parts = sorted((folder / "out/parts/select").glob("*")) if (folder / "out").exists() else []
    indexed = list((folder / "out/indexes").glob("*")) if parts else []
    if len(indexed) < 3:
        return False
    parts[0].write_bytes(b"not Parquet")
    return True


@pytest.mark.slow
def test_an_expiry_takes_the_index_of_a_recipe_that_only_old_snapshots_have(
    tmp_path: Path,
) -> None:
    write_clusters(tmp_path, files=2)
    old = run(tmp_path, recipe__deduplicate={"threshold": 0.6})
    mine = {key.split("/")[1] for key in index(old)}
    new = run(tmp_path)
    kept = [key for key in index(new) if key.split("/")[1] not in mine]
    expire(new.ledger, custody.plan_expiry(new, keep=1, older_than_seconds=-60))
    assert index(new) == kept != []
    assert custody.orphans(new, older_than_seconds=-60) == []
    again = run(tmp_path)
    assert again.plan().nothing_pending
    write_jsonl(tmp_path / "corpus/b.jsonl.gz", [copy_of(1, "copy")])
    decided = outcomes(run(tmp_path))
    assert decided["copy"][0] is not None or not any(k for k, v in decided.items() if v[1])


def test_what_a_killed_expiry_leaves_of_an_index_is_swept_and_nothing_else(tmp_path: Path) -> None:
    write_clusters(tmp_path, files=2)
    pipeline = run(tmp_path)
    kept = index(pipeline)
    place = kept[0].split("/")[1]
    stray = f"deduplicate/{place}/0123abcd/entries/00000/000000.parquet"
    pipeline.ledger.store.put(stray, b"")
    assert custody.orphans(pipeline, 3600) == []
    assert custody.orphans(pipeline, -60) == [stray]
    custody.sweep(pipeline, [stray])
    assert index(pipeline) == kept


# ------------------------------------------------------------------ the index


def test_the_index_holds_no_text(tmp_path: Path) -> None:
    write_clusters(tmp_path)
    pipeline = run(tmp_path)
    keys = index(pipeline)
    assert {key.split("/")[3] for key in keys} >= {"entries", "segments", "verdicts", "copies"}
    for key in keys:
        data = pipeline.ledger.store.get(key)
        assert b"word1" not in data
        if key.endswith(".parquet"):
            held = str(pq.read_table(io.BytesIO(data)).to_pylist())
            assert "word1" not in held


@pytest.mark.slow
def test_the_whole_story_on_any_store(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_clusters(tmp_path)
    here = run(tmp_path, placement__root="here")
    settings: StoreSettings = store.settings
    options = {
        "endpoint_url": settings.endpoint_url,
        "region": settings.region,
        "addressing": settings.addressing,
    }
    place = {"placement__root": settings.root, "placement__store": options}
    with small_pieces(monkeypatch):
        there = run(tmp_path, **place)
        assert decisions(there) == decisions(here)
        shown = delivered(there)
        first = sorted(shown)[0]
        text = next(r["text"] for r in segments(there).values() if r["document_id"] == first)
        fresh = [{**document(500), "id": "copy", "text": text}, document(501)]
        write_jsonl(tmp_path / "corpus/new.jsonl.gz", fresh)
        after = run(tmp_path, **place)
    assert outcomes(after)["copy"] == ("duplicate", first)
    assert delivered(after) == shown | {"doc-501"}
