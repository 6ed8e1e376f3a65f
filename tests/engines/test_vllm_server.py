"""Tokens as a server tells them: where a choice begins, and where a continuation does."""

import asyncio
import math

import pytest

from backtrans.dialogue import Message
from backtrans.engines.chat import Malformed
from backtrans.engines.folders import JsonObject
from backtrans.engines.vllm_server import VllmServer, likelihood, tokenized, told_apart
from backtrans.errors import ModelError

QUESTION = Message("user", "Is this bread?")
SCORE = (QUESTION, Message("assistant", "Score: "))
ASKED: list[JsonObject] = []


def server(*, joins_space: bool) -> VllmServer:
    """A token is a character; or a space and the digit after it, where they are joined."""

    async def tokenize(body: JsonObject) -> tuple[list[int], int]:
        ASKED.append(body)
        text = "".join(f"<{turn['role']}>{turn['content']}" for turn in body["messages"])
        text += "<assistant>" if body["add_generation_prompt"] else ""
        ids: list[int] = []
        for n, c in enumerate(text):
            if joins_space and c.isdigit() and text[n - 1] == " ":
                ids[-1] = 1000 + int(c)
            else:
                ids.append(ord(c))
        return ids, 512

    ASKED.clear()
    return VllmServer(tokenize)


def test_a_choice_goes_on_by_its_first_token() -> None:
    messages, tokens = asyncio.run(server(joins_space=False).choice("m", SCORE, ("1", "2")))
    assert (messages, tokens) == (SCORE, [ord("1"), ord("2")])


def test_where_the_last_space_belongs_to_the_choice_the_prompt_ends_before_it() -> None:
    messages, tokens = asyncio.run(server(joins_space=True).choice("m", SCORE, ("1", "2")))
    assert messages == (QUESTION, Message("assistant", "Score:"))
    assert tokens == [1001, 1002]


def test_a_turn_that_is_not_begun_begins_with_the_choice() -> None:
    messages, tokens = asyncio.run(server(joins_space=True).choice("m", (QUESTION,), ("A", "B")))
    assert (messages, tokens) == ((QUESTION,), [ord("A"), ord("B")])


def test_a_choice_is_looked_up_once_and_never_with_the_rows_own_text() -> None:
    found = server(joins_space=False)
    for text in ("one", "two", "three"):
        reasons = Message("assistant", f"{'The reasons are long. ' * 9}\nScore: ")
        asyncio.run(found.choice("m", (Message("user", text), reasons), ("1", "2")))
    assert len(ASKED) == 3
    assert all("three" not in str(body) for body in ASKED)


def test_choices_with_one_beginning_cannot_be_told_apart() -> None:
    with pytest.raises(ModelError, match="cannot be told apart"):
        asyncio.run(server(joins_space=False).choice("m", SCORE, ("10", "11")))


@pytest.mark.parametrize(
    ("prompt", "whole", "place"), [([1, 2], [1, 2, 3], 2), ([1, 2], [1, 23], 1), ([1], [1], 1)]
)
def test_a_token_of_the_prompts_end_and_the_texts_beginning_is_the_texts(
    prompt: list[int], whole: list[int], place: int
) -> None:
    assert told_apart(prompt, whole) == place


def answered(*logprobs: float | None) -> JsonObject:
    shown = [None, *({str(n): {"logprob": value}} for n, value in enumerate(logprobs, start=1))]
    return {"prompt_token_ids": list(range(len(shown))), "prompt_logprobs": shown}


def test_a_likelihood_is_of_what_follows_the_prompt() -> None:
    assert likelihood([0, 1], answered(-1.0, -2.0, -3.0)).token_logprobs == (-2.0, -3.0)


def test_a_likelihood_that_is_no_number_is_none() -> None:
    assert likelihood([0], answered(-1.0, -9999.0)).token_logprobs == ()
    assert math.isfinite(likelihood([0, 1, 2], answered(-9999.0, -1.0, -2.0)).token_logprobs[0])


@pytest.mark.parametrize(
    "answer", [{}, {"prompt_logprobs": [None]}, answered(None), {"prompt_token_ids": [1, 2]}]
)
def test_an_answer_without_what_was_asked_for_is_malformed(answer: JsonObject) -> None:
    with pytest.raises(Malformed):
        likelihood([0], answer)
    with pytest.raises(Malformed):
        tokenized(answer)
