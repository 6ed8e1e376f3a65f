"""What a run may cost: it stops in time, throws nothing away, and a later run goes on."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from backtrans.entries import Counts
from backtrans.errors import BudgetSpent
from backtrans.ledger import Commit, Usage
from backtrans.pipeline import Pipeline
from backtrans.placement import Placement
from backtrans.spending import Costs, Spending
from tests.jobs import Silent, config, configuration, document, published, write_jsonl
from tests.test_cli import called

SHARD_ROWS = 4


def write_mixed(folder: Path, words: list[int]) -> None:
    """Write a corpus of one object: shards whose documents have so many words each."""
    documents = [
        document(shard * SHARD_ROWS + row, words=each)
        for shard, each in enumerate(words)
        for row in range(SHARD_ROWS)
    ]
    write_jsonl(folder / "corpus/part-0.jsonl.gz", documents)


def over(folder: Path, in_flight: int, **changes: Any) -> Pipeline:
    """Return a job whose shards have `SHARD_ROWS` documents."""
    engines = {"in_flight": in_flight}
    changes = {"placement__engines": engines, "recipe__corpus__shard_rows": SHARD_ROWS} | changes
    return Pipeline(config(folder, **changes))


def tokens_of_shards(pipeline: Pipeline) -> list[int]:
    """Return what each shard that was asked about cost, the dearest first."""
    found: dict[str, int] = {}
    for stage in ("backtranslate", "score"):
        for commit in pipeline.ledger.commits(stage):
            cost = commit.usage.prompt_tokens + commit.usage.output_tokens
            found[commit.shard] = found.get(commit.shard, 0) + cost
    return sorted(found.values(), reverse=True)


def spent_in(pipeline: Pipeline) -> int:
    last = pipeline.journal.last()
    assert last is not None
    return int(last["summary"]["spent"]["tokens"])


@pytest.mark.slow
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    words=st.lists(st.integers(60, 600), min_size=3, max_size=7),
    share=st.floats(0.2, 0.95),
    in_flight=st.sampled_from([1, 3]),
)
def test_a_run_goes_over_its_cap_by_no_more_than_what_was_in_flight(
    tmp_path_factory: pytest.TempPathFactory, words: list[int], share: float, in_flight: int
) -> None:
    folder = tmp_path_factory.mktemp("capped")
    write_mixed(folder, words)
    free = over(folder, in_flight, placement__root="free")
    whole = sum(tokens_of_shards(free)) if free.run(Silent()) else 0
    cap = max(1, int(whole * share))
    while True:
        capped = over(folder, in_flight, placement__budget={"tokens": cap})
        before = sum(tokens_of_shards(capped))
        try:
            capped.run(Silent())
            break
        except BudgetSpent:
            pass
        costs = tokens_of_shards(capped)
        assert spent_in(capped) == sum(costs) - before > 0
        assert spent_in(capped) <= cap + sum(costs[:in_flight])
    assert sum(tokens_of_shards(capped)) == whole
    for split in ("A4", "A5"):
        assert published(capped, split) == published(free, split)


@pytest.mark.parametrize(
    ("in_flight", "begun"), [pytest.param(1, {4}, marks=pytest.mark.slow), (3, {3, 4})]
)
def test_where_shards_cost_alike_a_run_goes_over_its_cap_by_one_of_them_at_most(
    tmp_path: Path, in_flight: int, begun: set[int]
) -> None:
    # Of three at once a fourth begins when the first is done, unless the second was as fast: two
    # that are done and two that may be under way reach the cap.
    write_mixed(tmp_path, [130] * 7)
    free = over(tmp_path, in_flight, placement__root="free")
    free.run(Silent())
    shard = tokens_of_shards(free)[0]
    capped = over(tmp_path, in_flight, placement__budget={"tokens": int(3.5 * shard)})
    with pytest.raises(BudgetSpent):
        capped.run(Silent())
    costs = tokens_of_shards(capped)
    assert len(costs) in begun
    assert sum(costs) < 4.5 * shard


def test_a_spent_budget_ends_in_4_and_says_which_what_was_spent_and_what_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_mixed(tmp_path, [130] * 4)
    changes = {"placement__engines": {"in_flight": 2}, "recipe__corpus__shard_rows": SHARD_ROWS}
    path = configuration(tmp_path, placement__budget={"tokens": 1}, **changes)
    code, _, err = called("run", path, capsys=capsys)
    assert code == 4
    assert "placement.budget.tokens: spent " in err
    assert " of 1. Nothing was published; shards left: backtranslate 2, score 2, curate 2" in err


def test_what_is_complete_is_published_where_that_is_enough(tmp_path: Path) -> None:
    write_mixed(tmp_path, [130] * 6)
    changes = {"placement__budget": {"tokens": 1}, "placement__min_complete": 0.1}
    capped = over(tmp_path, 2, **changes)
    with pytest.raises(BudgetSpent, match="Splits are published"):
        capped.run(Silent())
    assert len(published(capped)) > 0
    assert capped.status().stages[-1].shards == 2


def test_a_cap_that_all_of_the_work_fits_under_stops_nothing(tmp_path: Path) -> None:
    write_mixed(tmp_path, [130] * 3)
    pipeline = over(tmp_path, 3, placement__budget={"tokens": 1})
    summary = pipeline.run(Silent())  # all three were begun at once
    assert summary.stopped_by is None
    assert summary.spent.tokens == sum(tokens_of_shards(pipeline)) > 1


def test_later_engines_are_not_opened_once_the_budget_is_spent(tmp_path: Path) -> None:
    write_mixed(tmp_path, [130] * 4)
    forward = {"path": "scripted:default", "engine": "scripted", "seed": 7}
    pipeline = over(tmp_path, 4, placement__budget={"tokens": 1}, recipe__models__forward=forward)
    watching = Silent()
    with pytest.raises(BudgetSpent, match="score 4, curate 4"):
        pipeline.run(watching)
    assert "score" not in dict(watching.phases)


def test_gpu_hours_and_money_follow_from_seconds_gpus_and_prices() -> None:
    said = {
        "root": "x",
        "prices": {"gpu_hour": 2.5},
        "budget": {"gpu_hours": 8.0, "money": 100.0},
    }
    spending = Spending(Placement.model_validate(said))
    spending.begin()
    assert not spending.add([Usage(seconds=1800.0, money=1.0)], gpus_each=4, in_flight=1)
    assert (spending.spent.gpu_hours, spending.spent.money) == (2.0, 6.0)
    # 4 GPU-hours are spent; two shards are in flight at 2 each.
    assert spending.add([Usage(seconds=1800.0)], gpus_each=4, in_flight=2)
    assert spending.said() == "placement.budget.gpu_hours: spent 4 of 8"


def test_a_cap_on_money_where_nothing_has_a_price_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"prices\.gpu_hour"):
        Placement.model_validate({"root": "x", "budget": {"money": 10.0}})


def test_rows_that_are_done_again_cost_a_run_only_what_it_asked(tmp_path: Path) -> None:
    documents = [document(k) for k in range(8)]
    documents[3]["text"] += " <<refuse>>"
    write_jsonl(tmp_path / "corpus/part-0.jsonl.gz", documents)
    mended = tmp_path / "mended"
    model = {"path": f"scripted:default?mended_by={mended}", "engine": "scripted"}
    pipeline = over(tmp_path, 1, recipe__models={"backward": model, "forward": model})
    first = pipeline.run(Silent()).spent.tokens
    mended.write_text("")
    again = pipeline.run(Silent(), ["refused"])
    assert again.retried_rows_kept == 1
    # One row is asked for, and the shard of it is scored anew: one of two shards, and a little.
    assert 0 < again.spent.tokens < 0.6 * first


def commit(stage: str, part: str, tokens: int, shard: str = "s") -> Commit:
    usage = Usage(prompt_tokens=tokens)
    return Commit(stage, f"{stage}-{shard}", shard, "a", 0, part, Counts(1, 1, {}), usage)


def test_what_is_made_afresh_costs_all_of_it_and_nothing_is_counted_twice() -> None:
    due = [commit("backtranslate", "b1", 100), commit("score", "s1", 50)]
    costs = Costs(due, ["select", "backtranslate", "score"])
    replaced, afresh = commit("backtranslate", "b2", 107), commit("score", "s2", 60)
    assert costs.of(replaced).prompt_tokens == 7  # the old part's cost is in it
    assert costs.of(afresh).prompt_tokens == 60  # the old one was retracted with its pairs
    assert costs.is_counted(replaced)
    assert costs.is_counted(afresh)
    other = commit("score", "s3", 40, shard="t")
    assert costs.of(other).prompt_tokens == 40
