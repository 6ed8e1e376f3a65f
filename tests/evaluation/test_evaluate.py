"""`backtrans evaluate` from its file to its table and its JSON, on judges of known bias."""

import json
import random
import runpy
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from backtrans.config import load
from backtrans.errors import ConfigError
from backtrans.evaluation.contest import hold
from backtrans.evaluation.settings import load_evaluation
from backtrans.evaluation.win_rate import figures
from tests.evaluation.judges import outputs, write_evaluation, write_rows
from tests.test_cli import called

ROOT = Path(__file__).parent.parent.parent
BASE = ROOT / "backtrans/microworld/base"


def write_sides(folder: Path, ours: list[str], theirs: list[str]) -> None:
    write_rows(folder / "ours.json", outputs("us", ours))
    write_rows(folder / "theirs.json", outputs("them", theirs))


def texts(seed: int, low: int, high: int, n: int = 60) -> list[str]:
    dice = random.Random(seed)
    return ["x" * dice.randint(low, high) for _ in range(n)]


def result(path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[str, dict[str, Any]]:
    to = path.parent / "result.json"
    code, out, err = called("evaluate", path, "--json", to, capsys=capsys)
    assert (code, err) == (0, "")
    return out, json.loads(to.read_bytes())


def test_a_judge_of_worth_gives_the_planted_win_rate_and_the_table_shows_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    better = [k % 10 < 7 for k in range(60)]
    write_sides(
        tmp_path,
        [f"worth={2 if won else 0} of our own" for won in better],
        [f"worth=1 of theirs, number {k}" for k in range(60)],
    )
    out, whole = result(write_evaluation(tmp_path, "likes_worth"), capsys)
    found = whole["figures"]
    assert (found["wins"], found["ties"], found["losses"]) == (42, 0, 18)
    assert found["win_rate"]["value"] == pytest.approx(0.7)
    assert found["win_rate"]["low"] < 0.7 < found["win_rate"]["high"]
    assert found["position"]["orders_disagree"] == 0.0
    assert "us against them" in out
    assert "70.00 " in out
    assert "42 / 0 / 18" in out


def test_the_file_holds_every_pair_and_all_that_its_figures_follow_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sides(tmp_path, ["worth=2", "", "same"], ["worth=1", "text", "same"])
    _, whole = result(write_evaluation(tmp_path, "likes_worth"), capsys)
    first, empty, same = whole["rows"]
    assert first["instruction"] == "Question 1?"
    assert (first["candidate"], first["reference"]) == ("worth=2", "worth=1")
    assert first["preference"] == pytest.approx(0.731, abs=1e-3)
    assert (first["outcome"], empty["outcome"], same["outcome"]) == ("win", "loss", "tie")
    assert (empty["note"], same["note"]) == ("candidate_empty", "identical")
    assert whole["figures"]["notes"] == {"candidate_empty": 1, "identical": 1}
    assert whole["usage"]["judge"]["requests"] == 2
    assert whole["roles"] == ["compare/1"]
    assert whole["settings"]["judge"]["tie_margin"] == 0.0
    assert whole["models"]["judge"]  # by content


def test_a_judge_of_length_is_seen_through(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sides(tmp_path, texts(1, 40, 300), texts(2, 40, 150))
    out, whole = result(write_evaluation(tmp_path, "likes_length"), capsys)
    found = whole["figures"]
    assert found["win_rate"]["value"] > 0.7
    assert abs(found["length_controlled"]["value"] - 0.5) < 0.05
    assert found["lengths"]["longer_wins"] == 1.0
    assert "the longer output wins" in out


def test_a_judge_of_places_finds_ties_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sides(tmp_path, texts(1, 40, 300), texts(2, 400, 500))
    _, whole = result(write_evaluation(tmp_path, "likes_the_first"), capsys)
    found = whole["figures"]
    assert (found["wins"], found["ties"], found["losses"]) == (0, 60, 0)
    assert found["win_rate"]["value"] == found["length_controlled"]["value"] == 0.5
    assert found["position"]["orders_disagree"] == 1.0


def test_a_model_answers_on_the_engine_that_it_shares_with_its_judge(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sides(tmp_path, [], ["word " * 10] * 30)
    model = {"path": "scripted:tests.evaluation.judges:answers_and_likes_length"}
    path = write_evaluation(
        tmp_path,
        "answers_and_likes_length",
        candidate={"model": {**model, "engine": "scripted"}, "name": "our model", "tag": ""},
    )
    out, whole = result(path, capsys)
    assert "our model" in out
    assert "mean tokens, candidate" in out
    assert whole["usage"]["candidate"]["requests"] == 30
    rows = whole["rows"]
    assert all(row["candidate_tokens"] == len(row["candidate"].split()) for row in rows)
    assert {row["outcome"] for row in rows} == {"win", "loss", "tie"} - (
        set() if any(row["note"] for row in rows) else {"tie"}
    )
    assert whole["roles"] == ["answer/1", "compare/1"]


def test_an_instruction_that_the_candidates_own_engine_refuses_is_no_loss(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["Why?", "Why <<refuse>>?", "How?"]
    rows = [{"instruction": text, "output": "word " * 10} for text in asked]
    write_rows(tmp_path / "theirs.json", rows)
    model = {
        "path": "scripted:tests.evaluation.judges:answers_and_likes_length",
        "engine": "scripted",
        "seed": 1,  # so that it shares no engine with the judge
    }
    path = write_evaluation(tmp_path, "likes_length", candidate={"model": model}, min_judged=0.5)
    _, whole = result(path, capsys)
    answered, refused, _ = whole["rows"]
    assert answered["candidate"].startswith("word")
    assert (refused["outcome"], refused["reject_reason"]) == (None, "refused")
    assert whole["figures"]["not_judged"] == {"refused": 1}
    assert whole["figures"]["notes"] == {}
    assert whole["usage"]["judge"]["requests"] == 4


def test_pairs_without_a_verdict_are_counted_and_end_the_command_in_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sides(tmp_path, ["worth=2", "worth=2 <<refuse>>"], ["worth=1", "worth=1"])
    to = tmp_path / "result.json"
    path = write_evaluation(tmp_path, "likes_worth")
    code, out, err = called("evaluate", path, "--json", to, capsys=capsys)
    assert code == 3
    assert "1 of 2 pairs were judged" in err
    assert "not judged: refused" in out
    refused = json.loads(to.read_bytes())["rows"][1]
    assert (refused["outcome"], refused["reject_reason"]) == (None, "refused")
    path = write_evaluation(tmp_path, "likes_worth", min_judged=0.5)
    assert called("evaluate", path, capsys=capsys)[0] == 0


def test_a_judge_that_says_nothing_is_an_error_without_a_figure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sides(tmp_path, ["a"], ["b"])
    path = write_evaluation(tmp_path, "never_says", min_judged=0.0)
    to = tmp_path / "result.json"
    code, out, err = called("evaluate", path, "--json", to, capsys=capsys)
    assert code == 3
    assert "choice_improbable" in err
    assert "Win rate" not in out
    assert not to.exists()


def test_a_dead_judge_is_an_error_and_leaves_no_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sides(tmp_path, ["a <<kill>>"], ["b"])
    to = tmp_path / "result.json"
    code, _, err = called(
        "evaluate", write_evaluation(tmp_path, "likes_length"), "--json", to, capsys=capsys
    )
    assert code == 1
    assert "dead" in err
    assert not to.exists()


@pytest.mark.parametrize(
    ("sections", "code", "said"),
    [
        ({"candidate": {}}, 2, "evaluation.candidate: give outputs, a file, or model"),
        ({"candidate": {"output": "x"}}, 2, "did you mean 'outputs'"),
        ({"judge": {"model": {"path": "x", "adaptor": "y"}}}, 2, "did you mean 'adapter'"),
        ({"candidate": {"model": {"pat": "x"}}}, 2, "did you mean 'path'"),
        ({"judge": {}}, 2, "evaluation.judge.model: required"),
        ({"resamples": 0}, 2, "evaluation.resamples"),
        ({"seed": "1"}, 2, "evaluation.seed"),
        ({"instructions": "none.json"}, 1, "none.json"),
        ({"reference": {"outputs": "ours.json"}, "instructions": "set.json"}, 1, "set.json"),
        ({"judge": {"model": {"path": "./nowhere"}}}, 1, "nowhere"),
    ],
)
def test_a_mistake_is_one_error_that_names_it_and_a_code(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    sections: dict[str, Any],
    code: int,
    said: str,
) -> None:
    write_sides(tmp_path, ["a"], ["b"])
    write_rows(tmp_path / "set.json", [{"instruction": "Another?"}])
    path = write_evaluation(tmp_path, "likes_length", **sections)
    got, out, err = called("evaluate", path, capsys=capsys)
    assert got == code
    assert said in err
    assert "Traceback" not in out + err


def test_a_result_that_cannot_be_written_is_an_error_that_names_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sides(tmp_path, ["a"], ["b"])
    (tmp_path / "taken").write_text("a file")
    path = write_evaluation(tmp_path, "likes_length")
    code, _, err = called("evaluate", path, "--json", tmp_path / "taken/r.json", capsys=capsys)
    assert code == 2
    assert "taken" in err


def test_an_evaluation_is_the_same_twice(tmp_path: Path) -> None:
    write_sides(tmp_path, texts(1, 1, 90), texts(2, 1, 90))
    settings = load_evaluation(write_evaluation(tmp_path, "likes_length"))
    once, twice = (hold(settings, lambda line: None) for _ in range(2))
    assert once.judged == twice.judged
    assert figures(once.judged, seed=0, resamples=20) == figures(twice.judged, seed=0, resamples=20)


def test_the_example_is_a_file_that_loads_and_its_paths_lead_from_its_folder() -> None:
    found = load_evaluation(ROOT / "examples/evaluate.yaml")
    assert Path(found.reference.outputs).resolve() == ROOT / "evaluation/reference.json"
    with pytest.raises(ConfigError, match=r"(?s)evaluate\.yaml: .*evaluation: unknown key"):
        load(ROOT / "examples/evaluate.yaml")


def test_the_job_does_what_the_command_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_sides(tmp_path, ["aa"], ["b"])
    path = write_evaluation(tmp_path, "likes_length")
    monkeypatch.setattr(sys, "argv", ["jobs/evaluate.py", str(path)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / "jobs/evaluate.py"), run_name="__main__")
    assert ended.value.code == 0
    assert "us against them" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.vllm
def test_a_real_model_answers_and_is_judged_by_itself(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    import warnings

    asked = ["How do I bake bread?", "What is a pump?", "Compare tea and coffee."]
    reference = [
        {"instruction": text, "output": f"{text} Nobody knows.", "generator": "them"}
        for text in asked
    ]
    write_rows(tmp_path / "theirs.json", reference)
    model = {"path": str(BASE), "max_model_tokens": 1024}
    path = write_evaluation(
        tmp_path,
        "",
        candidate={"model": model, "sampling": {"temperature": 0.0, "max_tokens": 40}},
        judge={"model": model},
        engine={"eager": True, "max_sequences": 16, "max_batched_tokens": 1024},
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what vLLM and torch warn while they load
        contest = hold(load_evaluation(path), lambda line: None)
    found = figures(contest.judged, seed=0, resamples=20)
    assert (found.pairs, found.judged) == (3, 3)
    assert found.lengths.candidate_mean_tokens is not None
    assert 0 < found.lengths.candidate_mean_tokens <= 40
    assert found.position is not None
    assert 0 < found.position.probability_of_first < 1
    assert contest.usage["judge"].requests == 6
    assert orjson.loads(orjson.dumps(contest.models)).keys() == {"judge", "candidate"}
