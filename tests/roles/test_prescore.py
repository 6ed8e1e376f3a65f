"""Instructions that no judge need be asked about, and those that only look so."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtrans.errors import ConfigError
from backtrans.microworld.world import World
from backtrans.recipe import Score as ScoreSettings
from backtrans.records import Reject
from backtrans.roles.backtranslate import PROMPT
from backtrans.roles.prescore import NO_PRESCORE, PRESCORE_REASONS, PrescoreSettings
from backtrans.roles.role import AUGMENTED_TAG, SEED_TAG
from backtrans.roles.score import RUBRIC, Score

CHECKS = PrescoreSettings()


def reason(instruction: str, settings: PrescoreSettings = CHECKS) -> str | None:
    found = settings.verdict(instruction)
    return found and found.reason


@pytest.mark.parametrize(
    ("instruction", "expected"),
    [
        ("", "instruction_void"),
        ("?!  \n --", "instruction_void"),
        ("What is it? " * 42, "instruction_too_long"),
        ("What is the main idea of this text?", "instruction_refers"),
        ("Who wrote this short passage?", "instruction_refers"),
        ("Summarize the passage above.", "instruction_refers"),
        ("What does the above article say of bread?", "instruction_refers"),
        ("According to the document, what is a pump?", "instruction_refers"),
        ("Based on the information provided, how long does it take?", "instruction_refers"),
        ("How is yeast described in the article?", "instruction_refers"),
        ("What is the topic of the passage?", "instruction_refers"),
        ("Write a web text about bread.", "instruction_refers"),
        ("As an AI language model, I cannot taste bread.", "instruction_refuses"),
        ("I’m sorry, but I can’t help with that request.", "instruction_refuses"),
        ("I cannot provide a question for it", "instruction_refuses"),
        ("I cannot answer this question.", "instruction_refuses"),
        ("I am an AI assistant, and have no opinions.", "instruction_refuses"),
        (f"How do I bake bread? {SEED_TAG}", "instruction_leaks"),
        (f"How do I bake bread? {AUGMENTED_TAG}", "instruction_leaks"),
        ("How do I bake bread?<|eot_id|>", "instruction_leaks"),
        ("[INST] How do I bake bread? [/INST]", "instruction_leaks"),
        ("### Instruction:\nHow do I bake bread?", "instruction_leaks"),
        ("Human: how do I bake bread?", "instruction_leaks"),
        ("How do I bake bread?\nScore: 5", "instruction_leaks"),
        (PROMPT.split("\n", maxsplit=1)[0][:300], "instruction_leaks"),
        (RUBRIC.split("\n", maxsplit=1)[0], "instruction_leaks"),
    ],
)
def test_what_no_response_could_answer_is_refused_with_its_reason(
    instruction: str, expected: str
) -> None:
    assert reason(instruction) == expected


@pytest.mark.parametrize(
    "instruction",
    [
        "Summarise the text of the Treaty of Rome",
        "Summarise this text: The cat sat on the mat, and stayed.",
        "Correct the following paragraph:\n\nHe go to school.",
        'What does the author of this passage mean by "a room of one\'s own"?',
        "How do I change the colour of the text?",
        "How do I insert a picture in the document?",
        "What was in the document given to Congress in 1803?",
        "Which rights follow from the information provided by a bank?",
        "How long did the passage of the bill take?",
        "How do I say sorry to my friend?",
        "I am unable to log in to my account. What should I do?",
        "I can't create a folder in my mailbox. How do I do it?",
        "I cannot help my son with fractions; explain them to me.",
        "I am an AI researcher; which journals should I read?",
        "Act as an AI assistant and plan my week.",
        "What is the score of a perfect game in bowling?",
        "Explain how a user and an assistant differ.",
        "Rate this film from 1 to 5: Metropolis.",
        "Write a paragraph about pumps",
        "What does Article 5 of the treaty say?",
        "π?",
        "7",
        "为什么天空是蓝色的？",
    ],
)
def test_what_a_person_may_well_ask_goes_on_to_the_judge(instruction: str) -> None:
    assert CHECKS.verdict(instruction) is None


def test_every_instruction_of_the_micro_world_goes_on_to_the_judge() -> None:
    asked = {pair.instruction for pair in World(77).seed_pairs(600, split="heldout")}
    assert {reason(each) for each in asked} == {None}


@given(st.text(max_size=600))
def test_any_text_has_a_verdict_and_none_where_every_check_is_off(text: str) -> None:
    found = CHECKS.verdict(text)
    assert found is None or found.reason in PRESCORE_REASONS
    assert NO_PRESCORE.verdict(text) is None


@given(st.text(max_size=600), st.sampled_from(["void", "max_chars", "refusals", "leaks", "refers"]))
def test_a_check_that_is_off_refuses_nothing_and_changes_no_other(text: str, name: str) -> None:
    switches = {"void": True, "max_chars": 500, "refusals": True, "leaks": True, "refers": True}
    without = PrescoreSettings(**{**switches, name: None if name == "max_chars" else False})
    alone = {**dict.fromkeys(switches, False), "max_chars": None, name: switches[name]}
    one = PrescoreSettings(**alone)
    assert (CHECKS.verdict(text) is None) == (
        without.verdict(text) is None and one.verdict(text) is None
    )


@given(st.text(alphabet=st.characters(exclude_categories=["L", "N", "Cs"])))
def test_a_text_without_a_letter_or_digit_is_void(text: str) -> None:
    settings = PrescoreSettings(max_chars=None)
    # Marks of combining scripts, and letters written as symbols, are no words.
    if not any(char.isalnum() for char in text):
        assert reason(text, settings) == "instruction_void"


@given(st.integers(1, 700))
def test_the_bound_itself_is_allowed(length: int) -> None:
    found = PrescoreSettings(max_chars=500).verdict("a" * length)
    assert (found is None) == (length <= 500)


def test_a_bound_of_nothing_is_an_error() -> None:
    with pytest.raises(ConfigError, match="max_chars 0"):
        PrescoreSettings(max_chars=0)


def test_the_judge_is_not_asked_about_a_refused_instruction() -> None:
    dialogue = Score(prescore=CHECKS).converse({"instruction": "What of this text?", "text": "It."})
    with pytest.raises(StopIteration) as ended:
        next(dialogue)
    assert ended.value.value == Reject("instruction_refers", "this text")


def test_a_recipe_checks_by_default_and_may_turn_each_check_off() -> None:
    assert ScoreSettings().prescore == CHECKS
    said = ScoreSettings.model_validate_json('{"prescore": {"max_chars": null, "leaks": false}}')
    assert said.prescore == PrescoreSettings(max_chars=None, leaks=False)
