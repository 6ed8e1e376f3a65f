"""Both forms on a real vLLM: of hundreds of pairs in a row none is without a score."""

import asyncio
import warnings
from pathlib import Path

import pytest

from backtrans.judge.account import saved
from backtrans.judge.instruction_backtranslation import InstructionBacktranslation
from backtrans.judge.settings import load_judging
from backtrans.microworld.world import World
from tests.judge.judges import write_judge

BASE = Path(__file__).parent.parent.parent / "backtrans/microworld/base"
PAIRS = 300


@pytest.mark.slow
@pytest.mark.vllm
def test_no_pair_of_hundreds_loses_its_score_in_either_form(tmp_path: Path) -> None:
    model = {"path": str(BASE), "max_model_tokens": 1024, "dtype": "float32"}
    # Sampled far from what the model would say, so that its reasons often end in no score.
    sampling = {"temperature": 2.0, "top_p": 1.0, "max_tokens": 48}
    path = write_judge(
        tmp_path,
        {"name": "digit", "model": model, "send_on": {"margin": 0.0, "entropy": 1.61}},
        {"name": "reasons", "model": model, "score": {"form": "reasoned", "sampling": sampling}},
        engine={"device": "cpu", "eager": True, "max_batched_tokens": 4096},
    )
    rated = World(5).rated_pairs(PAIRS, split="heldout")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what vLLM and torch warn while they load
        with InstructionBacktranslation(load_judging(path), compare_all=True) as judge:
            found, account = judge.judge_counted([(p.instruction, p.output) for p in rated])
            seats = judge._opened()[0]._seats
            assert seats[0].engine is seats[1].engine

            async def notebook() -> list[int | None]:
                cell = judge.judge("How do I bake bread?", "Mix flour and water.")
                later = await judge.ajudge("How do I bake bread?", "Mix flour and water.")
                return [cell.score, later.score]

            first, second = asyncio.run(notebook())
    assert (account.rows, account.scored) == (PAIRS, PAIRS)
    assert first == second in range(1, 6)
    for each in found:
        digit, reasons = each.judges
        assert digit.expectation == each.expectation
        assert reasons.reject_reason is None
        assert reasons.compared
        assert each.distribution is not None
        assert sum(each.distribution) == pytest.approx(1.0)
    assert len({each.score for each in found}) > 1
    share = saved(account, judge.judging.judges)
    assert share is not None
    assert 0 < share < 1
