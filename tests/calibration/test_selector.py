"""A selector in a recipe: pairs are judged by it, its content counts, and a row says so."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from backtrans.calibration.tables import write_selector
from backtrans.config import SelectorFile, checked, load
from backtrans.errors import ConfigError
from backtrans.fingerprints import judged
from backtrans.pipeline import Pipeline
from backtrans.records import Reject
from backtrans.resolution import Resolved
from backtrans.rewriting import RefuseSettings
from backtrans.stages.choose import Choice
from backtrans.thresholds import Fitted, Promise, Selector, Thresholds, Weight
from tests.jobs import Silent, config, published, write_corpus

PROMISE = Promise(0.9, 0.88, 0.8, 0.7)
BY_SCORE = Selector(1, {"expectation": Weight(2.0, 3.0, 1.0)}, 0.0, 0.3, 0.7)
FITTED = Fitted(200, 60, 4, "d" * 64, PROMISE, PROMISE)


def judgement(**changed: float | None) -> dict[str, float | None]:
    return {"score": 3.0, "min_token_logprob": -2.0, "pmi": None, **changed}


@given(st.floats(1, 5), st.floats(1, 5))
def test_a_higher_score_is_never_less_probable(one: float, other: float) -> None:
    low, high = sorted((one, other))
    values = [BY_SCORE.probability(judgement(score=each)) for each in (low, high)]
    assert 0 <= values[0] <= values[1] <= 1  # type: ignore[operator]


@pytest.mark.parametrize("value", [-1e308, -1e4, 1e4, 1e308])
def test_a_value_far_out_is_surely_one_or_the_other(value: float) -> None:
    selector = Selector(1, {"min_token_logprob": Weight(1.0, 0.0, 1.0)}, 0.0, 0.5, 0.5)
    found = selector.probability(judgement(min_token_logprob=value))
    assert found == pytest.approx(1.0 if value > 0 else 0.0)


def test_a_pair_is_in_the_split_that_its_probability_reaches() -> None:
    thresholds = Thresholds(selector=BY_SCORE)
    assert BY_SCORE.probability(judgement()) == 0.5
    assert thresholds.judge(judgement(score=3.5)) == "A5"
    assert thresholds.judge(judgement()) == "A4"
    low = thresholds.judge(judgement(score=2.5))
    assert isinstance(low, Reject)
    assert (low.reason, low.detail) == ("below_a4", "probability 0.269 < 0.3")
    floors = Thresholds(floors=(("min_token_logprob", -1.0),), selector=BY_SCORE)
    refused = floors.judge(judgement(score=5.0))
    assert isinstance(refused, Reject)
    assert refused.reason == "signal_below_floor"


def test_a_pair_without_a_signal_is_refused_for_that() -> None:
    selector = Selector(1, {"pmi": Weight(1.0, 0.0, 1.0)}, 9.0, 0.1, 0.2)
    found = Thresholds(selector=selector).judge(judgement())
    assert isinstance(found, Reject)
    assert (found.reason, found.detail) == ("signal_missing", "pmi")


@pytest.mark.parametrize(
    "wrong",
    [
        {"features": {}},
        {"a4": 0.8},
        {"a5": 1.2},
        {"intercept": math.nan},
        {"features": {"pmi": Weight(1.0, 0.0, 0.0)}},
    ],
)
def test_what_is_no_selector_is_none(wrong: dict[str, Any]) -> None:
    whole = {"version": 1, "features": BY_SCORE.features, "intercept": 0.0, "a4": 0.3, "a5": 0.7}
    with pytest.raises(ConfigError, match="selector"):
        Selector(**(whole | wrong))


# ---------------------------------------------------------------- in a recipe

RECIPE: dict[str, Any] = {
    "recipe": {
        "corpus": {"paths": ["docs/*.jsonl.gz"]},
        "models": {
            "backward": {"path": "scripted:default", "engine": "scripted"},
            "forward": {"path": "scripted:default", "engine": "scripted"},
        },
    },
    "placement": {"root": "out"},
}


def written(folder: Path, selector: object, **recipe: object) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "run.yaml"
    parts = {**RECIPE["recipe"], "curate": {"selector": selector}, **recipe}
    path.write_text(yaml.safe_dump(RECIPE | {"recipe": parts}))
    return path


def inline(selector: Selector, folder: Path) -> Any:
    write_selector(selector, folder / "selector.yaml")
    return yaml.safe_load((folder / "selector.yaml").read_text())["selector"]


def test_a_written_selector_is_read_as_it_was(tmp_path: Path) -> None:
    selector = Selector(1, BY_SCORE.features, 0.1, 0.3, 0.7, FITTED)
    write_selector(selector, tmp_path / "s.yaml")
    assert checked(tmp_path / "s.yaml", SelectorFile).selector == selector


def test_the_content_of_a_selector_counts_and_not_its_place(tmp_path: Path) -> None:
    whole = inline(BY_SCORE, tmp_path)
    named = load(written(tmp_path, "selector.yaml"))
    elsewhere = load(written(tmp_path / "other", "../selector.yaml"))
    inside = load(written(tmp_path / "inside", whole))
    fitted = load(written(tmp_path / "fitted", {**whole, "fitted": json.loads(FITTED_JSON)}))
    moved = load(written(tmp_path / "moved", {**whole, "a5": 0.71}))
    found = [Resolved(each).fingerprints["curate"] for each in (named, elsewhere, inside, fitted)]
    assert len(set(found)) == 1
    assert Resolved(moved).fingerprints["curate"] not in found
    assert Resolved(moved).fingerprints["score"] == Resolved(named).fingerprints["score"]
    assert named.recipe.curate.selector == BY_SCORE


FITTED_JSON = json.dumps(
    {
        "labels": 200,
        "good": 60,
        "good_from": None,
        "digest": "d",
        "a4": {"asked": 0.8, "precision": None, "low": None, "recall": None},
        "a5": {"asked": 0.9, "precision": 0.9, "low": 0.8, "recall": 0.5},
    }
)


@pytest.mark.parametrize(
    ("change", "recipe", "said"),
    [
        ({"features": {"pmi": {"weight": 1, "mean": 0, "scale": 1}}}, {}, "add pmi to score"),
        (
            {"features": {"mean_logprob": {"weight": 1, "mean": 0, "scale": 1}}},
            {},
            "curate.selector has mean_logprob: add likelihood to score.signals",
        ),
        ({"version": 2}, {}, "version"),
        ({"features": {"charm": {"weight": 1, "mean": 0, "scale": 1}}}, {}, "charm"),
        ({"a6": 0.9}, {}, "a6"),
        ({"a4": 0.9}, {}, "a4 <= a5"),
    ],
)
@pytest.mark.parametrize("is_file", [True, False])
def test_a_selector_that_cannot_be_is_an_error_that_says_why(
    tmp_path: Path, change: dict[str, Any], recipe: dict[str, Any], said: str, is_file: bool
) -> None:
    whole = {**inline(BY_SCORE, tmp_path), **change}
    (tmp_path / "selector.yaml").write_text(yaml.safe_dump({"selector": whole}))
    path = written(tmp_path, "selector.yaml" if is_file else whole, **recipe)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert said in str(caught.value)
    assert ".yaml" in str(caught.value)


def test_a_selector_has_thresholds_of_its_own(tmp_path: Path) -> None:
    whole = inline(BY_SCORE, tmp_path)
    path = written(tmp_path, whole, curate={"selector": whole, "a5": 4.5})
    with pytest.raises(ConfigError, match="an a4 and an a5 of its own"):
        load(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        load(written(tmp_path, "no.yaml"))


def test_a_run_keeps_by_the_selector_and_each_row_says_how_probable(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    whole = inline(BY_SCORE, tmp_path)
    pipeline = Pipeline(config(tmp_path, recipe__curate={"selector": whole}))
    pipeline.run(Silent())
    rows = list(pipeline.rows("curate"))
    assert {row["split"] for row in rows} == {"A5", "A4", None}
    for row in rows:
        assert row["probability"] == pytest.approx(1 / (1 + math.exp(-2 * (row["score"] - 3))))
        assert (row["reject_reason"] == "below_a4") == (row["probability"] < 0.3)
    assert all(row["probability"] >= 0.7 for row in published(pipeline, "A5"))
    # Another threshold asks no model again.
    again = Pipeline(config(tmp_path, recipe__curate={"selector": {**whole, "a5": 0.9}}))
    assert set(again.run(Silent()).made) == {"curate"}


def test_a_rewrite_is_worse_where_its_probability_is() -> None:
    likely = Selector(1, {"min_token_logprob": Weight(1.0, 0.0, 1.0)}, 2.0, 0.1, 0.5)
    choice = Choice(RefuseSettings(), "original", Thresholds(selector=likely))
    original = judgement(score=3.0, min_token_logprob=-2.0)
    # The judge likes it better, and the labels say that this counts for nothing.
    assert choice.lower(judgement(score=5.0, min_token_logprob=-3.0), original)
    assert not choice.lower(judgement(score=2.0, min_token_logprob=-1.0), original)
    assert choice.lower(judgement(score=5.0, min_token_logprob=None), original)


def test_without_a_selector_a_recipe_judges_as_ever_and_so_is_its_fingerprint(
    tmp_path: Path,
) -> None:
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(RECIPE))
    resolved = Resolved(load(tmp_path / "run.yaml"))
    assert judged(load(tmp_path / "run.yaml").recipe.curate) == (
        {"a4": 4.0, "a5": 4.5, "floors": {}},
    )
    assert resolved.thresholds == Thresholds()
