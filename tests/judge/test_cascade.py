"""Judges from cheap to dear: who is asked, what is recorded, what it saves and changes."""

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtrans.engines.engine import Engine, EngineSettings
from backtrans.errors import ConfigError
from backtrans.judge import cascade
from backtrans.judge.account import Account, lines, saved
from backtrans.judge.cascade import groups, judge_fingerprint, why_on
from backtrans.judge.instruction_backtranslation import InstructionBacktranslation
from backtrans.judge.judged import Judged
from backtrans.judge.settings import Judging, SendOn, load_judging
from backtrans.records import Reject
from tests.engines.server import chat, logprobs, serving
from tests.judge.judges import judge, write_judge

ROOT = Path(__file__).parent.parent.parent


def judging(tmp_path: Path, *judges: dict[str, Any], **sections: Any) -> Judging:
    return load_judging(write_judge(tmp_path, *judges, **sections))


def two(tmp_path: Path, dear: str = "dear", **send_on: Any) -> Judging:
    cheap = judge("cheap", name="cheap", send_on=send_on or {"margin": 0.5})
    return judging(tmp_path, cheap, judge(dear, name="dear"))


def test_a_pair_that_the_cheap_judge_is_sure_of_is_its_own(tmp_path: Path) -> None:
    with InstructionBacktranslation(two(tmp_path, entropy=0.3)) as asked:
        found = asked.judge("Why?", "cheap=2 dear=5")
    assert found.expectation == 2
    (only,) = found.judges
    assert (only.name, only.expectation, only.entropy, only.sent_on) == ("cheap", 2, 0, None)


@pytest.mark.parametrize(
    ("send_on", "says", "why"),
    [
        ({"entropy": 0.3}, "cheap=2.5 dear=5", "entropy 0.693 > 0.3"),
        ({"margin": 0.6}, "cheap=4 dear=5", "0.500 from 4.5, under 0.6"),
        ({"margin": 0.2, "threshold": 4.0}, "cheap=4.1 dear=5", "0.100 from 4, under 0.2"),
    ],
)
def test_a_pair_that_it_is_not_sure_of_goes_on_and_says_why(
    tmp_path: Path, send_on: dict[str, float], says: str, why: str
) -> None:
    with InstructionBacktranslation(two(tmp_path, **send_on)) as asked:
        found = asked.judge("Why?", says)
    assert (found.expectation, found.score) == (5, 5)
    first, last = found.judges
    assert (first.name, first.sent_on) == ("cheap", why)
    assert (last.name, last.expectation, last.sent_on) == ("dear", 5, None)


def test_a_judge_without_an_answer_takes_away_no_score(tmp_path: Path) -> None:
    with InstructionBacktranslation(two(tmp_path, "never_sure")) as asked:
        found = asked.judge("Why?", "cheap=4.4")
    assert (found.expectation, found.reject_reason) == (pytest.approx(4.4), None)
    assert [each.reject_reason for each in found.judges] == [None, "digit_improbable"]
    unsure = judge("never_sure", name="cheap", send_on={"entropy": 1.0})
    with InstructionBacktranslation(judging(tmp_path, unsure, judge("dear"))) as asked:
        found = asked.judge("Why?", "dear=4")
    assert (found.score, found.judges[0].sent_on) == (4, "no score: digit_improbable")


def test_an_instruction_that_is_refused_unasked_goes_to_no_other_judge(tmp_path: Path) -> None:
    with InstructionBacktranslation(two(tmp_path), compare_all=True) as asked:
        found = asked.judge("What does this text say?", "cheap=4.4 dear=5")
    assert found.reject_reason == "instruction_refers"
    assert len(found.judges) == 1


outcomes = st.builds(
    lambda expectation, entropy: {"score": expectation, "entropy": entropy},
    st.floats(1, 5),
    st.floats(0, math.log(5)),
)
bounds = st.none() | st.floats(0, 4)


@given(outcomes, bounds, bounds)
def test_wider_bounds_send_no_pair_on_that_tighter_ones_keep(
    outcome: dict[str, float], entropy: float | None, margin: float | None
) -> None:
    if entropy is None and margin is None:
        return
    tight = why_on(outcome, SendOn(entropy=entropy, margin=margin))
    wide = SendOn(
        entropy=None if entropy is None else entropy + 0.1,
        margin=None if margin is None else max(0.0, margin - 0.1),
    )
    assert tight is not None or why_on(outcome, wide) is None


@given(outcomes)
def test_no_entropy_is_over_that_of_five_even_digits(outcome: dict[str, float]) -> None:
    assert why_on(outcome, SendOn(entropy=1.61)) is None
    assert why_on(outcome, SendOn(margin=0.0)) is None


def test_a_reject_goes_on_unless_every_judge_would_refuse_it() -> None:
    sure = SendOn(margin=0.0)
    assert why_on(Reject("prompt_too_long"), sure) == "no score: prompt_too_long"
    assert why_on(Reject("instruction_void"), sure) is None


# ---------------------------------------------------------------------- engines


def test_judges_on_one_base_share_an_engine_and_others_do_not(tmp_path: Path) -> None:
    def model(path: str, **more: Any) -> dict[str, Any]:
        return {"model": {"path": path, **more}}

    def named(*models: dict[str, Any]) -> Judging:
        sent = [{**m, "name": f"{n}", "send_on": {"margin": 1.0}} for n, m in enumerate(models)]
        return judging(tmp_path, *sent[:-1], {**models[-1], "name": "last"})

    assert groups(named(model("a"), model("a", adapter="x"), model("b"))) == [[0, 1], [2]]
    assert groups(named(model("a"), model("b"), model("a"))) == [[0, 2], [1]]
    assert groups(named(model("a"), model("a", max_model_tokens=512))) == [[0], [1]]
    own = {**model("a"), "engine": {"memory_fraction": 0.4}}
    assert groups(named(model("a"), own)) == [[0], [1]]


def test_one_engine_is_opened_for_two_forms_of_one_model_and_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backtrans.engines import scripted

    opened: list[EngineSettings] = []
    closed: list[int] = []

    class Watched(scripted.ScriptedEngine):
        def __init__(self, settings: EngineSettings) -> None:
            opened.append(settings)
            super().__init__(settings)

        def close(self) -> None:
            closed.append(1)
            super().close()

    monkeypatch.setattr(scripted, "ScriptedEngine", Watched)
    found = judging(tmp_path, judge(send_on={"margin": 1.0}), judge(score={"form": "reasoned"}))
    with InstructionBacktranslation(found) as asked:
        assert asked.judge("Why?", "cheap=4").form == "reasoned"
    assert (len(opened), len(closed)) == (1, 1)


def test_what_was_opened_is_closed_where_the_next_engine_does_not_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backtrans.engines import scripted

    closed: list[Engine] = []

    def close(self: Engine) -> None:
        closed.append(self)

    monkeypatch.setattr(scripted.ScriptedEngine, "close", close)
    broken = {"model": {"path": "scripted:no.such:script", "engine": "scripted"}}
    found = judging(tmp_path, judge(send_on={"margin": 1.0}), broken)
    with pytest.raises(ConfigError, match="no script"):
        cascade.Cascade(found)
    assert len(closed) == 1


# ---------------------------------------------------------------------- the file


@pytest.mark.parametrize(
    ("judges", "said"),
    [
        ([judge(), judge("dear")], "every judge but the last needs send_on"),
        ([judge(send_on={"margin": 0.5})], "the last judge has send_on"),
        ([judge(send_on={}), judge("dear")], "give entropy, margin or both"),
        ([judge(send_on={"margn": 0.5}), judge("dear")], "did you mean 'margin'"),
        ([judge(send_on={"margin": 0.5}), judge()], "give each a name"),
        ([judge(score={"prescore": {"refer": False}})], "did you mean 'refers'"),
        ([judge(model={"trained": True})], "no trained: true"),
    ],
)
def test_a_mistake_in_the_file_is_an_error_that_names_it(
    tmp_path: Path, judges: list[dict[str, Any]], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        judging(tmp_path, *judges)


def test_what_decides_a_judgement_decides_the_judges_fingerprint(tmp_path: Path) -> None:
    same = judge_fingerprint(two(tmp_path))
    assert judge_fingerprint(two(tmp_path)) == same
    others = [
        two(tmp_path, margin=0.4),
        two(tmp_path, "cheap"),
        judging(tmp_path, judge()),
        judging(tmp_path, judge(score={"form": "reasoned"})),
        judging(tmp_path, judge(score={"prescore": {"max_chars": 100}})),
        judging(tmp_path, judge(model={"seed": 1})),
    ]
    assert len({same, *map(judge_fingerprint, others)}) == len(others) + 1
    # Where and how it runs changes no judgement.
    elsewhere = judging(tmp_path, judge(), engine={"max_sequences": 7})
    assert judge_fingerprint(elsewhere) == judge_fingerprint(judging(tmp_path, judge()))


def test_the_example_is_a_file_that_loads_and_its_paths_lead_from_its_folder() -> None:
    found = load_judging(ROOT / "examples/judge.yaml")
    assert [judge.called for judge in found.judges] == ["small", "large"]
    assert Path(found.judges[0].model.path).resolve() == ROOT / "models/forward-8b"


# ---------------------------------------------------------------------- what it saved


def accounted(found: Judging, texts: list[str], *, compare_all: bool = False) -> Account:
    with InstructionBacktranslation(found, compare_all=compare_all) as asked:
        return asked.judge_counted([("Why is it so?", text) for text in texts])[1]


def test_what_a_cascade_saves_is_estimated_and_measured_alike_on_pairs_of_one_length(
    tmp_path: Path,
) -> None:
    texts = ["cheap=2 dear=2"] * 6 + ["cheap=4.4 dear=5"] * 2 + ["cheap=4.4 dear=4"] * 2
    found = judging(
        tmp_path,
        judge("cheap", name="cheap", send_on={"margin": 0.5}),
        judge("dear", name="dear", score={"form": "reasoned"}),
    )
    account, compared = accounted(found, texts), accounted(found, texts, compare_all=True)
    assert (account.sent_on, account.crossed) == (4, 2)
    estimate, measured = saved(account, found.judges), saved(compared, found.judges)
    assert estimate is not None
    assert measured is not None
    assert estimate == pytest.approx(measured)
    cost = account.costs["dear", False]
    assert cost.pairs == 4
    assert estimate == pytest.approx(
        1 - (account.costs["cheap", False].tokens + cost.tokens) / (cost.tokens / 4 * 10)
    )
    said = "\n".join(lines(account, found.judges))
    assert "sent on: 4 of 10 pairs; 2 of them changed sides at 4.5" in said
    assert "an estimate" in said
    said = "\n".join(lines(compared, found.judges))
    assert "(measured)" in said
    assert "compared: 6 pairs; dear would put 0 on the other side of 4.5" in said


def test_a_served_judge_is_asked_about_what_goes_on_alone_and_its_money_is_told(
    tmp_path: Path,
) -> None:
    usage = {"prompt_tokens": 500, "completion_tokens": 1}
    with serving(lambda _: chat("5", usage=usage, logprobs=logprobs(**{"5": -0.01}))) as server:
        prices = {"base_url": server.url, "prompt_price": 2.0, "output_price": 10.0}
        found = judging(
            tmp_path,
            judge("cheap", name="cheap", send_on={"margin": 0.5}),
            {
                "name": "dear",
                "model": {"path": "judge", "engine": "openai", "revision": "2026-08"},
                "engine": {"endpoints": {"judge": prices}},
            },
        )
        account = accounted(found, ["cheap=2"] * 6 + ["cheap=4.4"] * 2)
    cost = account.costs["dear", False]
    assert (cost.pairs, account.crossed) == (2, 2)
    assert cost.money == pytest.approx(2 * (500 * 2.0 + 10.0) / 1e6)
    assert account.costs["cheap", False].money == 0
    told = [line for line in lines(account, found.judges) if "endpoint's prices" in line]
    assert len(told) == 1
    assert told[0].startswith("dear: 2 pairs, ")


def test_a_comparison_changes_no_judgement(tmp_path: Path) -> None:
    with InstructionBacktranslation(two(tmp_path), compare_all=True) as asked:
        found = asked.judge("Why?", "cheap=2 dear=5")
    assert found.expectation == 2
    assert [(each.name, each.compared) for each in found.judges] == [
        ("cheap", False),
        ("dear", True),
    ]


def test_where_the_dear_judge_was_never_asked_nothing_is_claimed(tmp_path: Path) -> None:
    found = two(tmp_path)
    account = accounted(found, ["cheap=1"])
    assert saved(account, found.judges) is None
    assert "what it would have cost is not known" in lines(account, found.judges)[-1]


def test_accounts_add_up_and_survive_being_written(tmp_path: Path) -> None:
    found = two(tmp_path)
    one, other = accounted(found, ["cheap=4.4 dear=5"]), accounted(found, ["<<refuse>>", "cheap=1"])
    whole = Account()
    for each in (one, other):
        whole.merge(Account.from_json(each.to_json()))
    every = accounted(found, ["cheap=4.4 dear=5", "<<refuse>>", "cheap=1"])
    assert whole.to_json() == every.to_json()
    assert (whole.rows, whole.scored, whole.rejects) == (3, 2, {"refused": 1})


def test_a_pair_without_a_judge_counts_in_no_cascade() -> None:
    account = Account()
    account.add(Judged(None, "So.", reject_reason="text_missing"), 4.5)
    assert (account.rows, account.sent_on, account.costs) == (1, 0, {})
