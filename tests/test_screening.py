"""What a segment must pass before a model is asked, in the whole job: each drop has a reason."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from backtrans.corpus.contamination import overlaps
from backtrans.errors import ConfigError, InputError
from backtrans.pipeline import Pipeline
from tests.jobs import Silent, config, document, published, write_jsonl
from tests.test_cli import called

QUESTION = (
    "which of the seven lighthouses on the northern coast was built before the great harbour wall"
)


def page(number: int, text: str | None = None, **changes: Any) -> dict[str, Any]:
    made = document(number)
    made["text"] = text or f"Page {number} says. {made['text']}."
    return {**made, **changes}


def write(folder: Path, *pages: dict[str, Any]) -> None:
    write_jsonl(folder / "corpus/pages.jsonl.gz", list(pages))


def run(folder: Path, **changes: object) -> Pipeline:
    pipeline = Pipeline(config(folder, recipe__curate={"a4": 1.0, "a5": 3.2}, **changes))
    pipeline.run(Silent())
    return pipeline


def refused(pipeline: Pipeline, stage: str = "select") -> dict[str, str]:
    return {r["document_id"]: r["reject_reason"] for r in told(pipeline, stage)}


def told(pipeline: Pipeline, stage: str = "select") -> list[dict[str, Any]]:
    return [row for row in pipeline.rows(stage) if row["reject_reason"]]


def select(**changes: object) -> dict[str, object]:
    return {"recipe__select": {"min_chars": 100, "max_chars": 5000, **changes}}


def evaluation(folder: Path, *rows: dict[str, Any], **changes: int) -> dict[str, object]:
    path = folder / "evals/quiz.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return select(evaluations={"sets": [{"name": "quiz", "path": "evals/quiz.jsonl"}], **changes})


# ------------------------------------------------------------------ filters


def test_each_drop_has_the_reason_of_the_first_rule_and_the_funnel_counts_it(
    tmp_path: Path,
) -> None:
    write(
        tmp_path,
        page(1),
        page(2, url="https://ads.example.org/x"),
        page(3, metadata={"robots": "noindex, noai"}),
        page(4, text="if (a) { b(); } " * 20 + "."),
        page(5, text="short"),
        page(6, text="{ Lorem ipsum dolor sit amet. } " * 20, url="https://example.org"),
    )
    filters = {"families": ["lists", "c4"], "lists": {"blocked_domains": ["example.org"]}}
    pipeline = run(tmp_path, **select(filters={**filters, "c4": {"min_sentences": 1}}))
    assert refused(pipeline) == {
        "doc-2": "blocked_domain",
        "doc-3": "opted_out",
        "doc-4": "c4_brace",
        "doc-5": "too_short",
        "doc-6": "blocked_domain",
    }
    status = pipeline.status().stages[0]
    assert status.rows_in == 6
    assert status.rejects == dict(Counter(refused(pipeline).values()))
    assert [row["document_id"] for row in published(pipeline)] == ["doc-1"]


def test_a_refused_segment_has_its_place_and_no_text(tmp_path: Path) -> None:
    write(tmp_path, page(1, text="  { code } and words to fill the line, and more. " * 5))
    pipeline = run(tmp_path, **select(filters={"families": ["c4"]}))
    (row,) = told(pipeline)
    assert (row["text"], row["start_char"], row["reject_reason"]) == (None, 2, "c4_brace")


def test_thresholds_of_a_family_that_is_off_decide_nothing(tmp_path: Path) -> None:
    write(tmp_path, page(1))
    first = run(tmp_path, **select())
    other = Pipeline(config(tmp_path, **select(filters={"c4": {"min_sentences": 9}})))
    assert other.resolved.fingerprints["select"] == first.resolved.fingerprints["select"]
    on = select(filters={"families": ["lists", "c4"]})
    assert Pipeline(config(tmp_path, **on)).resolved.fingerprints != first.resolved.fingerprints


@pytest.mark.parametrize(
    ("filters", "said"),
    [
        ({"families": ["c5"]}, "no such filters: c5; there are lists"),
        ({"c4": {"min_sentence": 3}}, r"select\.filters\.c4\.min_sentence: .*'min_sentences'"),
        ({"c4": {"min_sentences": "3"}}, r"select\.filters\.c4\.min_sentences: .*integer"),
        ({"gopher": {}}, r"select\.filters\.gopher: unknown key; did you mean 'gopher_"),
        ({"lists": {"blocked_domains": ["a/b"]}}, "is no domain"),
    ],
)
def test_a_wrong_filter_is_named_with_the_file(
    tmp_path: Path, filters: dict[str, object], said: str
) -> None:
    with pytest.raises(ConfigError, match=rf"run\.yaml: (.|\n)*{said}"):
        config(tmp_path, **select(filters=filters))


# ------------------------------------------------------------------ personal data


def test_masked_data_is_nowhere_in_what_is_published_and_the_row_says_so(tmp_path: Path) -> None:
    text = f"Write to ann@corp-mail.net or bob@corp-mail.net for more. {document(1)['text']}"
    write(tmp_path, page(1, text=text), page(2))
    masked, plain = published(run(tmp_path))
    assert masked["masked"] == ["email", "email"]
    assert masked["response"].startswith("Write to [email] or [email] for more.")
    assert plain["masked"] == []
    assert "corp-mail" not in json.dumps(masked, default=str)


def test_a_kind_may_be_kept_or_dropped(tmp_path: Path) -> None:
    write(tmp_path, page(1, text=f"Write to ann@corp-mail.net. {document(1)['text']}"), page(2))
    kept = published(run(tmp_path, **select(privacy={"email": "keep"})))
    assert "ann@corp-mail.net" in kept[0]["response"]
    assert kept[0]["masked"] == []
    dropped = run(tmp_path, **select(privacy={"email": "drop"}))
    assert refused(dropped) == {"doc-1": "personal_data"}
    assert "corp-mail" not in json.dumps(told(dropped), default=str)


# ------------------------------------------------------------------ evaluation sets


def test_a_response_that_holds_an_evaluation_question_is_never_asked_about(tmp_path: Path) -> None:
    copy = QUESTION.upper().replace(" ", ", ")
    write(tmp_path, page(1, text=f"{document(1)['text']} {copy}"), page(2))
    rows = ({"prompt": "how are you today my old friend of mine"}, {"prompt": QUESTION})
    pipeline = run(tmp_path, **evaluation(tmp_path, *rows))
    assert refused(pipeline) == {"doc-1": "contaminated"}
    assert overlaps(row["reject_detail"] for row in told(pipeline)) == {("quiz", 1): 1}


def test_an_instruction_of_an_evaluation_set_goes_whatever_its_score(tmp_path: Path) -> None:
    write(tmp_path, page(1), page(2))
    before = published(run(tmp_path))
    instruction = before[0]["instruction"]
    short = evaluation(tmp_path, {"question": instruction}, min_words=3)
    pipeline = run(tmp_path, **short)
    assert "contaminated" in {row["reject_reason"] for row in told(pipeline, "curate")}
    assert instruction not in {row["instruction"] for row in published(pipeline)}


def test_another_evaluation_set_selects_anew_and_asks_no_model_again(tmp_path: Path) -> None:
    write(tmp_path, page(1), page(2))
    run(tmp_path)
    pipeline = run(tmp_path, **evaluation(tmp_path, {"question": QUESTION}))
    shards, _ = pipeline.standing().shards()
    for stage in ("backtranslate", "score"):
        commit = pipeline.ledger.commit_of(stage, pipeline.resolved.key(stage, shards[0].shard))
        assert commit is not None
        assert (commit.counts.kept, commit.usage.requests) == (2, 0)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", r"quiz\.jsonl: row 0"),
        (b'{"question": 3}\n', r"quiz\.jsonl: no row holds a text"),
        (None, r"quiz\.jsonl"),
    ],
    ids=["broken", "without texts", "missing"],
)
def test_a_set_that_cannot_be_read_whole_stops_the_run_before_any_work(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    write(tmp_path, page(1))
    changes = evaluation(tmp_path, {"question": QUESTION})
    path = tmp_path / "evals/quiz.jsonl"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=said):
        run(tmp_path, **changes)
    assert not list((tmp_path / "out").glob("commits/*"))


def test_the_command_line_says_what_matched_what(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pages = [page(k, text=f"{document(k)['text']} {QUESTION}") for k in (1, 2)]
    write(tmp_path, *pages, page(3))
    pipeline = run(tmp_path, **evaluation(tmp_path, {"prompt": "other"}, {"prompt": QUESTION}))
    assert pipeline.status().stages[0].rejects == {"contaminated": 2}
    code, out, _ = called("contamination", tmp_path / "run.yaml", capsys=capsys)
    assert (code, [line.split() for line in out.splitlines()]) == (
        0,
        [["2", "quiz", "row", "1"], ["2", "in", "all"]],
    )
