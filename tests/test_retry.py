"""Rows that were refused, done again on demand: those alone, whatever dies in between."""

import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from backtrans.errors import ConfigError
from backtrans.ledger import Commit
from backtrans.pipeline import STAGES, Pipeline
from tests.cuts import MARKED, REASONS, Cut, CutOff, faulty_models, misread, write_marked
from tests.jobs import Silent, config, published

ALL = tuple(REASONS.values())
FAULTS = Counter(REASONS[marker] for marker in MARKED.values())
CURATE = {"a4": 1.0, "a5": 3.2}  # what is scored is kept, so that every row shows


class Job:
    """One corpus and recipe, over any number of roots."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.folder = folder
        write_marked(folder)
        models = changes.pop("recipe__models", faulty_models(folder))
        self._changes = {"recipe__models": models, "recipe__curate": CURATE, **changes}

    def over(self, root: str) -> Pipeline:
        changes = {**self._changes, "placement__root": root}
        return Pipeline(config(self.folder, name=f"{root}.yaml", **changes))

    def run(self, root: str, *reasons: str) -> tuple[Pipeline, Silent]:
        pipeline, watching = self.over(root), Silent()
        pipeline.run(watching, reasons)
        return pipeline, watching

    @contextmanager
    def mended(self) -> Iterator[None]:
        flag = self.folder / "mended"
        flag.touch()
        yield
        flag.unlink()

    def whole(self) -> list[dict[str, Any]]:
        """Return the splits of a run in which the fault never was."""
        with self.mended():
            pipeline, _ = self.run("whole")
        return published(pipeline)


def commits(pipeline: Pipeline, stage: str) -> dict[str, Commit]:
    return {commit.key: commit for commit in pipeline.ledger.commits(stage)}


def refused(pipeline: Pipeline) -> Counter[str]:
    return Counter(row.reason for row in pipeline.rejects())


def accounted(pipeline: Pipeline) -> None:
    rows_in = None
    for stage in pipeline.status().stages:
        assert stage.rows_in == stage.kept + sum(stage.rejects.values())
        assert rows_in in (None, stage.rows_in)
        rows_in = stage.kept


@pytest.mark.parametrize("forward_seed", [0, 7], ids=["one engine", "an engine each"])
def test_after_a_retry_the_splits_are_those_of_a_run_in_which_the_fault_never_was(
    tmp_path: Path, forward_seed: int
) -> None:
    job = Job(tmp_path, recipe__models=faulty_models(tmp_path, forward_seed))
    faulty, _ = job.run("out")
    assert refused(faulty) == FAULTS
    assert len(published(faulty)) == 24 - len(MARKED)
    with job.mended():
        after, watching = job.run("out", *ALL)
    assert published(after) == job.whole()
    assert len(published(after)) == 24
    assert not refused(after)
    assert f"retried {len(MARKED)} row(s): {len(MARKED)} came through" in watching.notes
    accounted(after)


def test_only_the_refused_rows_are_asked_again_and_the_rest_of_the_part_is_carried_over(
    tmp_path: Path,
) -> None:
    job = Job(tmp_path)
    before, _ = job.run("out")
    old = commits(before, "backtranslate")
    rows = {row["id"]: row for row in before.rows("backtranslate")}
    with job.mended():
        after, watching = job.run("out", "refused")
    new = commits(after, "backtranslate")
    for key, commit in new.items():
        again = old[key].counts.rejects.get("refused", 0)
        assert commit.usage.requests == old[key].usage.requests + again
        assert (commit.part == old[key].part) == (again == 0)
        assert commit.counts.rows_in == old[key].counts.rows_in
    came = [row for row in after.rows("backtranslate") if row != rows[row["id"]]]
    assert len(came) == FAULTS["refused"]
    assert {rows[row["id"]]["reject_reason"] for row in came} == {"refused"}
    assert [row["id"] for row in after.rows("backtranslate")] == list(rows)
    assert watching.phases == [("backtranslate+score", 2), ("curate", 2)]
    accounted(after)


def test_a_retry_of_the_judge_leaves_the_pairs_alone(tmp_path: Path) -> None:
    job = Job(tmp_path)
    before, _ = job.run("out")
    pairs, scores = commits(before, "backtranslate"), commits(before, "score")
    with job.mended():
        after, _ = job.run("out", "digit_improbable")
    assert commits(after, "backtranslate") == pairs
    changed = [key for key, commit in commits(after, "score").items() if commit != scores[key]]
    assert len(changed) == 2
    accounted(after)


def test_a_row_that_is_refused_again_stays_refused_and_nothing_below_is_computed(
    tmp_path: Path,
) -> None:
    job = Job(tmp_path)
    before, _ = job.run("out")
    after, watching = job.run("out", "refused", "digit_improbable")
    assert "retried 4 row(s): 0 came through" in watching.notes
    assert "curate" not in dict(watching.phases)
    assert refused(after) == FAULTS
    for stage in STAGES:
        assert commits(after, stage.name) == commits(before, stage.name)
    assert after.status().snapshot == before.status().snapshot


def test_a_retry_that_finds_nothing_to_do_opens_nothing_and_publishes_nothing(
    tmp_path: Path,
) -> None:
    job = Job(tmp_path)
    before, _ = job.run("out")
    after, watching = job.run("out", "prompt_too_long")
    assert watching.phases == []
    assert "retried 0 row(s): 0 came through" in watching.notes
    assert after.status().snapshot == before.status().snapshot
    assert after.ledger.epochs.last() == 0


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("refuse", "did you mean 'refused'"),
        ("below_a4", "change the recipe"),
        ("near_duplicate", "change the recipe"),
    ],
)
def test_a_reason_that_nothing_can_be_done_for_stops_the_run_before_it_starts(
    tmp_path: Path, reason: str, said: str
) -> None:
    job = Job(tmp_path)
    with pytest.raises(ConfigError, match=said):
        job.run("out", reason)
    assert not (tmp_path / "out").exists()


def test_what_was_replaced_is_swept_as_an_orphan_and_nothing_that_counts(tmp_path: Path) -> None:
    job = Job(tmp_path)
    job.run("out")
    with job.mended():
        after, _ = job.run("out", *ALL)
    orphans = after.ledger.orphans(0.0, 4e9)
    assert Counter(key.split("/")[1] for key in orphans) == {
        "backtranslate": 2, "score": 3, "curate": 3,
    }  # fmt: skip
    after.ledger.sweep(orphans)
    assert published(after) == job.whole()
    assert sum(1 for _ in after.rows("curate")) == 24


def test_what_a_late_worker_made_of_a_replaced_part_is_found_and_made_again(
    tmp_path: Path,
) -> None:
    job = Job(tmp_path)
    before, _ = job.run("out")
    late = {
        info.key: before.ledger.store.get(info.key)
        for stage in ("score", "curate")
        for info in before.ledger.store.list(f"commits/{stage}/")
    }
    with job.mended():
        job.run("out", *ALL)
        for key, record in late.items():  # as if these had come between the retry's steps
            before.ledger.store.put(key, record)
        plan = job.over("out").plan()
        assert plan.stages[3].pending == {"what it reads was replaced": 2}
        after, watching = job.run("out")
    whole = job.whole()
    shown = {row["id"]: row for row in published(after)}
    # The judge's own faults of that late worker are data like any other until they are retried.
    improbable = [k for k, marker in MARKED.items() if REASONS[marker] == "digit_improbable"]
    assert shown == {row["id"]: row for row in whole if row["row"] != improbable[-1]}
    assert ("curate", 2) in watching.phases
    accounted(after)


# ------------------------------------------------------------------ reading again


@pytest.mark.parametrize(
    ("reason", "rows"),
    [("invalid_utf8", {2, 9, 10}), ("unreadable_rest", {11}), ("unreadable_rest", {16})],
    ids=["three rows", "the rest of a shard, and one after", "a shard's first row"],
)
def test_rows_that_could_not_be_read_are_read_again(
    tmp_path: Path, reason: str, rows: set[int]
) -> None:
    job = Job(tmp_path)
    with misread(reason, rows), job.mended():
        before, _ = job.run("out")
    read = commits(before, "select")
    assert refused(before) == {reason: len(rows)}
    with job.mended():
        after, watching = job.run("out", reason)
    assert published(after) == job.whole()
    assert f"retried {len(rows)} row(s): {len(rows)} came through" in watching.notes
    first = next(commit for commit in read.values() if commit.first_row == 0)
    if min(rows) >= 8:
        assert commits(after, "select")[first.key] == first
    accounted(after)


def test_an_object_that_breaks_off_again_at_the_same_row_is_left_as_it_was(tmp_path: Path) -> None:
    job = Job(tmp_path)
    with misread("unreadable_rest", {11}), job.mended():
        before, _ = job.run("out")
        after, watching = job.run("out", "unreadable_rest")
    assert "retried 1 row(s): 0 came through" in watching.notes
    assert commits(after, "select") == commits(before, "select")
    assert published(after) == published(before)


# ------------------------------------------------------------------ killed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("reasons", "fault"),
    [(ALL, None), (("unreadable_rest",), {11}), (("invalid_utf8",), {2, 9})],
    ids=["asking", "the rest of an object", "rows that were misread"],
)
def test_killed_before_any_change_to_the_store_both_a_plain_run_and_a_retry_go_on_rightly(
    tmp_path: Path, reasons: tuple[str, ...], fault: set[int] | None
) -> None:
    job = Job(tmp_path)
    with (
        misread(reasons[0], fault) if fault else nullcontext(),
        job.mended() if fault else nullcontext(),
    ):
        before, _ = job.run("out")
    old = {row["id"]: row for row in published(before)}
    whole = job.whole()
    new = {row["id"]: row for row in whole}

    def fresh(name: str) -> str:
        shutil.copytree(tmp_path / "out", tmp_path / name)
        return name

    with job.mended():
        counting = CutOff()
        with counting.on():
            job.run(fresh("counted"), *reasons)
        assert counting.changes > 15
        for nth in range(1, counting.changes + 1):
            for plain_first in (False, True) if nth % 2 else (True,):
                root = fresh(f"cut-{nth}-{plain_first}")
                with CutOff(nth).on(), pytest.raises(Cut):
                    job.run(root, *reasons)
                if plain_first:
                    plain, _ = job.run(root)
                    accounted(plain)
                    assert plain.plan().nothing_pending
                    shown = {row["id"]: row for row in published(plain)}
                    assert old.keys() <= shown.keys() <= new.keys()
                    assert all(new[row_id] == row for row_id, row in shown.items())
                    if reasons == ("unreadable_rest",):
                        # Either the object still breaks off, or nothing of the rest is missing.
                        assert shown == (old if refused(plain) else new), nth
                after, _ = job.run(root, *reasons)
                assert published(after) == whole, (nth, plain_first)
                assert after.plan().nothing_pending
                accounted(after)
                shutil.rmtree(tmp_path / root)
