"""The comparing role: both orders are asked about, and each answer is of the right side."""

import pytest

from backtrans.dialogue import Choose, Message, Refusal, Reply, Request
from backtrans.records import Reject, Row
from backtrans.roles import compare
from backtrans.roles.compare import Compare

ROW = {"instruction": "How long?", "one": "Six minutes.", "other": "A while."}


def played(role: Compare, replies: list[Reply]) -> tuple[tuple[Request, ...], Row | Reject]:
    dialogue = role.converse(ROW)
    asked = next(dialogue)
    with pytest.raises(StopIteration) as end:
        dialogue.send(replies)
    return asked, end.value.value


def letters(a: float, off: float = 0.0) -> Reply:
    return Reply(choice_probabilities=(a, 1 - a), off_choice_mass=off)


def test_the_prompt_is_this_to_the_letter() -> None:
    assert compare.render("How long?", "Six minutes.", "A while.") == (
        Message(
            "user",
            "Two responses to the same instruction follow, A and B. Say which of them is better.\n"
            "Better is what the person who gave the instruction would rather have: it does what was"
            " asked, its\nfacts are right, it leaves out nothing that is needed and holds nothing"
            " that is not.\n"
            "Which of them stands first means nothing. More words alone make no response better.\n"
            'Write "Better: " and the letter.\n\n'
            "Instruction:\nHow long?\n\nResponse A:\nSix minutes.\n\nResponse B:\nA while.",
        ),
        Message("assistant", "Better: "),
    )


def test_both_orders_are_asked_about_at_once_and_share_all_up_to_the_responses() -> None:
    (first, second), fields = played(Compare("judge"), [letters(0.9, 0.1), letters(0.3, 0.2)])
    assert first.want == second.want == Choose(("A", "B"))
    assert first.adapter == second.adapter == "judge"
    assert first.messages == compare.render("How long?", "Six minutes.", "A while.")
    assert second.messages == compare.render("How long?", "A while.", "Six minutes.")
    rubric = first.messages[0].content.split("Response A:")[0]
    assert second.messages[0].content.startswith(rubric)
    assert fields == {"a_one_first": 0.9, "a_other_first": 0.3, "off_letter_mass": 0.2}


@pytest.mark.parametrize("place", [0, 1])
def test_one_order_without_an_answer_leaves_the_pair_without_a_verdict(place: int) -> None:
    for broken, reason in (
        (Reply(off_choice_mass=1.0), "choice_improbable"),
        (Reply(choice_probabilities=(0.5, 0.2)), "choice_improbable"),
        (Reply(refusal=Refusal("prompt_too_long", "9 > 8")), "prompt_too_long"),
    ):
        replies = [letters(0.9), letters(0.9)]
        replies[place] = broken
        _, outcome = played(Compare(), replies)
        assert isinstance(outcome, Reject)
        assert outcome.reason == reason
