"""The answering and the tagging role: what is asked, and what is made of the answer."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtrans.dialogue import Generate, Message, Refusal, Reply, Request
from backtrans.records import Reject, Row
from backtrans.roles import answer, tag
from backtrans.roles.answer import Answer
from backtrans.roles.role import Role
from backtrans.roles.tag import Tag


def played(role: Role, row: Row, reply: Reply) -> tuple[Request, Row | Reject]:
    dialogue = role.converse(row)
    (asked,) = next(dialogue)
    with pytest.raises(StopIteration) as end:
        dialogue.send([reply])
    return asked, end.value.value


REFUSED = Reply(refusal=Refusal("prompt_too_long", "9 > 8"))


def test_an_instruction_is_asked_as_a_user_would_with_the_tag_after_it() -> None:
    assert answer.render("Why?", "Answer well.") == (Message("user", "Why? Answer well."),)
    assert answer.render("Why?", "") == (Message("user", "Why?"),)
    role = Answer(Generate(9, 0.7, 0.9), adapter="candidate")
    asked, fields = played(role, {"instruction": "Why?"}, Reply("So.", "stop", output_tokens=2))
    assert asked.messages[0].content == "Why? Answer in the style of an AI Assistant."
    assert (asked.want, asked.adapter) == (Generate(9, 0.7, 0.9), "candidate")
    assert fields == {"output": "So.", "output_tokens": 2, "unfinished": False}


def test_an_answer_that_ran_out_of_tokens_is_kept_and_marked() -> None:
    role = Answer(Generate(2))
    _, fields = played(role, {"instruction": "Why?"}, Reply("So it", "length", output_tokens=2))
    assert fields == {"output": "So it", "output_tokens": 2, "unfinished": True}
    _, refused = played(role, {"instruction": "Why?"}, REFUSED)
    assert refused == Reject("prompt_too_long", "9 > 8")


def test_the_tagging_prompt_is_this_to_the_letter() -> None:
    assert tag.render("Why {x}?") == (
        Message(
            "user",
            "You are a tagging system that provides useful tags for instruction intentions to"
            " distinguish instructions for a helpful AI assistant. Below is an instruction:\n"
            "[begin]\nWhy {x}?\n[end]\n"
            'Please provide coarse-grained tags, such as "Spelling and Grammar Check" and'
            ' "Cosplay", to identify main intentions of above instruction.\n'
            "Your answer should be a list including titles of tags and a brief explanation of each"
            " tag. Your response have to strictly follow this JSON format:"
            ' [{"tag": str, "explanation": str}]. Please response in English.',
        ),
    )


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ('[{"tag": "Cooking", "explanation": "x"}]', ["cooking"]),
        (' [{"tag": "Q&A"}, {"tag": "q a"}, {"tag": " Cooking "}]\n', ["cooking", "q a"]),
        ('```json\n[{"tag": "a"}]\n```', ["a"]),
        ("[]", []),
        ('{"tag": "a"}', "no list"),
        ('["a"]', "an entry without a tag"),
        ('[{"tag": ""}]', "an entry without a tag"),
        ('[{"tag": 3}, {"tag": "a"}]', "an entry without a tag"),
        ('Tags: [{"tag": "a"}]', "not JSON"),
        ('[{"tag": "a"}', "not JSON"),
        ("", "not JSON"),
    ],
)
def test_tags_are_titles_each_once_and_anything_else_is_no_tag(text: str, outcome: object) -> None:
    found = tag.parse(text)
    if isinstance(found, Reject):
        assert found.reason == "tags_malformed"
        assert str(outcome) in found.detail
    else:
        assert found == outcome


@given(st.text())
def test_no_text_breaks_the_parser(text: str) -> None:
    assert isinstance(tag.parse(text), list | Reject)


@given(st.lists(st.text(st.characters(categories=["L", "N"]), min_size=1), max_size=5))
def test_there_are_as_many_tags_as_titles_that_differ(titles: list[str]) -> None:
    found = tag.parse(json.dumps([{"tag": title, "explanation": "x"} for title in titles]))
    assert isinstance(found, list)
    assert len(found) == len({title.lower() for title in titles})


def test_tags_that_ran_out_of_tokens_are_not_counted() -> None:
    unfinished = Reply('[{"tag": "a"}]', "length", output_tokens=512)
    _, outcome = played(Tag(), {"text": "Why?"}, unfinished)
    assert isinstance(outcome, Reject)
    assert outcome.reason == "tags_unfinished"
    assert played(Tag(), {"text": "Why?"}, REFUSED)[1] == Reject("prompt_too_long", "9 > 8")
    _, fields = played(Tag(), {"text": "Why?"}, Reply('[{"tag": "a"}]', "stop"))
    assert fields == {"tags": ["a"]}
