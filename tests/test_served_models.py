"""A run whose judge others serve: what identifies it, what it costs, where it runs."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ray import cloudpickle
from typer.testing import CliRunner

from backtrans import checkpoint
from backtrans.accounts import StageStatus
from backtrans.checkpoint import COMMITS
from backtrans.cli import app
from backtrans.config import load
from backtrans.entries import COMMIT, Usage, decoded, encoded
from backtrans.errors import ConfigError
from backtrans.evaluation.contest import hold
from backtrans.evaluation.settings import load_evaluation
from backtrans.ledger import Ledger
from backtrans.pipeline import Pipeline
from backtrans.placement import EngineOptions
from backtrans.records import parquet
from backtrans.resolution import Resolved
from backtrans.retry import NO_RETRY
from backtrans.serving import engine_settings
from backtrans.store import Store, StoreSettings
from backtrans.works import Works
from tests.engines.server import KEY, Json, Said, Server, chat, failed, logprobs, serving
from tests.jobs import Silent, config, configuration, published, write_corpus

JUDGE = {"path": "judge", "engine": "openai", "revision": "2026-08"}
USAGE = {"prompt_tokens": 500, "completion_tokens": 1}


def digits(body: Json) -> Said:
    """Judge by the length of what is asked about, and give a distribution."""
    length = len(body["messages"][0]["content"])
    best, other = ("5", "4") if length % 3 else ("2", "3")
    return chat(best, usage=USAGE, logprobs=logprobs(**{best: -0.2, other: -2.0}))


@pytest.fixture
def judge() -> Iterator[Server]:
    with serving(digits) as server:
        yield server


def endpoints(server: Server, **options: Any) -> dict[str, Any]:
    prices = {"prompt_price": 2.0, "output_price": 10.0}
    return {"judge": {"base_url": server.url, **prices, **options}}


def changes(server: Server, **options: Any) -> dict[str, Any]:
    return {
        "recipe__models__forward": JUDGE,
        "placement__engine__endpoints": endpoints(server, **options),
    }


def test_a_run_is_judged_by_a_served_model_and_says_what_it_cost(
    tmp_path: Path, judge: Server
) -> None:
    write_corpus(tmp_path, files=1, each=20)
    path = configuration(tmp_path, **changes(judge))
    pipeline = Pipeline(load(path))
    pipeline.run(Silent())
    rows = published(pipeline)
    assert rows
    for row in rows:
        assert row["forward_model"] == "judge@2026-08"
        assert row["score"] == pytest.approx(4.858, abs=1e-3)
        assert row["off_digit_mass"] == pytest.approx(0.0459, abs=1e-3)
    scored = next(stage for stage in pipeline.status().stages if stage.stage == "score")
    assert scored.money == pytest.approx(scored.requests * (500 * 2.0 + 10.0) / 1e6)
    said = CliRunner().invoke(app, ["status", str(path)]).output.replace("\n", " ")
    assert said.count("at endpoints' prices") == 1
    # A second run asks nothing: what was paid for is committed.
    asked = len(judge.asked)
    Pipeline(load(path)).run(Silent())
    assert len(judge.asked) == asked


def test_refused_access_stops_the_run_and_the_next_one_goes_on(
    tmp_path: Path, judge: Server
) -> None:
    write_corpus(tmp_path, files=1, each=20)
    judge.behave = lambda body: failed(401, "expired") if len(judge.asked) > 5 else digits(body)
    with pytest.raises(ConfigError, match="refuses to serve judge"):
        Pipeline(config(tmp_path, **changes(judge))).run(Silent())
    judge.behave = digits
    pipeline = Pipeline(config(tmp_path, **changes(judge)))
    assert pipeline.status().quarantined == []
    pipeline.run(Silent())
    assert published(pipeline)


def test_what_identifies_a_served_model_is_its_name_and_label_not_its_server(
    tmp_path: Path, judge: Server
) -> None:
    def fingerprints(name: str, revision: str, adapter: str | None, url: str) -> dict[str, str]:
        model = JUDGE | {"path": name, "revision": revision, "adapter": adapter}
        said = {name: {"base_url": url}}
        found = config(tmp_path, recipe__models__forward=model, placement__engine__endpoints=said)
        return Resolved(found).fingerprints

    first = fingerprints("judge", "a", None, judge.url)
    assert fingerprints("judge", "a", None, "https://elsewhere/v1") == first
    others = [
        fingerprints("judge", "b", None, judge.url),
        fingerprints("other", "a", None, judge.url),
        fingerprints("judge", "a", "forward", judge.url),
    ]
    assert len({each["score"] for each in [first, *others]}) == 4
    assert {each["backtranslate"] for each in others} == {first["backtranslate"]}


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({"revision": None}, "needs a revision, a label of yours"),
        ({"trained": True}, "cannot be trained here"),
        ({"seed": 3}, "are the server's"),
        ({"dtype": "float16"}, "are the server's"),
        ({"chat_template": "{{ x }}"}, "are the server's"),
    ],
)
def test_what_a_served_model_cannot_be_is_said(
    tmp_path: Path, judge: Server, model: Json, words: str
) -> None:
    said = changes(judge) | {"recipe__models__forward": JUDGE | model}
    with pytest.raises(ConfigError, match=words):
        config(tmp_path, **said)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"base_url": f"https://x:{KEY}@host/v1"}, "base_url: give"),
        ({"base_ur": "x"}, r"placement.engine.endpoints.judge.base_ur: unknown key; .*'base_url'"),
        ({"choose": "guess"}, r"endpoints.judge.choose: Input should be"),
        ({"max_attempts": 0}, "max_attempts: has to be over 0"),
    ],
)
def test_a_mistake_in_an_endpoint_is_named(
    tmp_path: Path, judge: Server, options: Json, words: str
) -> None:
    with pytest.raises(ConfigError, match=words) as raised:
        config(tmp_path, **changes(judge, **options))
    assert KEY not in str(raised.value)


def test_a_served_model_without_an_endpoint_is_a_wrong_configuration(
    tmp_path: Path, judge: Server
) -> None:
    with pytest.raises(ConfigError, match=r"recipe.models.forward is served.*endpoints.judge"):
        config(tmp_path, recipe__models__forward=JUDGE)
    found = config(tmp_path, **changes(judge))
    with pytest.raises(ConfigError, match="names no endpoint of 'judge'"):
        engine_settings({"forward": found.recipe.models.forward}, EngineOptions())


def test_workers_that_ask_a_server_take_no_gpu_and_share_its_limits(
    tmp_path: Path, judge: Server
) -> None:
    found = config(
        tmp_path,
        **changes(judge, requests_per_minute=100, tokens_per_minute=9),
        placement__engine__device="gpu",
        placement__engines={"min": 1, "max": 4},
    )
    backward, forward = Works(found, Resolved(found)).ask_works("r", NO_RETRY)
    assert (backward.gpus_each, forward.gpus_each) == (1.0, 0.0)
    assert forward.engine.endpoint is not None
    assert forward.engine.endpoint.requests_per_minute == 25
    assert forward.engine.endpoint.tokens_per_minute == 2
    alone = engine_settings({"forward": found.recipe.models.forward}, found.placement.engine)
    assert alone.endpoint is not None
    assert alone.endpoint.requests_per_minute == 100


@pytest.mark.parametrize(("said", "in_flight"), [({}, 80), ({"max_in_flight": 50}, 50)])
def test_an_engine_is_given_twice_the_requests_that_it_computes_at_once_unless_told(
    tmp_path: Path, said: dict[str, int], in_flight: int
) -> None:
    options = EngineOptions(max_sequences=40, **said)
    models = {"forward": config(tmp_path).recipe.models.forward}
    assert engine_settings(models, options).max_in_flight == in_flight


def test_commits_and_checkpoints_of_before_there_was_money_are_still_read(tmp_path: Path) -> None:
    write_corpus(tmp_path, files=1, each=20)
    pipeline = Pipeline(config(tmp_path))
    pipeline.run(Silent())
    for commit in pipeline.ledger.commits("score"):
        old = json.loads(encoded(commit))
        del old["usage"]["money"]
        assert decoded(COMMIT, "x", json.dumps(old).encode()) == commit
    store = Store(StoreSettings(str(tmp_path / "out")))
    keys = [i.key for i in store.list("checkpoints/") if i.key.endswith("/score.parquet")]
    table = checkpoint.read(Ledger(store), keys[0]).drop_columns(["money"])
    store.put(keys[0], parquet(table))
    again = Pipeline(config(tmp_path))
    assert again.plan().nothing_pending
    scored = next(stage for stage in again.status().stages if stage.stage == "score")
    assert (scored.money, scored.rows_in) == (0.0, 18)


def test_money_is_summed_with_the_rest() -> None:
    assert (Usage(1, money=0.25) + Usage(2, money=0.5)).money == 0.75
    row = {"rejects": [], **dict.fromkeys(["rows_in", "kept", "requests"], 1), "money": 0.25}
    table = pa.Table.from_pylist([row, row], schema=COMMITS)
    assert StageStatus.of("score", table).money == 0.5


def test_a_served_judge_evaluates(tmp_path: Path, judge: Server) -> None:
    judge.behave = lambda body: chat("A", usage=USAGE, logprobs=logprobs(A=-0.5, B=-1.0))
    for name in ("ours", "theirs"):
        rows = [{"instruction": str(n), "output": f"{name} {n}", "generator": name} for n in (1, 2)]
        (tmp_path / f"{name}.json").write_text(json.dumps(rows))
    said = {
        "candidate": {"outputs": "ours.json"},
        "reference": {"outputs": "theirs.json"},
        "judge": {"model": JUDGE},
        "engine": {"endpoints": endpoints(judge)},
    }
    path = tmp_path / "evaluation.yaml"
    path.write_text(json.dumps({"evaluation": said}))
    contest = hold(load_evaluation(path), lambda _: None)
    assert contest.usage["judge"].money == pytest.approx(4 * (500 * 2.0 + 10.0) / 1e6)
    assert contest.judge == "judge"
    path.write_text(json.dumps({"evaluation": said | {"engine": {}}}))
    with pytest.raises(ConfigError, match=r"'judge' is served by others: add engine.endpoints"):
        load_evaluation(path)


@pytest.mark.slow
@pytest.mark.ray
def test_a_ray_job_asks_a_server_and_leaves_its_key_nowhere(
    tmp_path: Path, judge: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUDGE_KEY", KEY)
    write_corpus(tmp_path, files=1, each=20)
    said = changes(judge, api_key_env="JUDGE_KEY") | {"placement__runtime": "ray"}
    path = configuration(tmp_path, **said)
    pipeline = Pipeline(load(path))
    pipeline.run(Silent())
    assert published(pipeline)
    assert set(judge.keys) == {f"Bearer {KEY}"}
    work = pipeline.works.ask_works("r", NO_RETRY)
    haystack = {"what workers are sent": cloudpickle.dumps(work), "the file": path.read_bytes()}
    for file in (tmp_path / "out").rglob("*"):
        if file.is_file():
            haystack[str(file)] = file.read_bytes()
            if file.suffix == ".parquet":
                haystack[f"{file} (rows)"] = repr(pq.read_table(file).to_pylist()).encode()
    assert [name for name, data in haystack.items() if KEY.encode() in data] == []
    assert KEY in os.environ["JUDGE_KEY"]
