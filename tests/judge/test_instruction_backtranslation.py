"""The judge from Python: pairs in, scores or reasons out, wherever it is called from."""

import asyncio
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import datasets
import pytest

from backtrans import InstructionBacktranslation
from backtrans.engines.scripted import HANG
from backtrans.errors import ConfigError, EngineDead, InputError, ModelError
from backtrans.judge.judged import Judged
from backtrans.recipe import Model
from tests.jobs import configuration
from tests.judge.judges import judge, pairs, write_judge

SCRIPTED = "scripted:tests.judge.judges:cheap"


def scripted(**options: Any) -> InstructionBacktranslation:
    return InstructionBacktranslation(Model(path=SCRIPTED, engine="scripted"), **options)


def test_a_pair_has_a_digit_and_beside_it_how_sure_the_judge_is() -> None:
    with scripted() as asked:
        found = asked.judge("What is a pump?", "It is cheap=4.7.")
    assert (found.instruction, found.generation) == ("What is a pump?", "It is cheap=4.7.")
    assert (found.score, found.reasoning, found.model) == (
        5,
        None,
        "scripted:tests.judge.judges:cheap",
    )
    assert found.expectation == pytest.approx(4.7)
    assert found.distribution == pytest.approx((0, 0, 0, 0.3, 0.7))
    assert found.entropy == pytest.approx(0.611, abs=1e-3)
    assert found.off_digit_mass == 0.01
    assert found.reject_reason is None
    assert found.min_token_logprob is None


def test_reasons_and_signals_are_there_where_they_are_asked_for() -> None:
    with scripted(form="reasoned", signals=["pmi"]) as asked:
        found = asked.judge("What is a pump?", "It is cheap=2.")
    assert (found.score, found.form) == (2, "reasoned")
    assert found.reasoning == "It is so.\nScore: 2"
    assert (found.mean_logprob, found.min_token_logprob, found.pmi) == (-0.5, -0.5, 0.0)


def test_the_names_are_drias_or_distilabels() -> None:
    with scripted(form="reasoned") as asked:
        found = asked.judge("What is a pump?", "It is cheap=2.")
    dria, theirs = found.to_dict(), found.to_dict(names="distilabel")
    assert {"reasoning", "score", "instruction", "generation", "model"} <= dria.keys()
    assert {"reason", "score", "model_name"} <= theirs.keys()
    assert {"reasoning", "model"} & theirs.keys() == set()
    assert (theirs["reason"], theirs["model_name"]) == (dria["reasoning"], dria["model"])
    assert list(dria.values()) == list(theirs.values())


def test_many_pairs_come_back_in_their_order_as_tuples_or_objects() -> None:
    asked_about = [f"cheap={1 + number % 5}" for number in range(300)]
    with scripted() as asked:
        found = asked.judge_pairs([("Why?", text) for text in asked_about])
        same = asked.judge_pairs(pairs(asked_about)[:5])
        assert asked.judge_pairs([]) == []
    assert [each.score for each in found] == [1 + number % 5 for number in range(300)]
    assert [each.score for each in same] == [1, 2, 3, 4, 5]


def test_a_pair_without_a_score_says_why() -> None:
    with scripted() as asked:
        refused, refers, missing, number = asked.judge_pairs(
            [
                ("What is <<refuse>>?", "It is."),
                ("What is the main idea of this text?", "It is."),
                {"instruction": None, "generation": "It is."},
                {"instruction": "Why?", "generation": 5},
            ]
        )
    assert (refused.score, refused.reject_reason) == (None, "refused")
    assert (refers.reject_reason, refers.reject_detail) == ("instruction_refers", "this text")
    assert (missing.reject_reason, missing.reject_detail) == ("text_missing", "instruction")
    assert (number.reject_reason, number.reject_detail) == ("text_not_string", "generation: int")
    assert number.to_dict()["distribution"] is None


@pytest.mark.parametrize("wrong", ["text", ("a",), {"instruction": "a"}, None])
def test_what_is_no_pair_is_an_error_that_shows_it(wrong: Any) -> None:
    with scripted() as asked, pytest.raises(InputError, match="a pair"):
        asked.judge_pairs([wrong])


def test_it_is_called_from_within_a_running_event_loop() -> None:
    async def notebook() -> list[Judged]:
        with scripted() as asked:
            return [
                asked.judge("Why?", "cheap=1"),  # as a cell of a notebook calls it
                await asked.ajudge("Why?", "cheap=2"),
                *await asked.ajudge_pairs([("Why?", "cheap=3")]),
            ]

    assert [each.score for each in asyncio.run(notebook())] == [1, 2, 3]


def test_coroutines_of_several_event_loops_share_a_judge() -> None:
    with scripted() as asked:

        async def many() -> list[int | None]:
            found = await asyncio.gather(*(asked.ajudge("Why?", f"cheap={d}") for d in range(1, 6)))
            return [each.score for each in found]

        assert asyncio.run(many()) == asyncio.run(many()) == [1, 2, 3, 4, 5]


def test_the_callers_loop_goes_on_while_a_judge_thinks(tmp_path: Path) -> None:
    mended = tmp_path / "mended"
    hanging = Model(path=f"scripted:default?mended_by={mended}", engine="scripted")

    async def beside() -> None:
        async with InstructionBacktranslation(hanging) as asked:
            thinking = asyncio.ensure_future(asked.ajudge("Why?", f"So. {HANG}"))
            await under_way(asked)
            mended.touch()  # else it would think for ever
            assert (await thinking).score

    asyncio.run(beside())


async def under_way(asked: InstructionBacktranslation) -> None:
    """Wait until a judge is being asked, as a caller whose loop goes on."""
    while not (asked._running and len(asyncio.all_tasks(asked._running[1]._loop)) > 1):
        await asyncio.sleep(0.01)


def test_a_closed_judge_judges_no_more_and_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    asked = scripted()
    asked.judge("Why?", "cheap=1")
    asked.close()
    asked.close()
    assert set(threading.enumerate()) <= before  # what others left may end meanwhile
    with pytest.raises(EngineDead, match="closed"):
        asked.judge("Why?", "cheap=1")


def test_who_waits_for_a_judge_that_is_closed_hears_of_it() -> None:
    asked = InstructionBacktranslation(
        Model(path="scripted:default?latency_seconds=30", engine="scripted")
    )
    heard: list[BaseException] = []

    def wait() -> None:
        try:
            asked.judge("Why?", "So.")
        except EngineDead as error:
            heard.append(error)

    async def wait_too() -> None:
        waiting = asyncio.ensure_future(asked.ajudge("Why?", "So."))
        await under_way(asked)
        await asyncio.to_thread(asked.close)
        with pytest.raises(EngineDead, match="closed"):
            await waiting

    thread = threading.Thread(target=wait)
    thread.start()
    asyncio.run(wait_too())
    thread.join()
    assert len(heard) == 1


def test_a_dead_engine_is_an_error_and_not_a_score() -> None:
    with scripted() as asked, pytest.raises(EngineDead):
        asked.judge_pairs([("Why?", "cheap=1"), ("Why?", "<<kill>>")])


def test_a_dataset_keeps_its_columns_and_gets_the_judgements() -> None:
    given = datasets.Dataset.from_list(
        [{"prompt": f"What is {n}?", "output": f"cheap={n}", "score": "old"} for n in range(1, 5)]
    )
    with scripted() as asked:
        found = asked.judge_dataset(given, instruction="prompt", names="distilabel")
        with pytest.raises(InputError, match="no column 'promt'; did you mean 'prompt'"):
            asked.judge_dataset(given, instruction="promt")
        empty = asked.judge_dataset(given.select([]), instruction="prompt")
    assert found["score"] == [1, 2, 3, 4]
    assert found["input_score"] == ["old"] * 4
    assert found["prompt"] == found["instruction"]
    assert {"output", "reason", "model_name", "expectation"} <= set(found.column_names)
    assert len(empty) == 0
    assert set(empty.column_names) >= {"prompt", "expectation"}


def test_a_judge_comes_from_its_file_or_from_a_runs(tmp_path: Path) -> None:
    path = write_judge(tmp_path, judge("dear", score={"form": "reasoned"}))
    with InstructionBacktranslation.from_file(path) as asked:
        found = asked.judge("Why?", "cheap=1 dear=5")
    assert (found.score, found.form) == (5, "reasoned")
    run = configuration(tmp_path, recipe__score={"form": "constrained", "signals": ["likelihood"]})
    with InstructionBacktranslation.from_run(run) as asked:
        assert asked.judge("Why?", "So.").min_token_logprob is not None


@pytest.mark.parametrize(
    ("make", "error", "said"),
    [
        (lambda: InstructionBacktranslation("m", form="free"), ConfigError, "form"),
        (lambda: InstructionBacktranslation("m", sinals=["pmi"]), ConfigError, "sinals"),
        (lambda: InstructionBacktranslation("m", trained=True), ConfigError, "no trained"),
        (lambda: InstructionBacktranslation.from_file("none.yaml"), ConfigError, "none.yaml"),
        (lambda: InstructionBacktranslation("./nowhere").judge("a", "b"), ModelError, "nowhere"),
    ],
)
def test_a_mistake_is_an_error_that_names_it(make: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        make()


def test_to_import_the_package_loads_nothing_of_the_judge() -> None:
    code = (
        "import backtrans, sys; print([n for n in sys.modules if n.startswith('backtrans')]);"
        "print(backtrans.InstructionBacktranslation.__name__);"
        "print({'ray', 'vllm', 'torch', 'distilabel', 'datasets'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["['backtrans']", "InstructionBacktranslation", "set()"]


def test_an_unknown_name_of_the_package_is_an_attribute_error() -> None:
    import backtrans

    with pytest.raises(AttributeError, match="Backtranslation"):
        backtrans.Backtranslation  # noqa: B018
