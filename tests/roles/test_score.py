"""The judging role: every completed call is a score, and no number is taken for one that is not."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtrans.dialogue import Choose, Generate, Likelihood, Message, Refusal, Reply, Request
from backtrans.records import Reject, Row
from backtrans.roles import score
from backtrans.roles.score import Score

PAIR = {"instruction": "How long?", "text": "Six minutes."}
FIVES = Reply(choice_probabilities=(0.0, 0.0, 0.0, 0.2, 0.8), off_choice_mass=0.01)


def played(role: Score, *turns: list[Reply]) -> tuple[list[tuple[Request, ...]], Row | Reject]:
    """Carry a dialogue with these replies; return what was asked and what came out."""
    dialogue = role.converse(PAIR)
    asked = [next(dialogue)]
    for replies in turns:
        try:
            asked.append(dialogue.send(replies))
        except StopIteration as end:
            return asked, end.value
    raise AssertionError(f"the role still asks: {asked[-1]}")


def test_the_constrained_prompt_is_this_to_the_letter() -> None:
    assert score.render("How long?", "Six minutes.", "constrained") == (
        Message(
            "user",
            "Rate how well the response answers the instruction, from 1 to 5.\n"
            "1: off topic, incomplete, promotional, or in the voice of a forum or a private"
            " person.\n"
            "2: mostly on topic, but indirect: it does not answer what was asked.\n"
            "3: a complete answer, but in a web page's own voice and not an assistant's.\n"
            "4: an assistant's direct and complete answer, with small improvements possible.\n"
            "5: a perfect answer: written for this instruction, expert, clear, nothing"
            " irrelevant.\n"
            'Write "Score: " and the digit.\n\n'
            "Instruction:\nHow long?\n\nResponse:\nSix minutes.",
        ),
        Message("assistant", "Score: "),
    )


def test_the_reasoned_prompt_differs_in_what_is_asked_for_alone() -> None:
    (message,) = score.render("How long?", "Six minutes.", "reasoned")
    constrained = score.render("How long?", "Six minutes.", "constrained")[0].content
    assert message.content == constrained.replace(score.ASK_DIGIT, score.ASK_REASON)


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("Good.\nScore: 5", 5),
        ("Score: 1", 1),
        ("Fine.\nScore: 4.\n\n", 4),
        ("Fine.\nScore:3", 3),
        ("Score: 0", "out_of_range"),
        ("Score: 6", "out_of_range"),
        ("Score: 45", "out_of_range"),
        ("Score: 1986", "out_of_range"),
        ("Score: -1", "out_of_range"),
        ("Score: 4.5", "out_of_range"),
        ("Score: 4/5", "out_of_range"),
        ("Score: 05", "out_of_range"),
        ("Score: 3\nScore: 4", "several_scores"),
        ("score: 3, or rather Score: 4", "several_scores"),
        ("It is good.", "no_score"),
        ("", "no_score"),
        ("Born in 1986.", "no_score"),
        ("Score: 5\nBut one more thing.", "malformed"),
        ("Score: five", "malformed"),
        ("The final Score: 5", "malformed"),
        ("Score: ٥", "malformed"),
    ],
)
def test_only_score_and_one_digit_on_the_last_line_is_a_score(text: str, outcome: object) -> None:
    assert score.parse(text) == outcome


@given(st.text())
def test_no_text_breaks_the_parser(text: str) -> None:
    assert score.parse(text) in {1, 2, 3, 4, 5} | set(score.ParseFailure.__args__)


probabilities = st.lists(st.floats(0.01, 1), min_size=5, max_size=5).map(
    lambda weights: tuple(w / sum(weights) for w in weights)
)


@given(probabilities)
def test_a_judgement_is_the_expectation_of_its_distribution(ps: tuple[float, ...]) -> None:
    judged = score.judgement(Reply(choice_probabilities=ps, off_choice_mass=0.25))
    assert isinstance(judged, dict)
    assert judged["score"] == pytest.approx(
        sum(p * d for p, d in zip(ps, range(1, 6), strict=True))
    )
    assert 1 <= judged["score"] <= 5
    assert 0 <= judged["entropy"] <= math.log(5) + 1e-9
    assert ps[judged["digit"] - 1] == max(ps)
    assert judged["off_digit_mass"] == 0.25


def test_a_constrained_score_takes_one_call_of_one_digit() -> None:
    asked, fields = played(Score(adapter="forward"), [FIVES])
    (request,) = asked[0]
    assert request.want == Choose(("1", "2", "3", "4", "5"))
    assert request.adapter == "forward"
    assert isinstance(fields, dict)
    assert (fields["score"], fields["digit"], fields["form"]) == (
        pytest.approx(4.8),
        5,
        "constrained",
    )


def test_reasons_that_parse_keep_their_digit_beside_the_distribution() -> None:
    role = Score(form="reasoned")
    reasons = Reply(text="It answers.\nScore: 4", finish="stop")
    asked, fields = played(role, [reasons], [FIVES])
    assert isinstance(asked[0][0].want, Generate)
    assert asked[1][0].messages[-1] == Message("assistant", "It answers.\nScore: ")
    assert isinstance(fields, dict)
    assert (fields["digit"], fields["form"]) == (4, "reasoned")
    assert fields["score"] == pytest.approx(4.8)
    assert fields["reasoning"] == "It answers.\nScore: 4"


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (Reply(text="Score: 1986", finish="stop"), "out_of_range"),
        (Reply(text="No idea.", finish="stop"), "no_score"),
        (Reply(text="Score: 1\nScore: 5", finish="stop"), "several_scores"),
        (Reply(text="It goes on and Score: 5", finish="length"), "unfinished"),
    ],
)
def test_reasons_that_do_not_parse_are_asked_again_and_scored(reply: Reply, why: str) -> None:
    _, fields = played(Score(form="reasoned"), [reply], [FIVES])
    assert isinstance(fields, dict)
    assert (fields["form"], fields["parse_failure"], fields["digit"]) == ("second_ask", why, 5)


def test_likelihood_is_asked_for_the_response_under_the_tagged_instruction() -> None:
    given_it = Reply(token_logprobs=(-1.0, -3.0))
    alone = Reply(token_logprobs=(-4.0, -4.0))
    asked, fields = played(Score(signals=("likelihood", "pmi")), [FIVES, given_it, alone])
    assert asked[0][1].messages == (
        Message("user", "How long? Answer in the style of an AI Assistant."),
    )
    assert asked[0][1].want == asked[0][2].want == Likelihood("Six minutes.")
    assert isinstance(fields, dict)
    assert (fields["min_token_logprob"], fields["mean_logprob"], fields["pmi"]) == (-3.0, -2.0, 2.0)


def test_no_distribution_is_a_reject_and_never_an_invented_score() -> None:
    _, outcome = played(Score(), [Reply(choice_probabilities=())])
    assert isinstance(outcome, Reject)
    assert outcome.reason == "digit_improbable"


def test_a_refused_likelihood_rejects_the_pair_with_its_count() -> None:
    refused = Reply(refusal=Refusal("prompt_too_long", "9 + 1 tokens > 8"))
    _, outcome = played(Score(signals=("likelihood",)), [FIVES, refused])
    assert outcome == Reject("prompt_too_long", "9 + 1 tokens > 8")
