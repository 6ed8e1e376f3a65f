"""`backtrans calibrate`: from a run's scores to labels, figures and a selector in the recipe."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from backtrans.calibration.labels import read_sheet
from tests.calibration.pools import mark, write_pool
from tests.jobs import configuration, write_corpus
from tests.test_cli import called


def test_a_runs_scored_pairs_are_drawn_whether_they_were_kept_or_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_corpus(tmp_path)
    path = configuration(tmp_path)
    sheet = tmp_path / "labels.csv"
    code, _, err = called("calibrate", "export", path, "--out", sheet, capsys=capsys)
    assert (code, "holds no pair with a score" in err) == (2, True)
    called("run", path, capsys=capsys)
    code, out, _ = called("calibrate", "export", path, "--out", sheet, capsys=capsys)
    assert code == 0
    beside = json.loads((tmp_path / "labels.scores.json").read_bytes())
    assert len(read_sheet(sheet).rows) == len(beside["pairs"]) == 36  # all that have a score
    assert {each["judgement"]["score"] < 4.0 for each in beside["pairs"]} == {True, False}
    assert "36 pair(s) to label" in out
    code, _, err = called("calibrate", "export", path, "--out", sheet, capsys=capsys)
    assert (code, "may hold labels" in err) == (2, True)


def test_labels_become_figures_and_a_selector_that_a_recipe_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("sklearn", reason="the extra `calibrate` is not installed")
    truth = write_pool(tmp_path / "pool.jsonl", 400)
    sheet, to = tmp_path / "labels.csv", tmp_path / "selector.yaml"
    pool = tmp_path / "pool.jsonl"
    called("calibrate", "export", pool, "--out", sheet, "--pairs", "100", capsys=capsys)
    code, _, err = called("calibrate", "report", sheet, capsys=capsys)
    assert (code, "has 0 label(s); 20 are the fewest" in err) == (1, True)
    mark(sheet, truth)
    fit = ("calibrate", "fit", sheet, "--precision", "0.8", "--out", to)
    code, out, err = called(*fit, "--feature", "expectation", capsys=capsys)
    assert (code, err) == (0, "")
    assert "promised precision" in out
    report = tmp_path / "report.json"
    options = ("--json", report, "--selector", to)
    code, out, _ = called("calibrate", "report", sheet, *options, capsys=capsys)
    assert code == 0
    for said in ("100 labels, for 400 pairs", "AUC", "GPT-4", "left out"):
        assert said in out
    whole: dict[str, Any] = json.loads(report.read_bytes())
    expectation = next(s for s in whole["signals"] if s["name"] == "expectation")
    assert expectation["auc"]["low"] < expectation["auc"]["value"] < expectation["auc"]["high"]
    assert whole["papers"][2] == {
        "selector": "GPT-4, 2308.06259",
        "precision": 0.88,
        "recall": 0.92,
    }
    write_corpus(tmp_path)
    run = configuration(tmp_path)
    raw = yaml.safe_load(run.read_text())
    raw["recipe"]["curate"] = {"selector": "selector.yaml"}
    run.write_text(yaml.safe_dump(raw))
    code, out, _ = called("plan", run, capsys=capsys)
    assert code == 0


def test_a_feature_that_is_none_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("sklearn", reason="the extra `calibrate` is not installed")
    arguments = ("--out", tmp_path / "s.yaml", "--feature", "charm")
    code, _, err = called("calibrate", "fit", tmp_path / "labels.csv", *arguments, capsys=capsys)
    assert code == 2
    assert "no feature is called 'charm'; there are expectation, digit" in err
