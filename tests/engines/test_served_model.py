"""A model behind vLLM's own server says what it says on an engine of our own."""

import asyncio
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from backtrans.dialogue import Choose, Generate, Likelihood, Message, Reply, Request
from backtrans.engines.endpoint import Choosing, Endpoint
from backtrans.engines.engine import Engine, EngineSettings
from backtrans.engines.opening import open_engine
from backtrans.errors import ModelError

from .test_contract import mixed, rating, user

pytestmark = [pytest.mark.slow, pytest.mark.vllm, pytest.mark.timeout(900)]

DIGITS = ("1", "2", "3", "4", "5")
REASONED = (*user("Rate this."), Message("assistant", "It is plain.\nScore: "))


def answer(engine: Engine, *requests: Request) -> list[Reply]:
    return asyncio.run(engine.answer(requests))


@contextmanager
def over(settings: EngineSettings, **options: object) -> Iterator[Engine]:
    assert settings.endpoint is not None
    endpoint = replace(settings.endpoint, **options)  # type: ignore[arg-type]
    engine = open_engine(replace(settings, endpoint=endpoint, adapters={}))
    yield engine
    engine.close()


def test_texts_choices_and_likelihoods_are_those_of_our_own_engine(
    openai_engine: Engine, vllm_engine: Engine
) -> None:
    requests = [
        *mixed(18),
        Request(REASONED, Choose(DIGITS), "forward"),
        Request((Message("user", ""),), Likelihood("Mix flour.")),
        Request((Message("system", "Be brief."), *user("Bread?")), Generate(16)),
        Request((*user("Bread?"), Message("assistant", "Bread is ")), Generate(16)),
    ]
    ours, served = answer(vllm_engine, *requests), answer(openai_engine, *requests)
    for mine, theirs in zip(ours, served, strict=True):
        assert theirs.text == mine.text
        assert theirs.finish == mine.finish
        assert theirs.choice_probabilities == pytest.approx(mine.choice_probabilities, abs=1e-4)
        assert theirs.off_choice_mass == pytest.approx(mine.off_choice_mass, abs=1e-4)
        assert theirs.token_logprobs == pytest.approx(mine.token_logprobs, abs=1e-3)
        assert theirs.prompt_tokens == mine.prompt_tokens
        assert theirs.output_tokens == mine.output_tokens


def test_the_price_of_an_answer_follows_from_its_tokens(openai_engine: Engine) -> None:
    (reply,) = answer(openai_engine, Request(user("What is bread made of?"), Generate(9)))
    assert reply.output_tokens > 0
    assert reply.money == pytest.approx((reply.prompt_tokens + 2 * reply.output_tokens) / 1e6)


@pytest.mark.parametrize("choose", ["auto", "structured"])
def test_a_server_that_is_taken_for_another_still_gives_a_choice(
    served_settings: EngineSettings, choose: Choosing
) -> None:
    with over(served_settings, server="other", choose=choose) as engine:
        (reply,) = answer(engine, Request(rating("Is this bread?"), Choose(DIGITS)))
    assert math.fsum(reply.choice_probabilities) == pytest.approx(1.0)
    if choose == "structured":
        assert max(reply.choice_probabilities) == 1.0


def test_a_model_that_the_server_lacks_is_named_with_those_that_it_has(
    vllm_server: str, served_settings: EngineSettings
) -> None:
    settings = replace(served_settings, adapters={"forward": "backwards"})
    with pytest.raises(ModelError, match=r"serves no backwards; it serves backward, forward, "):
        open_engine(settings)
    other = EngineSettings("openai", "gone", endpoint=Endpoint(vllm_server))
    engine = open_engine(other)
    with pytest.raises(ModelError, match="has no model 'gone'"):
        answer(engine, Request(user("Bread?"), Generate(4)))
    engine.close()
