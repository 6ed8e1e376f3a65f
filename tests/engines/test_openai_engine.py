"""A served model, asked over the loopback of a server that does what servers do."""

import asyncio
import json
import math
import pickle
import random
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtrans.dialogue import Choose, Generate, Likelihood, Message, Reply, Request
from backtrans.engines.asking import Asker, Failure, Once
from backtrans.engines.endpoint import Endpoint
from backtrans.engines.engine import EngineSettings
from backtrans.engines.limits import Limiter
from backtrans.engines.openai_engine import OpenaiEngine
from backtrans.errors import BacktransError, ConfigError, EngineDead, ModelError

from .server import KEY, Clock, Json, Said, Server, chat, failed, logprobs, serving

DIGITS = ("1", "2", "3", "4", "5")
WRITE = Generate(30, temperature=0.5, top_p=0.9)


def user(text: str) -> tuple[Message, ...]:
    return (Message("user", text),)


def rating(text: str) -> tuple[Message, ...]:
    return (*user(text), Message("assistant", "Score: "))


def echo(body: Json) -> Said:
    return chat("on " + body["messages"][0]["content"])


class Subject:
    """An engine over a server, with a clock of its own."""

    def __init__(self, server: Server, **options: Any) -> None:
        self.clock = Clock()
        more = {name: options.pop(name) for name in ("max_in_flight",) if name in options}
        settings = EngineSettings(
            "openai", "judge", endpoint=Endpoint(server.url, **options), **more
        )
        self.engine = OpenaiEngine(settings, self.clock, self.clock.sleep)

    def answer(self, *requests: Request) -> list[Reply]:
        return asyncio.run(self.engine.answer(requests))

    def write(self, text: str = "bread") -> Reply:
        return self.answer(Request(user(text), WRITE))[0]

    def rate(self, text: str = "bread") -> Reply:
        return self.answer(Request(rating(text), Choose(DIGITS)))[0]


Open = Callable[..., tuple[Server, Subject]]


@pytest.fixture
def opened() -> Iterator[Open]:
    """Open a server that behaves as told, and an engine over it."""
    contexts: list[Any] = []

    def enter(behave: Callable[[Json], Said] = echo, **options: Any) -> tuple[Server, Subject]:
        context = subject_over(behave, **options)
        contexts.append(context)
        return context.__enter__()

    yield enter
    for context in reversed(contexts):
        context.__exit__(None, None, None)


@contextmanager
def subject_over(
    behave: Callable[[Json], Said], **options: Any
) -> Iterator[tuple[Server, Subject]]:
    with serving(behave) as server:
        subject = Subject(server, **options)
        try:
            yield server, subject
        finally:
            subject.engine.close()


@contextmanager
def over(once: Once, **options: Any) -> Iterator[OpenaiEngine]:
    """Lend an engine whose HTTP requests are made by a function."""

    class Engine(OpenaiEngine):
        async def _once(self, place: str, body: Json | None) -> str:
            return await once(place, body)

    engine = Engine(EngineSettings("openai", "judge", endpoint=Endpoint("http://x/v1"), **options))
    yield engine
    engine.close()


# ---------------------------------------------------------------------- answering


def test_control_tokens_cannot_be_let_act_where_a_server_tokenises(opened: Open) -> None:
    _, subject = opened()
    acting = Request(user("bread"), WRITE, control_tokens_in_contents_act=True)
    with pytest.raises(ConfigError, match="token_ids: false"):
        subject.answer(acting)


def test_a_text_is_written_with_its_end_its_tokens_and_its_price(opened: Open) -> None:
    usage = {
        "prompt_tokens": 1000,
        "completion_tokens": 200,
        "prompt_tokens_details": {"cached_tokens": 600},
    }
    server, subject = opened(
        lambda _: chat("A loaf", "length", usage),
        prompt_price=3.0,
        cached_price=0.5,
        output_price=10.0,
    )
    reply = subject.write()
    assert (reply.text, reply.finish) == ("A loaf", "length")
    assert (reply.prompt_tokens, reply.cached_tokens, reply.output_tokens) == (1000, 600, 200)
    assert reply.money == pytest.approx((400 * 3.0 + 600 * 0.5 + 200 * 10.0) / 1e6)
    (body,) = server.asked
    assert (body["model"], body["max_tokens"]) == ("judge", 30)
    assert (body["temperature"], body["top_p"]) == (0.5, 0.9)


def test_replies_are_in_order_whatever_order_the_server_answers_in(opened: Open) -> None:
    gates = [threading.Event() for _ in range(6)]

    def backwards(body: Json) -> Said:
        number = int(body["messages"][0]["content"])
        if all_here.wait() == 0:  # one of them opens the last gate
            gates[-1].set()
        gates[number].wait(20)
        if number:
            gates[number - 1].set()
        return chat(f"answer {number}")

    all_here = threading.Barrier(6)
    _, subject = opened(backwards)
    replies = subject.answer(*(Request(user(str(n)), WRITE) for n in range(6)))
    assert [reply.text for reply in replies] == [f"answer {n}" for n in range(6)]


@settings(max_examples=8)  # each opens an engine
@given(st.integers(1, 9), st.lists(st.integers(0, 9), max_size=30))
def test_no_more_is_in_flight_than_allowed(most: int, lengths: list[int]) -> None:
    at_once = {"now": 0, "most": 0}

    async def once(place: str, body: Json | None) -> str:
        at_once["now"] += 1
        at_once["most"] = max(at_once.values())
        for _ in range(int(body["messages"][0]["content"]) if body else 0):
            await asyncio.sleep(0)
        at_once["now"] -= 1
        return json.dumps(echo(body).body if body else {})

    with over(once, max_in_flight=most) as engine:
        asked = [Request(user(str(length)), WRITE) for length in lengths]
        replies = asyncio.run(engine.answer(asked))
    assert [reply.text for reply in replies] == [f"on {length}" for length in lengths]
    assert at_once["most"] <= most


def test_a_minute_has_no_more_requests_than_allowed(opened: Open) -> None:
    server, subject = opened(requests_per_minute=5)
    subject.answer(*(Request(user(str(n)), WRITE) for n in range(12)))
    assert len(server.asked) == 12
    # With the list of models 13 requests: five, five more a minute later, and the rest.
    assert subject.clock.now == pytest.approx(1120.0)


# ---------------------------------------------------------------------- choices


def test_a_choice_is_the_distribution_over_the_choices_alone(opened: Open) -> None:
    shown = logprobs(**{"4": math.log(0.4), "_4": math.log(0.2), "5": math.log(0.2), "So": -2.0})
    server, subject = opened(lambda _: chat("4", logprobs=shown))
    reply = subject.rate()
    assert reply.choice_probabilities == pytest.approx((0, 0, 0, 0.75, 0.25))
    assert reply.off_choice_mass == pytest.approx(0.2)
    assert reply.text == ""
    probe, asked = server.asked
    assert (asked["max_tokens"], asked["logprobs"], asked["top_logprobs"]) == (1, True, 20)
    assert [turn["role"] for turn in asked["messages"]] == ["user", "assistant", "user"]
    assert "1, 2, 3, 4, 5" in asked["messages"][-1]["content"]
    assert "bread" not in str(probe)


def test_what_the_server_can_is_found_out_once(
    opened: Open, caplog: pytest.LogCaptureFixture
) -> None:
    def structured_only(body: Json) -> Said:
        if "logprobs" in body:
            return failed(400, "logprobs are not supported")
        schema = body["response_format"]["json_schema"]["schema"]
        return chat(json.dumps({"choice": schema["properties"]["choice"]["enum"][-1]}))

    server, subject = opened(structured_only)
    reply = subject.rate()
    assert reply.choice_probabilities == (0, 0, 0, 0, 1.0)
    assert "a choice of judge is structured output" in caplog.text
    asked = len(server.asked)
    subject.answer(*(Request(rating(str(n)), Choose(DIGITS)) for n in range(4)))
    assert len(server.asked) == asked + 4


def test_logprobs_that_are_asked_for_and_not_given_are_not_made_up(opened: Open) -> None:
    _, subject = opened(lambda _: chat("2"))
    assert subject.rate("auto").choice_probabilities == (0, 1.0, 0, 0, 0)
    _, subject = opened(lambda _: chat("2"), choose="logprobs")
    with pytest.raises(ConfigError, match=r"judge gives no choice by logprobs.*no logprobs"):
        subject.rate()


@pytest.mark.parametrize("said", ["4 of 5", "Score: 4", "four", ""])
def test_a_text_that_is_not_exactly_a_choice_is_none(opened: Open, said: str) -> None:
    _, subject = opened(lambda _: chat(said), choose="text")
    reply = subject.rate()
    assert (reply.choice_probabilities, reply.off_choice_mass) == ((), 1.0)


def test_a_likelihood_that_the_server_cannot_give_names_both(opened: Open) -> None:
    _, subject = opened()
    with pytest.raises(ConfigError, match=r"127.0.0.1.*how probable.*judge.*score.signals"):
        subject.answer(Request(user("bread"), Likelihood("Mix.")))


# ---------------------------------------------------------------------- asking again

PASSING = {
    "too many requests": failed(429),
    "an error of the server's": failed(500),
    "a gateway's": failed(503, "overloaded"),
    "a conflict": failed(409),
    "a connection cut in the body": Said({"choices": []}, is_cut=True),
    "JSON that breaks off": Said(b'{"choices": [{"mess'),
    "JSON of another kind": Said(b"[1, 2]"),
    "no choices": Said({"choices": [], "usage": {"prompt_tokens": 5}}),
    "no text": chat(None, "tool_calls"),
    "no end": chat("half", "error"),
}


@pytest.mark.parametrize("failure", PASSING.values(), ids=PASSING.keys())
def test_what_may_pass_is_asked_again(opened: Open, failure: Said) -> None:
    server, subject = opened()
    server.before = [failure, failure]
    assert subject.write().text == "on bread"
    first, second = subject.clock.slept
    assert 0.25 <= first <= 0.5 <= second <= 1.0


def older_vllm(body: Json) -> Said:
    """Do as a vLLM does that knows no `logprob_token_ids`: it says nothing of them."""
    words = "".join(turn["content"] for turn in body["messages"])
    if "logprobs" not in body:  # to /tokenize
        return Said({"tokens": [ord(letter) for letter in words], "max_model_len": 4096})
    shown = {"1": -3.0, "4": -0.1} if body["top_logprobs"] else {}
    return chat("4", logprobs=logprobs(**shown))


def test_an_older_vllm_is_asked_as_others_are_and_not_taken_for_dead(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with serving(older_vllm) as server:
        server.models = Said({"data": [{"id": "judge", "owned_by": "vllm"}]})
        server.tokenizes = "/tokenize"
        subject = Subject(server)
        replies = [subject.rate(), subject.rate("tea")]
        subject.engine.close()
    for reply in replies:
        assert reply.choice_probabilities is not None
        assert reply.choice_probabilities[3] > 0.9
    assert caplog.text.count("does not take logprob_token_ids") == 1
    assert sum("logprob_token_ids" in body for body in server.asked) <= 2  # it was found out once


def test_what_answers_of_no_use_cost_is_counted(opened: Open) -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": 0}
    server, subject = opened(lambda _: chat("x", usage=usage), prompt_price=1e6)
    server.before = [Said({"choices": [], "usage": usage})]
    assert subject.write().money == 200.0


@pytest.mark.parametrize("header", ["7", "7.0", "Thu, 01 Jan 1970 00:00:07 GMT"])
def test_a_server_that_says_when_is_asked_then(
    opened: Open, header: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import UTC, datetime

    from backtrans.engines import openai_engine
    from backtrans.engines.limits import asked_to_wait

    then = datetime.fromtimestamp(0, UTC)
    monkeypatch.setattr(openai_engine, "asked_to_wait", lambda said: asked_to_wait(said, then))
    server, subject = opened()
    server.before = [failed(429, retry_after=header)]
    subject.write()
    assert subject.clock.slept == [pytest.approx(7.0)]


def test_a_pause_that_one_is_asked_for_is_kept_by_all() -> None:
    clock, held = Clock(), []

    class Spied(Limiter):
        def hold(self, seconds: float) -> None:
            held.append(seconds)
            super().hold(seconds)

    said = [Failure("slow down", 429, retry_after_seconds=30.0)]

    async def once(place: str, body: Json | None) -> str:
        if said:
            raise said.pop()
        return "{}"

    async def asked() -> None:
        limiter = Spied(None, None, clock, clock.sleep)
        endpoint = Endpoint("http://127.0.0.1/v1")
        await Asker(once, endpoint, "judge", limiter, clock, clock.sleep).ask("/x", {}, dict, 1)

    asyncio.run(asked())
    assert held == [30.0]
    assert clock.now == pytest.approx(1030.0)


def test_a_pause_of_hours_is_not_waited_for(opened: Open) -> None:
    _, subject = opened(lambda _: failed(429, "daily limit", retry_after="7200"))
    with pytest.raises(EngineDead, match=r"daily limit; 1 attempt\(s\); it asks to wait 7,200 s"):
        subject.write()
    assert subject.clock.slept == []


def test_a_server_that_takes_very_long_to_fail_is_not_asked_eight_times(opened: Open) -> None:
    server, subject = opened()

    def slowly(body: Json) -> Said:
        subject.clock.now += 400.0
        return failed(504, "upstream")

    server.behave = slowly
    with pytest.raises(EngineDead, match=r"upstream; 2 attempt\(s\)"):
        subject.write()


def test_silence_ends_with_the_time_allowed(opened: Open) -> None:
    never = threading.Event()
    server, subject = opened(timeout_seconds=0.15)
    server.before = [Said(after=never)]
    assert subject.write().text == "on bread"
    never.set()


# ---------------------------------------------------------------------- whose fault it is


def test_a_row_that_always_fails_where_others_do_not_is_refused(opened: Open) -> None:
    def poisoned(body: Json) -> Said:
        if "poison" in body["messages"][0]["content"]:
            return failed(500, "out of memory")
        return echo(body)

    server, subject = opened(poisoned, max_attempts=4)
    replies = subject.answer(*(Request(user(t), WRITE) for t in ("a", "poison", "b")))
    assert [reply.text for reply in replies] == ["on a", "", "on b"]
    assert replies[1].refusal is not None
    assert replies[1].refusal.reason == "refused"
    assert "HTTP 500: out of memory; 4 attempt(s)" in replies[1].refusal.detail
    assert sum("poison" in str(body) for body in server.asked) == 4


def test_a_server_that_is_gone_is_a_dead_engine(opened: Open) -> None:
    _, subject = opened(lambda _: failed(502, "no upstream"), max_attempts=3)
    with pytest.raises(EngineDead, match="does not answer any more: HTTP 502: no upstream"):
        subject.answer(*(Request(user(str(n)), WRITE) for n in range(5)))
    with pytest.raises(EngineDead):
        subject.write()


def test_a_server_that_was_never_there_does_not_open() -> None:
    with serving(echo) as server:
        pass
    with pytest.raises(EngineDead, match="does not answer: ConnectError"):
        Subject(server, max_attempts=2)


@pytest.mark.parametrize(
    "failure",
    [
        failed(400, "This model's maximum context length is 10 tokens.", "context_length_exceeded"),
        failed(400, "the request exceeds the available context size"),
        failed(413, "too large"),
    ],
)
def test_a_prompt_too_long_is_its_rows_fault(opened: Open, failure: Said) -> None:
    server, subject = opened()
    server.before = [failure]
    reply = subject.write()
    assert reply.refusal is not None
    assert reply.refusal.reason == "prompt_too_long"


def test_a_prompt_over_the_recipes_context_is_refused_though_the_server_takes_it(
    opened: Open,
) -> None:
    _, subject = opened(lambda _: chat("x", usage={"prompt_tokens": 4067}), prompt_price=1e6)
    reply = subject.write()
    assert reply.refusal is not None
    assert reply.refusal.detail == "4,067 + 30 tokens > 4,096"
    assert (reply.text, reply.money) == ("", 4067.0)


@pytest.mark.parametrize(
    "said",
    [
        chat("", "content_filter"),
        chat(None, message={"refusal": "I cannot."}),
        failed(400, "flagged", "content_filter"),
        failed(400, "this text is odd"),
    ],
)
def test_a_text_that_the_server_refuses_is_its_rows_fault(opened: Open, said: Said) -> None:
    server, subject = opened()
    server.before = [said]
    reply = subject.write()
    assert reply.refusal is not None
    assert reply.refusal.reason == "refused"
    assert subject.write().text == "on bread"


def test_settings_that_the_server_never_takes_stop(opened: Open) -> None:
    _, subject = opened(lambda _: failed(400, "temperature has to be 1"))
    with pytest.raises(ConfigError, match="judge cannot be asked so: HTTP 400: temperature"):
        subject.write()


@pytest.mark.parametrize(
    ("failure", "error", "words"),
    [
        (failed(401, "bad key"), ConfigError, "refuses to serve judge: no key is sent"),
        (failed(403, "no"), ConfigError, "refuses to serve judge"),
        (failed(404, "no such model"), ModelError, "has no model 'judge'.*no such model"),
        (failed(402, "top up"), ConfigError, "the account is spent"),
        (failed(429, "pay", "insufficient_quota"), ConfigError, "the account is spent"),
    ],
)
def test_what_every_request_would_meet_stops_at_once(
    opened: Open, failure: Said, error: type[BacktransError], words: str
) -> None:
    server, subject = opened()
    server.before = [failure]
    with pytest.raises(error, match=words):
        subject.write()
    assert subject.clock.slept == []


def test_access_refused_shows_when_the_engine_opens() -> None:
    with serving(echo) as server:
        server.models = failed(401, "who are you")
        with pytest.raises(ConfigError, match="who are you"):
            Subject(server)


@pytest.mark.parametrize("models", [failed(404), Said(b"<html>"), Said({"data": "none"})])
def test_a_server_without_a_list_of_models_is_asked_all_the_same(models: Said) -> None:
    with serving(echo) as server:
        server.models = models
        subject = Subject(server)
        assert subject.write().text == "on bread"
        subject.engine.close()


def test_a_model_that_wants_its_limit_by_another_name_gets_it(opened: Open) -> None:
    def reasoning(body: Json) -> Said:
        if "max_tokens" in body:
            return failed(400, "'max_tokens' is not supported. Use 'max_completion_tokens'.")
        if body.get("temperature", 1.0) != 1.0:
            return failed(400, "'temperature' does not support 0.0 with this model.")
        return chat('{"choice": "2"}')

    server, subject = opened(reasoning, choose="structured")
    assert subject.rate().choice_probabilities == (0, 1.0, 0, 0, 0)
    assert "temperature" not in server.asked[-1]
    assert server.asked[-1]["max_completion_tokens"] > 0


# ---------------------------------------------------------------------- odd answers


def test_usage_that_is_missing_counts_nothing(opened: Open) -> None:
    _, subject = opened(lambda _: chat("x", usage={}), prompt_price=1.0)
    reply = subject.write()
    assert (reply.text, reply.prompt_tokens, reply.output_tokens, reply.money) == ("x", 0, 0, 0.0)


def test_half_of_a_surrogate_pair_does_no_harm(opened: Open) -> None:
    server, subject = opened(lambda _: chat("half \ud83d"))
    assert subject.write().text == "half ?"
    reply = subject.write("half \ud83d")
    assert reply.refusal is not None
    assert reply.refusal.reason == "refused"
    assert len(server.asked) == 1


# ---------------------------------------------------------------------- the key


def test_the_key_goes_to_the_endpoint_that_names_it_and_nowhere_else(
    opened: Open, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("JUDGE_KEY", KEY)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    caplog.set_level("DEBUG")
    telling = failed(400, f"I saw the key {KEY} in your request")
    server, subject = opened(lambda _: telling, api_key_env="JUDGE_KEY")
    with pytest.raises(ConfigError) as raised:
        subject.write()
    assert f"Bearer {KEY}" in server.keys
    shown = "".join(traceback.format_exception(raised.value))
    assert "***" in shown
    settings = subject.engine._settings
    for where in (shown, repr(settings), repr(subject.engine), caplog.text):
        assert KEY not in where
    for what in (raised.value, settings):
        assert KEY.encode() not in pickle.dumps(what)
    error: BaseException | None = raised.value
    while error is not None:  # nothing of the client's, whose requests hold the key
        assert type(error).__module__.startswith("backtrans")
        error = error.__cause__ or error.__context__
    other, subject = opened()
    subject.write()
    assert KEY not in "".join(other.keys)


def test_a_key_that_is_not_there_is_said_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JUDGE_KEY", raising=False)
    with serving(echo) as server, pytest.raises(ConfigError, match="JUDGE_KEY is not set"):
        Subject(server, api_key_env="JUDGE_KEY")
    assert server.keys == []


@pytest.mark.parametrize(
    "options",
    [
        {"base_url": f"https://me:{KEY}@host/v1"},
        {"base_url": f"https://host/v1?key={KEY}"},
        {"base_url": "host/v1"},
        {"base_url": "https://host/v1", "api_key_env": KEY},
        {"base_url": "https://host/v1", "requests_per_minute": 0},
        {"base_url": "https://host/v1", "prompt_price": -1.0},
    ],
)
def test_an_endpoint_that_holds_a_key_or_makes_no_sense_is_refused(options: Json) -> None:
    with pytest.raises(ConfigError) as raised:
        Endpoint(**options)
    assert KEY not in str(raised.value)


# ---------------------------------------------------------------------- the end


def test_closing_ends_what_is_in_flight() -> None:
    gate = threading.Event()
    with serving(lambda _: Said({}, after=gate)) as server:
        subject = Subject(server)

        async def closed_meanwhile() -> None:
            asked = asyncio.ensure_future(subject.engine.answer([Request(user("x"), WRITE)]))
            while not server.asked:
                await asyncio.sleep(0.001)
            await asyncio.to_thread(subject.engine.close)
            with pytest.raises(EngineDead):
                await asked

        asyncio.run(closed_meanwhile())
        subject.engine.close()
        with pytest.raises(EngineDead):
            subject.write()
        gate.set()


def test_a_storm_of_failures_loses_and_mixes_nothing(opened: Open) -> None:
    dice = random.Random(5)

    def stormy(body: Json) -> Said:
        bad = dice.choice([None, None, *PASSING.values()])
        return bad or echo(body)

    _, subject = opened(stormy, max_attempts=200, max_in_flight=8)
    subject.clock.stands = True
    replies = subject.answer(*(Request(user(str(n)), WRITE) for n in range(40)))
    assert [reply.text for reply in replies] == [f"on {n}" for n in range(40)]
