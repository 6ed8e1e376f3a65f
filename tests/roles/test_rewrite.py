"""The rewriting role: the paper's prompt to the letter, and a rewrite told from everything else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtrans.dialogue import Generate, Message, Refusal, Reply
from backtrans.records import Reject, Row
from backtrans.roles import distill, rewrite
from backtrans.roles.distill import Distill
from backtrans.roles.rewrite import Rewrite
from backtrans.roles.role import Role

REWRITE = Rewrite(Generate(max_tokens=64), adapter="rewrite")
ANSWER = Distill(Generate(max_tokens=64), adapter="distill")
PAIR = {"instruction": "How long?", "response": "Boil it."}


def answered(role: Role, reply: Reply) -> Row | Reject:
    dialogue = role.converse(PAIR)
    (request,) = next(dialogue)
    assert request.adapter == ("rewrite" if role is REWRITE else "distill")
    try:
        dialogue.send([reply])
    except StopIteration as end:
        return end.value
    raise AssertionError("the role asked twice")


def test_the_prompt_is_the_papers_to_the_letter() -> None:
    assert rewrite.render("How long?", "Boil the egg.\n\nFor six minutes.") == (
        Message(
            "user",
            "Given the draft response to the provided question below, rewrite the draft to improve"
            " it, so it is a high quality response to the given question.\n\nDraft Response: Boil"
            " the egg.\n\nFor six minutes.\n\nQuestion: How long?\n\nGiven the above question,"
            " rewrite the draft response to be an improvement over the draft response. It should be"
            " as similar as possible, copying text where possible, while making the flow more"
            " clear, useful, relevant and providing a direct answer to the question. It should be"
            " written to be impeccably tailored to the user’s question as if written by an AI"
            " Assistant, without extraneous information, reflecting expert knowledge, and"
            " demonstrating a high-quality, engaging, and insightful answer. Try not to add new"
            " facts that are not already in the draft response. Return the rewritten response"
            " between [RES] and [/RES].",
        ),
    )


@given(st.text(), st.text())
def test_any_texts_stand_in_the_prompt_unchanged(instruction: str, response: str) -> None:
    (message,) = rewrite.render(instruction, response)
    assert f"Draft Response: {response}\n\nQuestion: {instruction}\n\nGiven" in message.content


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("[RES]Six minutes.[/RES]", "Six minutes."),
        ("[RES]\n Six minutes. \n[/RES]\n", "Six minutes."),
        ("Sure! Here it is:\n[RES]Six.\n\nOr seven.[/RES] I hope it helps.", "Six.\n\nOr seven."),
        ("[RES][RE]S [res] [/ RES] RES][/RES]", "[RE]S [res] [/ RES] RES]"),
        ("Six minutes.", "rewrite_missing"),
        ("", "rewrite_missing"),
        ("[res]Six minutes.[/res]", "rewrite_missing"),
        ("Six minutes.[/RES]", "rewrite_missing"),
        ("[RES][/RES]", "rewrite_empty"),
        ("[RES] \n\t[/RES] Six minutes.", "rewrite_empty"),
        ("[RES]Six minutes.", "rewrite_unfinished"),
        ("Here: [RES]", "rewrite_unfinished"),
        ("[RES]Six [RES]minutes[/RES].[/RES]", "rewrite_nested"),
        ("[RES]Six [RES]minutes.", "rewrite_nested"),
        ("[RES]Six.[/RES][RES]Seven [RES]or so.[/RES]", "rewrite_nested"),
        ("[RES]Six.[/RES] or [RES]seven.[/RES]", "rewrite_repeated"),
        ("[RES]Six.[/RES]minutes[/RES]", "rewrite_repeated"),
        ("[/RES]Six.[RES]minutes[/RES]", "rewrite_repeated"),
        ("[RES]Six.[/RES] or [RES]seven", "rewrite_repeated"),
        ("[/RES] and [RES]", "rewrite_repeated"),
    ],
)
def test_one_text_between_one_pair_of_markers_is_a_rewrite_and_nothing_else_is(
    text: str, outcome: str
) -> None:
    found = rewrite.parse(text)
    assert (found.reason if isinstance(found, Reject) else found) == outcome


pieces = st.lists(st.sampled_from(["[RES]", "[/RES]", " ", "a", "[", "\n", "é"])).map("".join)


@given(st.one_of(st.text(), pieces))
def test_whatever_is_read_stands_between_markers_and_holds_none(text: str) -> None:
    found = rewrite.parse(text)
    if isinstance(found, str):
        assert found == found.strip() != ""
        assert "[RES]" not in found
        assert "[/RES]" not in found
        before, _, after = text.partition("[RES]")
        assert after.partition("[/RES]")[0].strip() == found
        assert "[/RES]" not in before


@given(st.text().filter(lambda text: "RES]" not in text and text.strip()))
def test_any_text_that_holds_no_marker_comes_through_them_whole(text: str) -> None:
    assert rewrite.parse(f"Here: [RES]{text}[/RES] Done.") == text.strip()


@pytest.mark.parametrize("text", ["[RES]Six min", "[RES]Six.[/RES] And", "Six"])
def test_what_ran_out_of_tokens_is_not_taken_for_whole(text: str) -> None:
    outcome = answered(REWRITE, Reply(text=text, finish="length", output_tokens=64))
    assert outcome == Reject("rewrite_unfinished", "64 tokens, no end")


def test_a_rewrite_is_the_text_that_a_judge_reads() -> None:
    assert answered(REWRITE, Reply(text="[RES]Six.[/RES]", finish="stop")) == {"text": "Six."}


@pytest.mark.parametrize("role", [REWRITE, ANSWER])
def test_a_refusal_becomes_a_reject_with_its_count(role: Role) -> None:
    outcome = answered(role, Reply(refusal=Refusal("prompt_too_long", "9 + 1 tokens > 8")))
    assert outcome == Reject("prompt_too_long", "9 + 1 tokens > 8")


def test_the_baseline_is_asked_the_instruction_alone() -> None:
    assert distill.render("How long?") == (Message("user", "How long?"),)
    assert answered(ANSWER, Reply(text=" Six.\n", finish="stop")) == {"answer": "Six."}
    assert answered(ANSWER, Reply(text=" \n", finish="stop")) == Reject("answer_empty")
    cut = Reply(text="Six", finish="length", output_tokens=64)
    assert answered(ANSWER, cut) == Reject("answer_unfinished", "64 tokens, no end")
