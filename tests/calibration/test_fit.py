"""Fitting a selector: what it promises it has measured, and what cannot be fitted is said."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backtrans.calibration.account import account
from backtrans.calibration.fit import Asked, digest, fit
from backtrans.calibration.labels import Labels
from backtrans.errors import ConfigError, InputError
from backtrans.thresholds import Feature, Selector, Thresholds
from bench.calibration import Outcome, Size, experiment, shown
from tests.calibration.pools import labelled, write_pool

pytest.importorskip("sklearn", reason="the extra `calibrate` is not installed")


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Labels:
    return labelled(tmp_path_factory.mktemp("labels"), 900, 150)


@pytest.fixture(scope="module")
def selector(labels: Labels) -> Selector:
    return fit(labels, Asked(), seed=1)


def test_a_selector_reads_what_tells_and_says_what_it_was_fitted_on(
    labels: Labels, selector: Selector
) -> None:
    assert set(selector.features) == {
        "expectation",
        "entropy",
        "min_token_logprob",
        "mean_logprob",
    }  # pmi is missing
    assert selector.features["expectation"].weight > 0.5
    assert abs(selector.features["entropy"].weight) < 0.5  # is noise here
    assert 0 < selector.a4 < selector.a5 < 1
    assert selector.fitted is not None
    assert (selector.fitted.labels, selector.fitted.good_from) == (150, None)
    assert selector.fitted.digest == digest(labels)


def test_a_promise_is_kept_on_pairs_that_nothing_was_fitted_on(
    selector: Selector, tmp_path: Path
) -> None:
    truth = write_pool(tmp_path / "fresh.jsonl", 4000, seed=9)
    rows = [json.loads(line) for line in (tmp_path / "fresh.jsonl").read_text().splitlines()]
    judged = Thresholds(selector=selector)
    for split, promise in (("A5", selector.fitted.a5), ("A4", selector.fitted.a4)):  # type: ignore[union-attr]
        kept = [
            good
            for row, good in zip(rows, truth.values(), strict=True)
            if judged.judge({**row, "score": row["expectation"]}) in (split, "A5")
        ]
        assert promise.low is not None
        assert promise.precision is not None
        assert np.mean(kept) >= promise.low
        assert np.mean(kept) == pytest.approx(promise.precision, abs=0.08)


@pytest.mark.slow
def test_the_same_labels_and_seed_give_the_same_selector(
    labels: Labels, selector: Selector
) -> None:
    assert fit(labels, Asked(), seed=1) == selector


@pytest.mark.slow
def test_one_feature_is_a_threshold_of_it(labels: Labels) -> None:
    found = fit(labels, Asked(a5=0.7, a4=0.6), features=["expectation"])
    taken = Thresholds(selector=found)
    scores = [taken.value({"score": score}) for score in np.linspace(1, 5, 50)]
    assert scores == sorted(scores)


@pytest.mark.slow
def test_to_be_sure_asks_for_more_than_to_expect(labels: Labels, selector: Selector) -> None:
    sure = fit(labels, Asked(a5=0.8, a4=0.7, sure=True), seed=1)
    expected = fit(labels, Asked(a5=0.8, a4=0.7), seed=1)
    assert sure.a5 > expected.a5
    assert sure.a4 > expected.a4


def test_what_cannot_be_fitted_is_said(labels: Labels) -> None:
    few = replace(labels, pairs=labels.pairs[:19])
    alike = replace(labels, pairs=[replace(pair, label="y") for pair in labels.pairs])
    good = [pair for pair in labels.pairs if pair.label == "y"][:5]
    lopsided = replace(labels, pairs=good + [pair for pair in labels.pairs if pair.label == "n"])
    for wrong, said in (
        (few, "has 19 label"),
        (alike, "all 150 labels are good"),
        (lopsided, "5 are of one kind"),
    ):
        with pytest.raises(InputError, match=said):
            fit(wrong, Asked())
    with pytest.raises(ConfigError, match="pmi is missing"):
        fit(labels, Asked(), features=["pmi"])
    with pytest.raises(ConfigError, match="off_digit_mass does not vary"):
        fit(labels, Asked(), features=["off_digit_mass"])
    noise: list[Feature] = ["entropy"]
    with pytest.raises(ConfigError, match=r"no threshold has a precision of 0\.8"):
        fit(labels, Asked(), features=noise)
    with pytest.raises(ConfigError, match="A4's"):
        Asked(a5=0.7, a4=0.8)


def test_a_selector_stands_beside_the_signals_that_it_reads(
    labels: Labels, selector: Selector
) -> None:
    found = account(labels, selector=selector, resamples=100)
    by_name = {signal.name: signal for signal in found.signals}
    ours, best = by_name["probability"].auc.value, by_name["expectation"].auc.value
    assert ours is not None
    assert best is not None
    assert ours > best
    assert found.left_out == ["pmi"]
    judge, fitted = found.reliability
    assert fitted.error.value is not None
    assert judge.error.value is not None
    assert fitted.error.value < judge.error.value  # the judge is too sure of itself


@pytest.mark.slow
def test_the_bench_labels_fits_and_judges(tmp_path: Path) -> None:
    files = []
    for seed in (1, 2):
        files.append(tmp_path / f"{seed}.jsonl")
        truth = write_pool(files[-1], 500, seed)
        rows = [json.loads(line) for line in files[-1].read_text().splitlines()]
        lines = [
            {**row, "score": row["expectation"], "digit": row["score"], "truth": 5 if good else 2}
            for row, good in zip(rows, truth.values(), strict=True)
        ]
        for line in lines:
            del line["expectation"]
        files[-1].write_text("".join(json.dumps(line) + "\n" for line in lines))
    size = Size(labels=120, precision=0.8)
    found = experiment(files[0], files[1], tmp_path / "labels.csv", size, seed=0)
    assert isinstance(found, Outcome)
    assert found.achieved >= found.surely
    assert abs(found.gap) < 10
    assert found.achieved_recall > found.plain[1]  # the score alone finds fewer
    assert len(shown([1], [found], size)) == 5
