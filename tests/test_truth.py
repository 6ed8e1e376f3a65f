"""The experiment of `make truth`, as small as it goes: real trainings, real vLLM, two rounds.

What the models are worth is not asked here: a dozen steps teach little. That the loop holds
together is.
"""

from pathlib import Path

import pytest

from bench.truth import experiment, shown
from bench.worlds import SMALL

pytestmark = [pytest.mark.slow, pytest.mark.vllm, pytest.mark.timeout(900)]


def test_two_rounds_in_a_world_of_known_truth(tmp_path: Path) -> None:
    found = experiment(61_001, tmp_path, SMALL)
    first, second = found["round 0, M_0"], found["round 1, M_1"]
    assert first["base rate"] == second["base rate"]  # the same pairs, so the same truth
    for scored in (first, second):
        assert scored["AUC of the digit"] is not None
        assert scored["AUC of the digit"] > 0.7
        assert scored["A5 precision"] is not None
        assert scored["A5 precision"] > scored["base rate"]
    assert found["M_0: seed only"]["pairs added"] == 0
    assert found["M_1: + A5"]["pairs added"] == first["A5 pairs"]
    assert found["M_2: + A5 of M_1"]["pairs added"] == second["A5 pairs"]
    assert shown([found])
