"""What happens in a run, a line of JSON an event: each line whole, each with its place."""

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtrans import logs
from backtrans.pipeline import Pipeline
from tests.jobs import config, configuration, write_corpus, write_jsonl
from tests.test_cli import called
from tests.test_costs import failing_once


@pytest.fixture(autouse=True)
def quiet_after() -> Iterator[None]:
    yield
    logs.off()


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def named(events: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [event for event in events if event["event"] == name]


def test_a_run_tells_its_beginning_each_shard_and_its_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_corpus(tmp_path, files=1)
    path = configuration(tmp_path)
    code, out, err = called("run", path, "--log", "json", capsys=capsys)
    assert code == 0
    assert "A5: " in out  # what is shown is shown as ever
    events = lines(err)
    (begun,), (ended,) = named(events, "run begun"), named(events, "run ended")
    assert (events[0], events[-1]) == (begun, ended)
    assert {event["run"] for event in events} == {begun["run"]}
    assert {event["level"] for event in events} == {"info"}
    assert named(events, "stage begun")[0]["stages"] == "select"
    told = {
        (event["stage"], event["shard"]): (event["rows"], event["kept"], event["prompt_tokens"])
        for event in named(events, "shard committed")
    }
    pipeline = Pipeline(config(tmp_path))
    assert told == {
        (c.stage, c.shard): (c.counts.rows_in, c.counts.kept, c.usage.prompt_tokens)
        for stage in pipeline.reads
        for c in pipeline.ledger.commits(stage)
    }
    assert ended["made"]["score"] == len([key for key in told if key[0] == "score"])
    assert ended["given_up"] == 0
    for event in named(events, "attempt begun"):
        assert {"stages", "shard", "attempt", "object"} <= set(event)


def test_a_second_run_tells_that_nothing_was_committed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_corpus(tmp_path, files=1)
    path = configuration(tmp_path)
    called("run", path, capsys=capsys)
    _, _, err = called("run", path, "--log", "json", capsys=capsys)
    assert [event["event"] for event in lines(err)] == ["run begun", "run ended"]


def test_without_being_asked_for_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_corpus(tmp_path, files=1)
    failing_once(monkeypatch)
    _, _, err = called("run", configuration(tmp_path), capsys=capsys)
    assert err == ""


def test_an_attempt_that_failed_is_told_with_run_stages_shard_and_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_corpus(tmp_path, files=1)
    failing_once(monkeypatch)
    _, _, err = called("run", configuration(tmp_path), "--log", "json", capsys=capsys)
    events = lines(err)
    (failed,) = named(events, "attempt failed")
    assert failed["level"] == "warning"
    assert failed["error"] == "ValueError: a fault of the moment"
    assert (failed["run"], failed["stages"]) == (events[0]["run"], "backtranslate+score")
    again = [e for e in named(events, "attempt begun") if e["shard"] == failed["shard"]]
    assert [e["attempt"] for e in again if e["stages"] == failed["stages"]] == [1, 2]
    committed = [e for e in named(events, "shard committed") if e["shard"] == failed["shard"]]
    assert {e["stage"]: e["attempts"] for e in committed}["score"] == 2


def test_a_shard_that_is_given_up_and_the_error_of_the_end_are_lines_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_jsonl(tmp_path / "corpus/good.jsonl.gz", [{"id": "1", "text": "word " * 130}])
    (tmp_path / "corpus/bad.parquet").write_bytes(b"PAR1 not at all")
    path = configuration(tmp_path, placement__max_attempts=1)
    code, _, err = called("run", path, "--log", "json", capsys=capsys)
    assert code == 3
    events = lines(err)
    (given_up,) = named(events, "shard given up")
    assert "bad.parquet" in given_up["object"]
    assert given_up["attempts"] == 1
    assert "bad.parquet" in given_up["error"]
    assert events[-1]["event"] == "failed"
    assert events[-1]["exit_code"] == 3
    assert "placement.min_complete" in events[-1]["error"]


@settings(max_examples=30)
@given(st.text(), st.dictionaries(st.sampled_from(["error", "rows", "shard"]), st.text()))
def test_whatever_an_event_holds_it_is_one_line(event: str, fields: dict[str, str]) -> None:
    stream = io.StringIO()
    logs.to_json(stream)
    with logs.within(run="r", shard="s"):
        logs.went_wrong(event, **fields)
    (line,) = stream.getvalue().split("\n")[:-1]
    told = json.loads(line)
    assert told.pop("time").endswith("+00:00")
    assert told == {"level": "warning", "event": event, "run": "r", "shard": "s"} | fields


def test_those_who_embed_the_package_hear_it_by_a_handler_of_their_own(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, "backtrans"):
        logs.happened("run begun", run="r")
    assert [record.getMessage() for record in caplog.records] == ["run begun"]
    assert caplog.records[0].fields == {"run": "r"}  # type: ignore[attr-defined]
