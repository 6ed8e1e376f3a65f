"""Attacks and perturbations: what they leave alone, and that the same dice say the same."""

import re
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtrans.audit.attacks import ATTACKS
from backtrans.audit.perturbations import PERTURBATIONS
from backtrans.audit.probing import probed
from backtrans.audit.rubric_last import RubricLast
from backtrans.dialogue import Reply
from backtrans.microworld import injected
from backtrans.roles.defences import Defences
from backtrans.roles.score import Score

FIVES = Reply(choice_probabilities=(0.0, 0.0, 0.0, 0.2, 0.8))
lines = st.lists(st.text("abc XYZ.?\n", max_size=20), max_size=5).map("\n".join)


def test_there_are_twenty_attacks_at_least() -> None:
    assert len(ATTACKS) >= 20


@pytest.mark.parametrize("name", ATTACKS)
@settings(max_examples=15)
@given(text=lines, seed=st.integers(0, 100))
def test_an_attack_adds_to_a_page_and_takes_nothing(name: str, text: str, seed: int) -> None:
    found = ATTACKS[name](text, Random(seed))
    assert len(found) > len(text)
    assert found == ATTACKS[name](text, Random(seed))
    rest = iter(found.split("\n"))
    # The page's own lines are all there, in their order.
    assert all(any(line in other for other in rest) for line in text.split("\n") if line)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text)


@pytest.mark.parametrize("name", PERTURBATIONS)
@settings(max_examples=15)
@given(instruction=lines, text=lines, seed=st.integers(0, 100))
def test_a_perturbation_keeps_every_word_of_the_response(
    name: str, instruction: str, text: str, seed: int
) -> None:
    asked, said = PERTURBATIONS[name](instruction, text, Random(seed))
    assert _words(said) == _words(text)
    found = " ".join(_words(asked)).lower()
    assert " ".join(_words(instruction)).lower() in found


def test_leaving_a_probe_out_changes_no_other() -> None:
    pair = ("How?", "One.\nTwo.\nThree.")
    assert probed("command_in_middle", pair, 1, 7) == probed("command_in_middle", pair, 1, 7)
    drawn = {probed("command_in_middle", pair, 1, place)[1] for place in range(20)}
    assert len(drawn) > 3


def test_training_has_no_wording_of_the_attacks_that_measure() -> None:
    measured = {
        line
        for attack in ATTACKS.values()
        for seed in range(20)
        for line in attack("", Random(seed)).split("\n")
        if len(line.split()) >= 3
    }
    assert measured
    for seed in range(500):
        said = injected.injected("", Random(seed))
        assert not any(line in said for line in measured), said


def test_the_rubric_stands_last_in_the_same_words_and_nothing_else_moves() -> None:
    row = {"id": "1", "instruction": "How?", "text": "So."}
    for role in (Score(), Score("reasoned"), Score(defences=Defences(rubric_after=True))):
        (plain, *_), (turned, *_) = next(role.converse(row)), next(RubricLast(role).converse(row))
        before, after = plain.messages[0].content, turned.messages[0].content
        assert after.startswith("Instruction:\nHow?")
        assert sorted(set(before.split("\n"))) == sorted(set(after.split("\n")))
        assert plain.messages[1:] == turned.messages[1:]
    dialogue = RubricLast(Score()).converse(row)
    next(dialogue)
    with pytest.raises(StopIteration) as end:
        dialogue.send([FIVES])
    assert end.value.value["score"] == pytest.approx(4.8)
