"""The scripted engine: the same every time, and able to fail on demand."""

import asyncio
import signal
import subprocess
import sys
import time

import pytest

from backtrans.dialogue import Choose, Generate, Likelihood, Message, Reply, Request
from backtrans.engines import scripted
from backtrans.engines.engine import EngineSettings
from backtrans.engines.opening import open_engine
from backtrans.engines.scripted import ScriptedEngine
from backtrans.errors import ConfigError, EngineDead
from backtrans.records import Reject
from backtrans.roles import rewrite


def settings(model: str = "scripted:default", **other: object) -> EngineSettings:
    return EngineSettings("scripted", model, **other)  # type: ignore[arg-type]


WRITE = Generate(50)


def ask(text: str, want: Generate | Choose | Likelihood = WRITE) -> Request:
    return Request((Message("user", text),), want)


def answers(engine: ScriptedEngine, *requests: Request) -> list[Reply]:
    return asyncio.run(engine.answer(requests))


def test_the_same_seed_gives_the_same_bytes_in_another_process() -> None:
    requests = [ask(f"Bread number {n} is good.") for n in range(5)]
    code = f"""
import asyncio
from backtrans.dialogue import *
from backtrans.engines.engine import EngineSettings
from backtrans.engines.scripted import ScriptedEngine
engine = ScriptedEngine(EngineSettings("scripted", "scripted:default", seed=3))
print(asyncio.run(engine.answer({requests!r})))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    here = answers(ScriptedEngine(settings(seed=3)), *requests)
    assert done.stdout.strip() == repr(here)
    assert answers(ScriptedEngine(settings(seed=4)), *requests) != here


def test_an_instruction_speaks_of_the_text() -> None:
    (reply,) = answers(ScriptedEngine(settings()), ask("Sourdough needs patience."))
    assert "Sourdough" in reply.text
    assert reply.text.endswith("?")


def test_who_asks_for_a_score_gets_reasons_and_one_score() -> None:
    asked = ask('Rate it, then write "Score: " and a digit.')
    (reply,) = answers(ScriptedEngine(settings()), asked)
    reasons, last = reply.text.split("\n")
    assert reasons
    assert last.removeprefix("Score: ") in set("12345")


def rewriting(text: str) -> Request:
    return Request(rewrite.render("How is it made?", text), Generate(300))


def test_who_asks_for_a_text_between_markers_gets_the_draft_tidied() -> None:
    draft = "Mix  flour,\n\nwater and salt.\n" * 20
    first, second = answers(ScriptedEngine(settings()), *[rewriting(draft)] * 2)
    assert first == second
    written = rewrite.parse(first.text)
    assert isinstance(written, str)
    assert "  " not in written
    kept = [word for word in written.split() if word in draft.split()]
    assert 80 < len(kept) < 100  # some of the draft's hundred words are dropped


def test_a_rewrite_can_lack_its_markers_leak_its_draft_or_end_for_want_of_tokens() -> None:
    texts = [f"Mix flour. {m}" for m in (scripted.UNMARKED, scripted.LEAKING, scripted.UNFINISHED)]
    unmarked, leaking, unfinished = answers(
        ScriptedEngine(settings()), *[rewriting(text) for text in texts]
    )
    assert rewrite.parse(unmarked.text) == Reject("rewrite_missing", "no [RES]")
    assert "the draft" in str(rewrite.parse(leaking.text))
    assert "<<" not in unmarked.text + leaking.text
    assert unfinished.finish == "length"


def test_a_continuation_is_likelier_where_the_prompt_has_its_words() -> None:
    engine = ScriptedEngine(settings())
    text = "flour water salt yeast " * 50
    given, alone = answers(engine, ask(text, Likelihood(text)), ask("", Likelihood(text)))
    assert sum(given.token_logprobs) > sum(alone.token_logprobs)


def test_markers_bring_about_what_they_say() -> None:
    engine = ScriptedEngine(settings())
    refused, unfinished, silent, improbable = answers(
        engine,
        ask(f"x {scripted.REFUSE}"),
        ask(f"x {scripted.UNFINISHED}"),
        ask(f"x {scripted.SILENT}"),
        ask(f"x {scripted.IMPROBABLE}", Choose(("1", "2"))),
    )
    assert refused.refusal is not None
    assert refused.refusal.reason == "refused"
    assert unfinished.finish == "length"
    assert (silent.text, silent.finish) == ("", "stop")
    assert (improbable.choice_probabilities, improbable.off_choice_mass) == ((), 1.0)


def test_a_deadly_text_kills_the_engine_for_good() -> None:
    engine = ScriptedEngine(settings())
    with pytest.raises(EngineDead):
        answers(engine, ask("good"), ask(f"bad {scripted.KILL}"), ask("good"))
    with pytest.raises(EngineDead):
        answers(engine, ask("good"))


def test_a_deadly_text_in_a_continuation_counts_too() -> None:
    with pytest.raises(EngineDead):
        answers(ScriptedEngine(settings()), ask("x", Likelihood(scripted.KILL)))


def test_an_engine_can_die_after_so_many_requests_and_a_new_one_goes_on() -> None:
    mortal = settings("scripted:default?die_after_requests=3")
    engine = ScriptedEngine(mortal)
    assert len(answers(engine, *[ask("good")] * 3)) == 3
    with pytest.raises(EngineDead, match="after 3 requests"):
        answers(engine, ask("good"))
    assert len(answers(ScriptedEngine(mortal), ask("good"))) == 1


def test_an_exit_kills_the_process() -> None:
    code = f"""
import asyncio
from backtrans.dialogue import *
from backtrans.engines.engine import EngineSettings
from backtrans.engines.scripted import ScriptedEngine
engine = ScriptedEngine(EngineSettings("scripted", "scripted:default"))
asyncio.run(engine.answer([{ask(scripted.EXIT)!r}]))
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == -signal.SIGKILL


def test_a_closed_engine_is_dead_and_may_be_closed_again() -> None:
    engine = ScriptedEngine(settings())
    engine.close()
    engine.close()
    with pytest.raises(EngineDead, match="closed"):
        answers(engine, ask("good"))


def test_latency_is_waited_for_by_all_in_flight_together() -> None:
    engine = ScriptedEngine(settings("scripted:default?latency_seconds=0.05", max_in_flight=10))
    started = time.monotonic()
    answers(engine, *[ask(f"good {n}") for n in range(20)])
    assert 0.1 <= time.monotonic() - started < 0.8  # two turns of ten, not twenty of one


def shout(request: Request, seed: int) -> Reply:
    return Reply(f"{request.messages[0].content.upper()} {seed}", "stop")


def test_a_script_of_ones_own_is_found_by_its_name() -> None:
    engine = open_engine(settings(f"scripted:{__name__}:shout", seed=7))
    (reply,) = asyncio.run(engine.answer([ask("hello there")]))
    assert (reply.text, reply.output_tokens) == ("HELLO THERE 7", 3)


@pytest.mark.parametrize(
    "model",
    ["scripted:nowhere:f", "scripted:json:nothing", "scripted:json:__doc__", "scripted:odd",
     "scripted:default?speed=1", "scripted:default?latency_seconds=slow"],
)  # fmt: skip
def test_a_script_or_option_that_is_not_there_is_a_wrong_configuration(model: str) -> None:
    with pytest.raises(ConfigError):
        open_engine(settings(model))


def test_an_unknown_kind_is_a_wrong_configuration() -> None:
    with pytest.raises(ConfigError, match="vllm, openai, scripted"):
        open_engine(EngineSettings("oracle", "delphi"))
