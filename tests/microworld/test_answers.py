"""The truth of answers: what a careful page says, and nothing else."""

import itertools
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtrans.microworld.answers import answer
from backtrans.microworld.latent import draw, stream
from backtrans.microworld.noise import LEVELS, Setting
from backtrans.microworld.world import World

PAIRS = World(31).seed_pairs(300) + World(32).seed_pairs(100, split="heldout")


def test_every_clean_page_answers_its_instruction_whole() -> None:
    for pair in PAIRS:
        found = answer(pair.instruction, pair.output)
        assert found is not None, pair.instruction
        assert found.whole, (pair.instruction, pair.output)
        assert all(found.true)
        assert found.written == found.needed


def test_another_pages_lines_are_not_true() -> None:
    shares = []
    for pair, other in itertools.pairwise(PAIRS):
        found = answer(pair.instruction, other.output)
        assert found is not None
        shares.append(sum(found.true) / found.written)
    assert sum(shares) / len(shares) < 0.05


@pytest.mark.parametrize("noise", [noise for level in LEVELS.values() for noise in level])
def test_no_noise_passes_for_a_whole_answer(noise: object) -> None:
    wrong = whole = 0
    for index in range(60):
        rng = stream(5, "noisy", index)
        latent = draw(rng, "train", fresh=True)
        lines = latent.lines(rng)
        spoilt = noise(list(lines), Setting(rng, latent, "train", True))  # type: ignore[operator]
        found = answer(latent.instruction(), "\n".join(spoilt))
        assert found is not None
        wrong += sum(not each for each in found.true)
        whole += found.whole
    assert whole == 0
    removes = noise.__name__ in ("dropped", "indirect")  # type: ignore[attr-defined]
    assert wrong > 0 or removes


def test_lines_out_of_order_are_true_and_not_whole() -> None:
    pair = PAIRS[0]
    lines = pair.output.split("\n")
    found = answer(pair.instruction, "\n".join(reversed(lines)))
    assert found is not None
    assert all(found.true)
    assert not found.whole


def test_an_instruction_of_no_known_form_has_no_truth() -> None:
    assert answer("Say hello.", "Hello.") is None


@given(st.text(max_size=200), st.sampled_from(PAIRS))
def test_any_text_is_compared(text: str, pair: object) -> None:
    found = answer(pair.instruction, text)  # type: ignore[attr-defined]
    assert found is not None
    assert len(found.true) == found.written
    assert sum(found.true) <= found.needed


def test_a_line_said_twice_is_true_once() -> None:
    pair = Random(3).choice(PAIRS)
    first = pair.output.split("\n")[0]
    found = answer(pair.instruction, f"{first}\n{first}")
    assert found is not None
    assert found.true == (True, False)
