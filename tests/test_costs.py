"""What the pairs that are there have cost, by stage and a pair, whatever befell the run."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from backtrans.accounts import StageStatus
from backtrans.costs import Cost, Costs
from backtrans.ledger import Commit
from backtrans.pipeline import Pipeline
from backtrans.runtime import attempts
from backtrans.stages.ask import AskWorker
from backtrans.work import Receipt
from tests.cuts import write_marked
from tests.jobs import Silent, config, configuration, document, write_corpus, write_jsonl
from tests.test_cli import called

ASKING = ("backtranslate", "score")
GPUS = {"device": "gpu", "tensor_parallel": 2}


class Interrupting(Silent):
    """An observer at whose third receipt of an asking phase somebody presses Ctrl-C."""

    def receipt(self, receipt: Receipt) -> None:
        super().receipt(receipt)
        asked = [r for r in self.receipts if any(c.stage in ASKING for c in r.commits)]
        if len(asked) == 3:
            raise KeyboardInterrupt


def commits(pipeline: Pipeline) -> list[Commit]:
    return [commit for stage in ASKING for commit in pipeline.ledger.commits(stage)]


def test_a_run_that_was_interrupted_and_gone_on_with_costs_what_a_whole_one_does(
    tmp_path: Path,
) -> None:
    write_corpus(tmp_path, files=2)
    whole = Pipeline(config(tmp_path, placement__root="whole"))
    whole.run(Silent())
    cut = Pipeline(config(tmp_path, placement__engines={"in_flight": 1}))
    with pytest.raises(KeyboardInterrupt):
        cut.run(Interrupting())
    midway = cut.status()
    assert 0 < midway.costs.whole.tokens < whole.status().costs.whole.tokens
    assert midway.costs.per_pair == {}  # nothing is published of it
    cut.run(Silent())
    told, found = cut.status(), whole.status()
    made = commits(cut)
    assert len({commit.shard for commit in made}) * len(ASKING) == len(made)
    assert len({commit.run for commit in made}) == 2
    assert told.costs.whole.tokens == found.costs.whole.tokens
    assert told.costs.whole.tokens == sum(
        commit.usage.prompt_tokens + commit.usage.output_tokens for commit in made
    )
    assert told.costs.whole.engine_seconds == pytest.approx(sum(c.usage.seconds for c in made))
    assert told.costs.pairs == found.costs.pairs == told.snapshot.rows  # type: ignore[union-attr]
    shutil.rmtree(tmp_path / "out/checkpoints")
    assert cut.status().costs.whole.tokens == told.costs.whole.tokens


def test_a_pair_bears_the_cost_of_all_that_was_looked_at(tmp_path: Path) -> None:
    write_marked(tmp_path)
    pipeline = Pipeline(config(tmp_path))
    pipeline.run(Silent())
    status = pipeline.status()
    costs, snapshot = status.costs, status.snapshot
    assert snapshot is not None
    assert 0 < snapshot.rows["A5"] < snapshot.rows["A4"] < status.stages[0].rows_in
    for split in ("A4", "A5"):
        assert costs.per_pair[split].tokens * snapshot.rows[split] == costs.whole.tokens
    assert costs.per_pair["A5"].tokens > costs.per_pair["A4"].tokens
    assert set(costs.stages) == set(ASKING)
    assert sum(each.tokens for each in costs.stages.values()) == costs.whole.tokens


def test_seconds_become_gpu_seconds_and_money_by_the_placement(tmp_path: Path) -> None:
    write_corpus(tmp_path, files=1)
    Pipeline(config(tmp_path)).run(Silent())
    prices = {"gpu_hour": 3.6}
    costs = Pipeline(
        config(tmp_path, placement__engine=GPUS, placement__prices=prices)
    ).status().costs  # fmt: skip
    assert costs.whole.gpu_seconds == pytest.approx(2 * costs.whole.engine_seconds)
    assert costs.whole.money == pytest.approx(costs.whole.gpu_seconds / 1000)
    on_cpu = Pipeline(config(tmp_path, placement__prices=prices)).status().costs.whole
    assert (on_cpu.gpu_seconds, on_cpu.money) == (0, 0)


def test_what_a_stage_cost_at_endpoints_is_added_to_what_its_gpus_cost() -> None:
    stage = StageStatus("score", 1, 9, 5, {}, 9, 700, 300, 50, seconds=1800.0, money=0.5)
    cost = stage.cost(gpus_each=4.0, gpu_hour_price=2.5)
    assert cost == Cost(tokens=750, engine_seconds=1800, gpu_seconds=7200, money=5.5)
    found = Costs({"score": cost, "rescore": cost}, {"A5": 0, "A4": 10})
    assert found.per_pair == {"A4": Cost(150, 360, 1440, 1.1)}
    assert found.lines() == [
        "in all: 1,500 tokens, 3,600 engine-seconds, 14,400 GPU-seconds, money 11",
        "  a pair of A4: 150 tokens, 360 engine-seconds, 1,440 GPU-seconds, money 1.1",
    ]
    assert Costs().lines() == []


def test_splits_of_another_corpus_are_not_what_was_paid_for(tmp_path: Path) -> None:
    write_corpus(tmp_path, files=1)
    pipeline = Pipeline(config(tmp_path))
    pipeline.run(Silent())
    assert set(pipeline.status().costs.per_pair) == {"A4", "A5"}
    write_jsonl(tmp_path / "corpus/more.jsonl.gz", [document(k) for k in range(900, 908)])
    with pytest.raises(KeyboardInterrupt):
        Pipeline(config(tmp_path)).run(AtCurate())
    assert Pipeline(config(tmp_path)).status().costs.per_pair == {}


class AtCurate(Silent):
    """An observer who presses Ctrl-C when a shard is curated, before anything is published."""

    def receipt(self, receipt: Receipt) -> None:
        super().receipt(receipt)
        if receipt.commits and receipt.commits[-1].stage == "curate":
            raise KeyboardInterrupt


def failing_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the first shard that is asked about fail in its first attempt."""
    monkeypatch.setattr(attempts, "_pause_seconds", lambda *_: 0.0)
    real, failed = AskWorker._ask, []

    async def ask(self: AskWorker, *arguments: Any) -> Any:
        if not failed:
            failed.append(True)
            raise ValueError("a fault of the moment")
        return await real(self, *arguments)

    monkeypatch.setattr(AskWorker, "_ask", ask)


def test_attempts_are_in_the_commits_and_shown_where_there_were_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_corpus(tmp_path, files=1)
    path = configuration(tmp_path)
    failing_once(monkeypatch)
    code, out, _ = called("run", path, capsys=capsys)
    assert code == 0
    stages = {each.stage: each for each in Pipeline(config(tmp_path)).status().stages}
    assert stages["score"].attempts == stages["score"].shards + 1
    assert stages["curate"].attempts == stages["curate"].shards
    (line,) = [each for each in out.splitlines() if each.startswith("score ")]
    assert f"; {stages['score'].attempts} attempts" in line
    assert "engine-seconds" in line
    (line,) = [each for each in out.splitlines() if each.startswith("curate ")]
    assert "attempts" not in line


def test_the_end_of_a_run_and_status_say_what_a_pair_cost_and_json_has_it_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_corpus(tmp_path, files=1)
    path = configuration(tmp_path)
    _, out, _ = called("run", path, "--estimate", capsys=capsys)
    shown = [line for line in out.splitlines() if line.startswith("  a pair of ")]
    assert [line.split(":")[0] for line in shown] == ["  a pair of A5", "  a pair of A4"]
    code, out, _ = called("status", path, "--json", "--ids", capsys=capsys)
    assert code == 0
    told, status = json.loads(out), Pipeline(config(tmp_path)).status()
    assert told["costs"]["per_pair"]["A5"]["tokens"] == status.costs.per_pair["A5"].tokens
    score = next(each for each in told["stages"] if each["stage"] == "score")
    assert score["kept"] + sum(score["rejects"].values()) == score["rows_in"]
    assert {"prompt_tokens", "cached_tokens", "output_tokens", "seconds", "attempts"} <= set(score)
    assert set(told["against_estimate"]) == {*ASKING, "whole"}
    assert told["snapshot"]["rows"] == told["costs"]["pairs"]
    assert told["ids"] == {"distinct_ids": 20, "repeating_rows": 0, "rows_without_id": 0}
