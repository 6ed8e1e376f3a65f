"""A recipe that filters otherwise: what a model has said of the same words is not asked again."""

from pathlib import Path

import pytest

from backtrans.ledger import Commit
from backtrans.pipeline import Pipeline
from backtrans.records import PAIR, parquet, table
from tests.jobs import Silent, config, document, published, write_jsonl

WIDE = {"min_chars": 100, "max_chars": 5000}
NARROW = {"min_chars": 100, "max_chars": 700}
LENGTHS = (80, 100, 120, 140)  # in words of some 7 characters


def write_lengths(folder: Path) -> None:
    documents = [document(k, words=LENGTHS[k % 4]) for k in range(24)]
    write_jsonl(folder / "corpus/part-0.jsonl.gz", documents)


def run(folder: Path, **changes: object) -> Pipeline:
    pipeline = Pipeline(config(folder, recipe__curate={"a4": 1.0, "a5": 3.2}, **changes))
    pipeline.run(Silent())
    return Pipeline(pipeline.config)


def commits(pipeline: Pipeline, stage: str) -> list[Commit]:
    shards, _ = pipeline.standing().shards()
    keys = [pipeline.resolved.key(stage, address.shard) for address in shards]
    found = [pipeline.ledger.commit_of(stage, key) for key in keys]
    return [commit for commit in found if commit is not None]


def asked(pipeline: Pipeline) -> dict[str, int]:
    """Return how many requests the present recipe's commits took, by stage."""
    return {
        stage: sum(commit.usage.requests for commit in commits(pipeline, stage))
        for stage in ("backtranslate", "score")
    }


def answers(pipeline: Pipeline) -> dict[str, tuple[str, float]]:
    return {r["document_id"]: (r["instruction"], r["score"]) for r in published(pipeline)}


def test_a_wider_filter_asks_only_about_what_it_lets_in(tmp_path: Path) -> None:
    write_lengths(tmp_path)
    narrow = run(tmp_path, recipe__select=NARROW)
    few = answers(narrow)
    assert asked(narrow) == {"backtranslate": len(few), "score": len(few)}
    wide = run(tmp_path, recipe__select=WIDE)
    assert 0 < len(few) < 24
    assert asked(wide) == {"backtranslate": 24 - len(few), "score": 24 - len(few)}
    assert answers(wide) == answers(unbroken(tmp_path, WIDE))
    assert all(c.counts.rows_in == c.counts.kept for c in commits(wide, "score"))


def unbroken(folder: Path, select: dict[str, int]) -> Pipeline:
    return run(folder, name="alone.yaml", placement__root="alone", recipe__select=select)


def test_a_narrower_filter_asks_nothing(tmp_path: Path) -> None:
    write_lengths(tmp_path)
    wide = answers(run(tmp_path, recipe__select=WIDE))
    narrow = run(tmp_path, recipe__select=NARROW)
    assert asked(narrow) == {"backtranslate": 0, "score": 0}
    assert answers(narrow).items() < wide.items()


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        # Its instructions come out the same, so the judge has rated these very pairs.
        ({"recipe__backtranslate": {"max_instruction_chars": 400}}, ("score",)),
        ({"recipe__score": {"signals": ["likelihood"]}}, ("backtranslate",)),
    ],
    ids=["another backward role", "another judge"],
)
def test_another_role_asks_anew_and_the_other_role_does_not(
    tmp_path: Path, change: dict[str, object], kept: tuple[str, ...]
) -> None:
    write_lengths(tmp_path)
    run(tmp_path, recipe__select=WIDE)
    other = run(tmp_path, recipe__select={**WIDE, "min_chars": 101}, **change)
    for stage, requests in asked(other).items():
        assert (requests == 0) == (stage in kept)


def test_where_the_old_parts_are_gone_it_asks_again(tmp_path: Path) -> None:
    write_lengths(tmp_path)
    wide = run(tmp_path, recipe__select=WIDE)
    for commit in commits(wide, "backtranslate"):
        wide.ledger.store.delete(commit.part)
    again = run(tmp_path, recipe__select=NARROW)
    kept = len(answers(again))
    assert asked(again) == {"backtranslate": kept, "score": kept}


def test_a_row_that_the_engine_refused_is_asked_again(tmp_path: Path) -> None:
    write_lengths(tmp_path)
    wide = run(tmp_path, recipe__select=WIDE)
    (first, *_) = commits(wide, "backtranslate")
    rows = wide.ledger.read_part(first).to_pylist()
    rows[0] |= {"reject_reason": "refused", "instruction": None}
    wide.ledger.store.put(first.part, parquet(table(rows, PAIR)))
    again = run(tmp_path, recipe__select={**WIDE, "min_chars": 101})
    assert asked(again) == {"backtranslate": 1, "score": 1}
