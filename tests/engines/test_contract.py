"""What every engine promises, shown on each of them."""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from backtrans.dialogue import Choose, Generate, Likelihood, Message, Reply, Request
from backtrans.engines.engine import Engine, EngineSettings
from backtrans.engines.opening import open_engine
from backtrans.errors import ConfigError

from . import tiny_model

MAX_MODEL_TOKENS = 512


@dataclass
class Subject:
    """An engine, and how many tokens it makes of a text."""

    engine: Engine
    kind: str

    def tokens(self, text: str) -> int:
        if self.kind == "scripted":
            return len(text.split())
        return len(tiny_model.tokenizer().encode(text, add_special_tokens=False))

    def answer(self, *requests: Request) -> list[Reply]:
        return asyncio.run(self.engine.answer(requests))


@pytest.fixture(
    params=[
        "scripted",
        pytest.param("vllm", marks=[pytest.mark.vllm, pytest.mark.slow]),
        # The server starts apart, which on a loaded machine takes minutes.
        pytest.param(
            "openai", marks=[pytest.mark.vllm, pytest.mark.slow, pytest.mark.timeout(900)]
        ),
    ]
)
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    if request.param != "scripted":
        yield Subject(request.getfixturevalue(f"{request.param}_engine"), request.param)
        return
    settings = EngineSettings(
        "scripted",
        "scripted:default",
        adapters={"backward": "", "forward": ""},
        max_model_tokens=MAX_MODEL_TOKENS,
    )
    engine = open_engine(settings)
    yield Subject(engine, "scripted")
    engine.close()


def user(text: str) -> tuple[Message, ...]:
    return (Message("user", text),)


def rating(text: str) -> tuple[Message, ...]:
    return (*user(text), Message("assistant", "Score: "))


def mixed(count: int) -> list[Request]:
    """Return requests of every sort and adapter, no two alike."""
    wants = (Generate(8), Choose(("1", "2", "3", "4", "5")), Likelihood("Mix flour and water."))
    adapters = (None, "backward", "forward")
    requests = []
    for number in range(count):
        want = wants[number % 3]
        messages = rating if isinstance(want, Choose) else user
        adapter = adapters[number // 3 % 3]
        requests.append(Request(messages(f"How is bread number {number} made?"), want, adapter))
    return requests


def same(one: Reply, other: Reply) -> bool:
    """Compare two replies, figures to what a batch's order of summing leaves of float32."""
    return (
        (one.text, one.finish, one.refusal) == (other.text, other.finish, other.refusal)
        and one.choice_probabilities == pytest.approx(other.choice_probabilities, abs=1e-4)
        and one.token_logprobs == pytest.approx(other.token_logprobs, abs=1e-3)
    )


def test_every_request_gets_its_own_reply_in_order(subject: Subject) -> None:
    requests = mixed(27)
    together = subject.answer(*requests)
    alone = [subject.answer(request)[0] for request in requests]
    assert len(together) == len(requests)
    assert [n for n, pair in enumerate(zip(together, alone, strict=True)) if not same(*pair)] == []
    assert len({(r.text, r.choice_probabilities, r.token_logprobs) for r in together}) > 24


def test_no_requests_get_no_replies(subject: Subject) -> None:
    assert subject.answer() == []


def test_calls_may_overlap(subject: Subject) -> None:
    requests = mixed(18)

    async def overlapping() -> list[list[Reply]]:
        calls = (subject.engine.answer(requests[n::3]) for n in range(3))
        return await asyncio.gather(*calls)

    whole = subject.answer(*requests)
    for n, replies in enumerate(asyncio.run(overlapping())):
        assert all(same(*pair) for pair in zip(replies, whole[n::3], strict=True))


@pytest.mark.parametrize("want", [Generate(40), Choose(("1", "2")), Likelihood("bread")])
def test_one_prompt_too_long_is_refused_and_the_others_are_answered(
    subject: Subject, want: Generate | Choose | Likelihood
) -> None:
    short = Request(user("What is bread?"), want)
    long = Request(user("bread " * 600), want)
    first, refused, last = subject.answer(short, long, short)
    assert refused.refusal is not None
    assert refused.refusal.reason == "prompt_too_long"
    output_tokens = 40 if isinstance(want, Generate) else 1
    assert re.fullmatch(rf"[\d,]+ \+ {output_tokens} tokens > 512", refused.refusal.detail)
    assert refused.output_tokens == 0
    assert first.refusal is None
    assert same(first, last)


def test_a_prompt_that_just_fits_is_answered(subject: Subject) -> None:
    """The words fill the context to the last token, then one more is too many."""
    room = MAX_MODEL_TOKENS - 10 - subject.answer(Request(user("a"), Generate(1)))[0].prompt_tokens
    fits, over = subject.answer(
        Request(user("a" + " a" * room), Generate(10)),
        Request(user("a" + " a" * (room + 1)), Generate(10)),
    )
    assert fits.refusal is None
    assert fits.prompt_tokens == MAX_MODEL_TOKENS - 10
    assert over.refusal is not None


def test_choices_have_probabilities_that_sum_to_one(subject: Subject) -> None:
    digits = ("1", "2", "3", "4", "5")
    (reply,) = subject.answer(Request(rating("Is this bread?"), Choose(digits)))
    assert len(reply.choice_probabilities) == 5
    assert sum(reply.choice_probabilities) == pytest.approx(1.0)
    assert all(0.0 <= p <= 1.0 for p in reply.choice_probabilities)
    assert 0.0 <= reply.off_choice_mass <= 1.0
    assert reply.text == ""


def test_a_likelihood_has_one_figure_a_token(subject: Subject) -> None:
    text = "Mix flour, water, salt and yeast. Wait 12 hours."
    (reply,) = subject.answer(Request(user("How do I bake bread?"), Likelihood(text)))
    assert len(reply.token_logprobs) == subject.tokens(text)
    assert all(value <= 0.0 for value in reply.token_logprobs)


def test_an_empty_continuation_has_no_figures(subject: Subject) -> None:
    (reply,) = subject.answer(Request(user("How?"), Likelihood("")))
    assert (reply.token_logprobs, reply.refusal) == ((), None)


def test_greedy_writing_repeats_itself(subject: Subject) -> None:
    request = Request(user("Tell me of bread."), Generate(12))
    first, second = subject.answer(request), subject.answer(request)
    assert first[0].text == second[0].text != ""


def test_a_text_to_be_rewritten_is_answered_alone_as_among_others(subject: Subject) -> None:
    # The role's own words would take more than these engines' context.
    ask = "Draft Response: Mix {} spoons.\n\nQuestion: How?\n\nWrite it between [RES] and [/RES]."
    requests = [Request(user(ask.format(n)), Generate(24)) for n in range(4)]
    together = subject.answer(*requests, *mixed(6))[: len(requests)]
    assert {reply.refusal for reply in together} == {None}
    assert all(same(a, subject.answer(r)[0]) for a, r in zip(together, requests, strict=True))


def test_adapters_answer_differently(subject: Subject) -> None:
    messages = user("Tell me how bread is made by hand where you live.")
    requests = [Request(messages, Generate(12), name) for name in (None, "backward", "forward")]
    assert len({reply.text for reply in subject.answer(*requests)}) == 3


def test_writing_ends_for_want_of_tokens_and_says_so(subject: Subject) -> None:
    (reply,) = subject.answer(Request(user("Tell me of bread and yeast."), Generate(2)))
    assert (reply.finish, reply.output_tokens) == ("length", 2)
    assert reply.prompt_tokens > 0


def test_an_adapter_that_was_not_given_is_a_wrong_configuration(subject: Subject) -> None:
    with pytest.raises(ConfigError, match="'sideways'"):
        subject.answer(Request(user("Hello"), Generate(2), "sideways"))
