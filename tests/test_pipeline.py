"""The job end to end, on the scripted engine in this process: what a user may rely on."""

import gzip
import json
import shutil
from pathlib import Path

import datasets
import pytest

from backtrans.errors import InputError, ModelError, RunIncomplete, StoreError
from backtrans.pipeline import STAGES, Pipeline
from tests.jobs import DEDUPLICATING, Silent, config, document, published, write_corpus, write_jsonl


def run(folder: Path, **changes: object) -> tuple[Pipeline, Silent]:
    pipeline = Pipeline(config(folder, **changes))
    watching = Silent()
    pipeline.run(watching)
    return pipeline, watching


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a corpus and a run over it: to be copied, not changed."""
    folder = tmp_path_factory.mktemp("finished")
    write_corpus(folder)
    run(folder)
    return folder


def test_every_document_is_kept_or_rejected_with_a_reason_at_every_stage(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    pipeline, _ = run(tmp_path)
    status = pipeline.status()
    rows_in = 40
    for stage in status.stages:
        assert stage.rows_in == rows_in
        assert stage.kept + sum(stage.rejects.values()) == stage.rows_in
        rows_in = stage.kept
    assert status.stages[0].rejects == {"too_short": 4}
    assert status.snapshot is not None
    assert status.snapshot.rows["A4"] == rows_in > status.snapshot.rows["A5"] > 0


def test_a_published_row_stands_alone_and_says_where_it_came_from(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    pipeline, _ = run(tmp_path)
    rows = published(pipeline)
    by_document = {d["id"]: d for d in (document(k) for k in range(40))}
    assert rows
    for row in rows:
        source = by_document[row["document_id"]]
        assert row["response"] == source["text"][row["start_char"] : row["end_char"]]
        assert json.loads(row["metadata"]) == source["metadata"]
        assert row["instruction"]
        assert sum(row["distribution"]) == pytest.approx(1)
        assert row["object"].endswith(f"part-{source['metadata']['number'] // 20}.jsonl.gz")
        assert row["row"] == source["metadata"]["number"] % 20
        assert (row["backward_role"], row["forward_role"]) == ("backtranslate/1", "score/2")
        assert row["backward_model"].startswith("scripted:default@")


def test_a5_lies_within_a4_and_both_follow_their_thresholds(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    pipeline, _ = run(tmp_path)
    a4, a5 = published(pipeline, "A4"), published(pipeline, "A5")
    assert all(row["score"] >= 2.5 for row in a4)
    assert [row for row in a4 if row["score"] >= 3.2] == a5
    assert {row["split"] for row in a5} == {"A5"}


def test_datasets_opens_the_splits(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    pipeline, _ = run(tmp_path)
    status = pipeline.status()
    assert status.snapshot is not None
    opened = datasets.load_dataset(
        "parquet", data_files=status.files, cache_dir=str(tmp_path / "cache")
    )
    assert {name: len(split) for name, split in opened.items()} == status.snapshot.rows


def test_a_second_run_computes_nothing_and_publishes_nothing_new(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    first, _ = run(tmp_path)
    second, watching = run(tmp_path)
    assert watching.phases == []
    assert second.status().snapshot == first.status().snapshot


def test_a_plan_touches_nothing_and_says_why_each_shard_is_pending(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    fresh = Pipeline(config(tmp_path))
    plan = fresh.plan()
    assert (plan.objects, plan.unread_objects, plan.nothing_pending) == (2, 2, False)
    assert plan.stages[0].pending == {"a new or changed object": 2}
    assert not (tmp_path / "out").exists()
    run(tmp_path)
    assert Pipeline(config(tmp_path)).plan().nothing_pending
    changed = Pipeline(config(tmp_path, recipe__curate__a5=4.9)).plan()
    assert {s.stage: s.pending for s in changed.stages if s.pending} == {
        "curate": {"the recipe changed": 6}
    }


def test_a_changed_threshold_curates_anew_and_asks_no_model(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    run(tmp_path)
    after, watching = run(tmp_path, recipe__curate__a5=3.0)
    assert [name for name, _ in watching.phases] == ["curate"]
    assert "  curate.a5: 3.2 -> 3.0" in watching.notes
    assert "  makes pending: curate" in watching.notes
    assert [row["id"] for row in published(after, "A5")] == [
        row["id"] for row in published(after) if row["score"] >= 3.0
    ]


@pytest.mark.parametrize(
    ("change", "stages"),
    [
        ({"recipe__deduplicate__threshold": 0.5}, {s.name for s in STAGES} - {"select"}),
        (
            {"recipe__deduplicate__enabled": False},
            {s.name for s in STAGES} - {"select", "deduplicate"},
        ),
        ({"recipe__score__signals": ["likelihood"]}, {"score", "curate"}),
        ({"recipe__backtranslate__temperature": 0.5}, {"backtranslate", "score", "curate"}),
        ({"recipe__select__min_chars": 10}, {s.name for s in STAGES}),
        ({"recipe__corpus__shard_rows": 5}, {s.name for s in STAGES}),
        ({"placement__max_attempts": 5}, set()),
        ({"placement__engine": {"max_sequences": 7}}, set()),
    ],
)
def test_a_recipe_change_computes_what_depends_on_it_and_nothing_else(
    finished: Path, tmp_path: Path, change: dict[str, object], stages: set[str]
) -> None:
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    pipeline = Pipeline(config(tmp_path, **change))
    assert set(pipeline.plan().changed_stages) == stages
    assert set(pipeline.run(Silent()).made) == stages


def test_content_under_a_new_name_is_not_computed_again(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    before, _ = run(tmp_path)
    (tmp_path / "corpus/part-0.jsonl.gz").rename(tmp_path / "corpus/renamed.jsonl.gz")
    after, watching = run(tmp_path)
    assert watching.phases == []
    assert after.status().snapshot == before.status().snapshot


def test_a_corpus_that_grew_is_computed_where_it_grew(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    run(tmp_path)
    write_jsonl(tmp_path / "corpus/part-9.jsonl.gz", [document(k) for k in range(100, 104)])
    pipeline, watching = run(tmp_path)
    assert watching.phases == [
        ("select", 1),
        *DEDUPLICATING,
        ("deduplicate", 1),
        ("backtranslate+score", 1),
        ("curate", 1),
    ]
    assert pipeline.status().stages[0].rows_in == 44


def test_the_same_bytes_twice_are_read_once_and_the_run_says_so(tmp_path: Path) -> None:
    write_corpus(tmp_path, files=1)
    shutil.copy(tmp_path / "corpus/part-0.jsonl.gz", tmp_path / "corpus/copy.jsonl.gz")
    pipeline, watching = run(tmp_path)
    assert pipeline.status().stages[0].rows_in == 20
    assert any("same content" in note for note in watching.notes)


def test_an_object_that_is_gone_is_gone_from_the_next_snapshot(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    run(tmp_path)
    (tmp_path / "corpus/part-0.jsonl.gz").unlink()
    pipeline, _ = run(tmp_path)
    status = pipeline.status()
    assert status.snapshot is not None
    assert status.snapshot.number == 2
    assert {row["object"].rsplit("/", 1)[-1] for row in published(pipeline)} == {"part-1.jsonl.gz"}


def test_an_empty_corpus_file_publishes_empty_splits_that_open(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "corpus/empty.jsonl.gz", [])
    pipeline, _ = run(tmp_path)
    assert published(pipeline, "A4") == published(pipeline, "A5") == []
    assert pipeline.status().snapshot is not None


def test_a_corpus_that_is_not_there_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="corpus"):
        Pipeline(config(tmp_path)).run(Silent())


def test_a_truncated_gzip_loses_no_row_before_the_break_and_is_counted(tmp_path: Path) -> None:
    write_corpus(tmp_path, files=1)
    path = tmp_path / "corpus/part-0.jsonl.gz"
    path.write_bytes(path.read_bytes()[:-200])
    pipeline, _ = run(tmp_path)
    select = pipeline.status().stages[0]
    assert select.rejects["unreadable_rest"] == 1
    assert select.rows_in == select.kept + sum(select.rejects.values()) > 1


def test_bad_lines_are_counted_rejects_and_the_rest_goes_on(tmp_path: Path) -> None:
    good = json.dumps(document(1)).encode()
    lines = [good, b"{not json", b'{"id": "x"}', b'{"id": "y", "text": "\xff\xfe"}', good]
    path = tmp_path / "corpus/bad.jsonl.gz"
    path.parent.mkdir()
    path.write_bytes(gzip.compress(b"\n".join(lines)))
    pipeline, _ = run(tmp_path)
    select = pipeline.status().stages[0]
    assert (select.rows_in, select.kept) == (5, 2)
    assert select.rejects == {"unreadable_line": 1, "text_missing": 1, "invalid_utf8": 1}


def test_an_object_that_is_not_what_it_says_is_given_up_and_the_run_is_incomplete(
    tmp_path: Path,
) -> None:
    write_corpus(tmp_path, files=1)
    (tmp_path / "corpus/broken.parquet").write_bytes(b"not parquet at all")
    pipeline = Pipeline(config(tmp_path))
    watching = Silent()
    with pytest.raises(RunIncomplete, match=r"(?s)out of recipe\.corpus\.paths.*broken\.parquet"):
        pipeline.run(watching)
    status = pipeline.status()
    assert status.stages[-1].shards == 3
    assert status.snapshot is None
    assert any("broken.parquet" in line for line in status.quarantined)
    lenient = Pipeline(config(tmp_path, placement__min_complete=0.5))
    assert lenient.run(Silent()).snapshot is not None


def test_publishing_what_has_not_been_computed_says_that_and_publishes_nothing(
    tmp_path: Path,
) -> None:
    write_corpus(tmp_path)
    pipeline = Pipeline(config(tmp_path))
    with pytest.raises(RunIncomplete, match=r"0\.0% of the shards .*: backtrans run does it\.$"):
        pipeline.republish(Silent())
    assert pipeline.status().snapshot is None


def test_a_model_folder_that_is_not_there_stops_the_run_before_it_starts(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    model = {"path": "./no-such-model"}
    pipeline = Pipeline(config(tmp_path, recipe__models={"backward": model, "forward": model}))
    with pytest.raises(ModelError, match="no-such-model"):
        pipeline.run(Silent())
    assert not (tmp_path / "out").exists()


def test_an_output_that_cannot_be_written_is_an_error_that_names_it(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="file"):
        Pipeline(config(tmp_path, placement__root="file/out")).run(Silent())


def test_roles_on_different_bases_get_an_engine_each(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    forward = {"path": "scripted:default", "engine": "scripted", "seed": 7}
    _, watching = run(tmp_path, recipe__models__forward=forward)
    assert watching.phases == [
        ("select", 2),
        *DEDUPLICATING,
        *[(stage, 6) for stage in ("deduplicate", "backtranslate", "score", "curate")],
    ]
