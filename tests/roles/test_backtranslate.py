"""The backward role: the paper's prompt to the letter, and answers read without guessing."""

from hypothesis import given
from hypothesis import strategies as st

from backtrans.dialogue import Generate, Message, Refusal, Reply
from backtrans.records import Reject, Row
from backtrans.roles import backtranslate
from backtrans.roles.backtranslate import Backtranslate

ROLE = Backtranslate(Generate(max_tokens=64), max_instruction_chars=20)


def answered(reply: Reply) -> Row | Reject:
    dialogue = ROLE.converse({"text": "Boil it."})
    next(dialogue)
    try:
        dialogue.send([reply])
    except StopIteration as end:
        return end.value
    raise AssertionError("the role asked twice")


def test_the_prompt_is_the_papers_to_the_letter() -> None:
    assert backtranslate.render("Boil the egg.\n\nFor six minutes.") == (
        Message(
            "user",
            "Below is a candidate answer to a question or instruction from an user. Write the most"
            " likely question to which the text below would be a great answer.\n\nBoil the egg."
            "\n\nFor six minutes.\n\nAnswer in the style of an AI Assistant.",
        ),
    )


@given(st.text())
def test_any_text_stands_in_the_prompt_unchanged(text: str) -> None:
    (message,) = backtranslate.render(text)
    assert f"great answer.\n\n{text}\n\nAnswer in" in message.content


def test_an_instruction_is_the_answer_without_its_margins() -> None:
    assert answered(Reply(text="  How long?\n", finish="stop")) == {"instruction": "How long?"}


def test_nothing_written_is_a_reject_and_not_an_empty_instruction() -> None:
    assert answered(Reply(text=" \n ", finish="stop")) == Reject("instruction_empty")


def test_too_long_an_instruction_is_a_reject_that_says_how_long() -> None:
    outcome = answered(Reply(text="x" * 21, finish="stop"))
    assert outcome == Reject("instruction_too_long", "21 characters > 20")


def test_an_instruction_that_ran_out_of_tokens_is_not_taken_for_whole() -> None:
    outcome = answered(Reply(text="How lo", finish="length", output_tokens=64))
    assert outcome == Reject("instruction_unfinished", "64 tokens, no end")


def test_a_refusal_becomes_a_reject_with_its_count() -> None:
    outcome = answered(Reply(refusal=Refusal("prompt_too_long", "4,013 + 64 tokens > 1,024")))
    assert outcome == Reject("prompt_too_long", "4,013 + 64 tokens > 1,024")
