"""Keeping lines, with replies sent by hand."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtrans.dialogue import Likelihood, Refusal, Reply
from backtrans.records import Reject
from backtrans.roles.lines import KeepLines

ROLE = KeepLines(-1.0)


def carried(response: str, likely: Any, role: KeepLines = ROLE) -> tuple[Any, list[Any]]:
    """Carry a dialogue whose lines are as likely as `likely` says of each; return its requests."""
    asked = []
    dialogue = role.converse({"instruction": "Bake bread?", "response": response})
    try:
        requests = next(dialogue)
        while True:
            (request,) = requests
            asked.append(request)
            assert isinstance(request.want, Likelihood)
            requests = dialogue.send([Reply(token_logprobs=likely(request.want.continuation))])
    except StopIteration as end:
        return end.value, asked


def no_menus(line: str) -> tuple[float, ...]:
    return (-9.0, -0.5) if "|" in line else (-0.5, -0.9)


def test_unlikely_lines_go_and_the_others_stay_in_order() -> None:
    text = "Home | News\nMix the flour.\nSale | now\nBake it."
    fields, asked = carried(text, no_menus)
    assert fields == {"text": "Mix the flour.\nBake it."}
    assert len(asked) == 4


def test_each_line_is_asked_about_after_the_lines_that_were_kept() -> None:
    _, asked = carried("Mix it.\nHome | News\nBake it.", no_menus)
    assert [turn.content for turn in asked[0].messages] == [
        "Bake bread? Answer in the style of an AI Assistant."
    ]
    assert asked[1].messages[-1].content == "Mix it.\n"
    assert asked[2].messages[-1].content == "Mix it.\n"


def test_a_response_of_which_nothing_is_likely_is_refused() -> None:
    outcome, _ = carried("Home | News", no_menus)
    assert outcome == Reject("rewrite_empty")


def test_paragraphs_stay_apart() -> None:
    fields, _ = carried("\nOne.\n\nTwo.\n\na | b\n", no_menus)
    assert fields == {"text": "One.\n\nTwo."}


def test_what_the_engine_refuses_is_the_rows_reject() -> None:
    dialogue = ROLE.converse({"instruction": "Bake?", "response": "Mix."})
    next(dialogue)
    with pytest.raises(StopIteration) as end:
        dialogue.send([Reply(refusal=Refusal("prompt_too_long", "9 > 8"))])
    assert end.value.value == Reject("prompt_too_long", "9 > 8")


@given(st.text(max_size=80), st.floats(-3, 0))
def test_no_line_is_invented_or_moved(response: str, floor: float) -> None:
    def likely(line: str) -> tuple[float, ...]:
        return (-float(len(line) % 3),)

    outcome, _ = carried(response, likely, KeepLines(floor))
    if isinstance(outcome, Reject):
        return
    rest = iter(response.split("\n"))
    for line in outcome["text"].split("\n"):
        assert any(line.strip() == each.strip() for each in rest)
