"""Rounds: the same pairs, scored again by a model trained on what the round before kept.

The engine is scripted: a trained model is one that answers by another seed.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from backtrans import trained
from backtrans.cli import app
from backtrans.errors import ConfigError, InputError, TrainingFailed
from backtrans.models import Registry
from backtrans.pipeline import Pipeline
from backtrans.rounds import Rounds
from backtrans.snapshots import snapshots
from backtrans.takedown import asked, record

from . import jobs
from .cuts import Cut, CutOff

SEED = [{"instruction": f"Ask {k}", "output": f"Answer {k}"} for k in range(5)]


def job(folder: Path, **changes: Any) -> Pipeline:
    jobs.write_jsonl(folder / "seed.jsonl.gz", SEED)
    changes = {"recipe__training": {"seed": {"paths": ["seed.jsonl.gz"]}}, **changes}
    return Pipeline(jobs.config(folder, **changes))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    jobs.write_corpus(tmp_path, files=1, each=24)
    return tmp_path


def models(rounds: Rounds) -> list[str]:
    return [record.fingerprint for record in Registry(rounds.first.ledger.store).all()]


def commits(rounds: Rounds, stage: str) -> int:
    store = rounds.first.ledger.store
    return sum("/commits/" in info.key for info in store.list(f"{stage}/"))


def test_two_rounds_score_the_same_pairs_twice_and_publish_once(folder: Path) -> None:
    rounds, seen = Rounds(job(folder)), jobs.Silent()
    rounds.run(2, seen)
    asked_for = [name for name, _ in seen.phases]
    assert asked_for.count("backtranslate+score") + asked_for.count("backtranslate") == 1
    first, second = rounds.compared()
    assert first.pairs == second.pairs == 22
    assert first.trained_on is None
    assert second.trained_on == first.a5 > 0
    assert len(models(rounds)) == 2  # M_1 and M_2
    assert len(list(snapshots(rounds.first.ledger))) == 1


def test_a_round_says_what_it_gained_and_lost(folder: Path) -> None:
    rounds = Rounds(job(folder))
    rounds.run(2, jobs.Silent())
    first, second = rounds.compared()
    assert first.agreement is None
    assert second.gained is not None
    assert second.lost is not None
    assert second.a5 == first.a5 + second.gained - second.lost
    assert second.agreement == pytest.approx(1 - (second.gained + second.lost) / second.pairs)
    assert second.correlation is not None
    assert abs(second.correlation) < 0.9  # two seeds of a script agree by chance alone
    for sample in second.gains:
        assert sample.before < 3.2 <= sample.after


def test_the_splits_are_the_last_rounds(folder: Path) -> None:
    rounds = Rounds(job(folder))
    rounds.run(2, jobs.Silent())
    *_, last = rounds.compared()
    assert len(jobs.published(rounds.first, "A5")) == last.a5
    assert len(jobs.published(rounds.first, "A4")) == last.a4


def test_the_command_line_goes_through_rounds_and_compares_them(folder: Path) -> None:
    job(folder)
    path, runner = str(folder / "run.yaml"), CliRunner()
    said = runner.invoke(app, ["run", path, "--rounds", "2"])
    assert said.exit_code == 0, said.output
    assert "another recipe" not in said.output
    compared = [json.loads(line) for line in _lines(runner, "rounds", path, "--json")]
    assert [found["number"] for found in compared] == [0, 1]
    table = "\n".join(_lines(runner, "rounds", path))
    assert compared[1]["model"][:12] in table
    assert compared[1]["gains"][0]["id"] in table
    assert "the splits below are of another recipe, or of a later round" in _lines(
        runner, "status", path
    )


def _lines(runner: CliRunner, *words: str) -> list[str]:
    said = runner.invoke(app, words)
    assert said.exit_code == 0, said.output
    return said.output.splitlines()


def test_going_through_them_again_computes_nothing(folder: Path) -> None:
    Rounds(job(folder)).run(2, jobs.Silent())
    before = list(Rounds(job(folder)).compared())
    rounds, seen = Rounds(job(folder)), jobs.Silent()
    summary, _ = rounds.run(2, seen)
    assert seen.phases == []
    assert summary.made == {}
    assert list(rounds.compared()) == before
    assert len(list(snapshots(rounds.first.ledger))) == 1


def test_a_third_round_goes_on_from_the_second(folder: Path) -> None:
    Rounds(job(folder)).run(2, jobs.Silent())
    rounds, seen = Rounds(job(folder)), jobs.Silent()
    rounds.run(3, seen)
    assert {name for name, _ in seen.phases} == {"score", "curate", "train.forward"}
    assert [found.number for found in rounds.compared()] == [0, 1, 2]


@pytest.mark.parametrize("training", [0, 1])
def test_a_loop_that_died_in_a_training_ends_where_it_would_have(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, training: int, monkeypatch: Any
) -> None:
    whole = tmp_path_factory.mktemp("whole")
    jobs.write_corpus(whole, files=1, each=24)
    untouched = Rounds(job(whole))
    untouched.run(2, jobs.Silent())

    real, calls = trained.train, []

    def dies(*arguments: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == training + 1:
            raise TrainingFailed("lost")
        return real(*arguments, **named)

    monkeypatch.setattr(trained, "train", dies)
    with pytest.raises(TrainingFailed):
        Rounds(job(folder)).run(2, jobs.Silent())
    monkeypatch.setattr(trained, "train", real)
    rounds = Rounds(job(folder))
    rounds.run(2, jobs.Silent())
    assert list(rounds.compared()) == list(untouched.compared())
    assert models(rounds) == models(untouched)


def rows(rounds: Rounds) -> list[dict[str, Any]]:
    """Return what is published, but for the folder of its corpus."""
    return [{**row, "object": ""} for row in jobs.published(rounds.first)]


@pytest.mark.slow
def test_a_loop_that_is_cut_off_at_any_change_to_the_store_ends_where_it_would_have(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    def fresh(name: str) -> Rounds:
        folder = tmp_path_factory.mktemp(name)
        jobs.write_corpus(folder, files=1, each=24)
        forward = {"path": "scripted:default", "engine": "scripted", "trained": True}
        return Rounds(job(folder, recipe__models__forward=forward))

    counting = CutOff()
    with counting.on():
        untouched = fresh("untouched")
        untouched.run(2, jobs.Silent())
    whole = list(untouched.compared())
    assert len(whole) == 2
    assert counting.changes > 40
    for nth in range(2, counting.changes + 1, 3):
        rounds = fresh(f"cut-{nth}")
        with CutOff(nth).on(), pytest.raises(Cut):
            rounds.run(2, jobs.Silent())
        rounds.run(2, jobs.Silent())
        assert list(rounds.compared()) == whole, nth
        assert models(rounds) == models(untouched)
        assert rows(rounds) == rows(untouched)


def test_a_first_model_that_is_trained_on_the_seed_is_trained_first(folder: Path) -> None:
    forward = {"path": "scripted:default", "engine": "scripted", "trained": True}
    rounds, seen = Rounds(job(folder, recipe__models__forward=forward)), jobs.Silent()
    rounds.run(1, seen)
    names = [name for name, _ in seen.phases]
    assert names.index("train.forward") < names.index("score")
    assert names.count("train.forward") == 2  # M_0 on the seed, M_1 on seed and A5
    assert sorted(len(record.data) for record in Registry(rounds.first.ledger.store).all())


def test_what_was_taken_down_is_not_trained_on(folder: Path) -> None:
    rounds = Rounds(job(folder))
    rounds.first.run(jobs.Silent(), publish=False)
    kept = [row["document_id"] for row in rounds.first.kept("A5", stage="curate")]
    record(rounds.first.ledger, asked([("id", kept[0])]))
    left = [row["document_id"] for row in rounds.first.kept("A5", stage="curate")]
    assert left == kept[1:]


def test_a_round_that_keeps_nothing_says_so(folder: Path) -> None:
    with pytest.raises(InputError, match=r"round 0: no pair is in A5.*curate\.a5"):
        Rounds(job(folder, recipe__curate={"a4": 4.9, "a5": 5.0})).run(2, jobs.Silent())


def test_rounds_need_something_to_train_on(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"recipe\.training"):
        Rounds(Pipeline(jobs.config(folder)))


def test_an_unpublished_run_leaves_the_splits_alone(folder: Path) -> None:
    pipeline = job(folder)
    summary = pipeline.run(jobs.Silent(), publish=False)
    assert summary.snapshot is None
    assert summary.complete == 1.0
    assert list(snapshots(pipeline.ledger)) == []
