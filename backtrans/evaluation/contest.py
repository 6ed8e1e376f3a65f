"""One evaluation from its file to its figures: outputs are read or written, paired, and judged.

Promises: files are read and paired before an engine is opened, so that a mistake costs no model's
start; a candidate and a judge on one base share an engine, others follow one another; every pair
has a verdict or the reason for which it has none.

Does not know: how the result is shown or written.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from backtrans.conversing import Tally
from backtrans.dialogue import Generate
from backtrans.engines.engine import Engine
from backtrans.evaluation.outputs import (
    Instruction,
    Output,
    Outputs,
    read_instructions,
    read_outputs,
)
from backtrans.evaluation.pairing import Pair, paired
from backtrans.evaluation.settings import Evaluation
from backtrans.evaluation.verdicts import Verdict, verdict, without_judge
from backtrans.ledger import Usage
from backtrans.recipe import Model
from backtrans.records import Reject, Row
from backtrans.resolution import model_identity, model_name
from backtrans.roles.answer import Answer
from backtrans.roles.compare import Compare
from backtrans.serving import answers, engine_settings, same_base, serving


@dataclass(frozen=True, slots=True)
class Contest:
    """What was compared, and what came of each pair."""

    candidate: str
    reference: str
    judge: str
    models: dict[str, str]  # of the judge, and of the candidate where it wrote now: by content
    roles: tuple[str, ...]
    judged: list[tuple[Pair, Verdict | Reject]]
    usage: dict[str, Usage]  # what each model's answers cost


def hold(evaluation: Evaluation, say: Callable[[str], None]) -> Contest:
    """Hold a contest. Raises: ConfigError, InputError, ModelError, EngineDead."""
    candidate, judge = evaluation.candidate, evaluation.judge.model
    reference = read_outputs(Path(evaluation.reference.outputs))
    instructions = (
        read_instructions(Path(evaluation.instructions)) if evaluation.instructions else None
    )
    if candidate.outputs is not None:
        ours = read_outputs(Path(candidate.outputs))
    else:
        assert candidate.model is not None
        asked = instructions.rows if instructions else reference.rows
        ours = Outputs("the candidate", model_name(candidate.model), _unanswered(asked))
    pairs = paired(ours, reference, instructions)
    models = {"judge": judge} | ({"candidate": candidate.model} if candidate.model else {})
    identities = {name: model_identity(model) for name, model in models.items()}
    roles, usage = [Compare().version], dict[str, Usage]()
    refused: dict[str, Verdict | Reject] = {}
    with ExitStack() as shared:
        engine: Engine | None = None
        if candidate.model is not None:
            if same_base(candidate.model, judge):
                settings = engine_settings(models, evaluation.engine)
                engine = shared.enter_context(serving(settings))
            say(f"{ours.generator} answers {len(pairs):,} instruction(s)")
            pairs, refused, usage["candidate"] = _answered(
                evaluation, candidate.model, pairs, engine
            )
            roles.append(Answer(Generate(1)).version)
        say(f"{model_name(judge)} judges {len(pairs):,} pair(s), each in both orders")
        judged, usage["judge"] = _judged(evaluation, pairs, refused, engine)
    return Contest(
        candidate=candidate.name or ours.generator,
        reference=evaluation.reference.name or reference.generator,
        judge=model_name(judge),
        models=identities,
        roles=tuple(sorted(roles)),
        judged=judged,
        usage=usage,
    )


def _unanswered(asked: tuple[Instruction, ...] | tuple[Output, ...]) -> tuple[Output, ...]:
    return tuple(Output(each.row, each.dataset, each.instruction, "") for each in asked)


def _answered(
    evaluation: Evaluation, model: Model, pairs: list[Pair], engine: Engine | None
) -> tuple[list[Pair], dict[str, Verdict | Reject], Usage]:
    """Let the candidate answer; a refused instruction leaves its pair without a verdict."""
    candidate, tally, began = evaluation.candidate, Tally(), time.monotonic()
    chosen = candidate.sampling
    sampling = Generate(chosen.max_tokens, chosen.temperature, chosen.top_p)
    role = Answer(sampling, candidate.tag, "candidate" if model.adapter else None)
    rows: list[Row] = [{"id": pair.id, "instruction": pair.instruction} for pair in pairs]
    with ExitStack() as stack:
        if engine is None:
            settings = engine_settings({"candidate": model}, evaluation.engine)
            engine = stack.enter_context(serving(settings))
        found = answers(engine, role, rows, tally)
    refused: dict[str, Verdict | Reject] = {}
    done = []
    for pair, fields in zip(pairs, found, strict=True):
        if isinstance(fields, Reject):
            refused[pair.id] = fields
        else:
            pair = replace(pair, candidate=replace(pair.candidate, **fields))
        done.append(pair)
    return done, refused, tally.usage(time.monotonic() - began)


def _judged(
    evaluation: Evaluation,
    pairs: list[Pair],
    refused: dict[str, Verdict | Reject],
    engine: Engine | None,
) -> tuple[list[tuple[Pair, Verdict | Reject]], Usage]:
    """Judge what was answered and needs a judge; no engine is opened where nothing does."""
    judge, tally, began = evaluation.judge, Tally(), time.monotonic()
    role = Compare("judge" if judge.model.adapter else None)
    decided = dict(refused)
    for pair in pairs:
        if pair.id not in decided and (known := without_judge(pair)) is not None:
            decided[pair.id] = known
    rows: list[Row] = [
        {
            "id": pair.id,
            "instruction": pair.instruction,
            "one": pair.candidate.output,
            "other": pair.reference.output,
        }
        for pair in pairs
        if pair.id not in decided
    ]
    if rows:
        with ExitStack() as stack:
            if engine is None:
                settings = engine_settings({"judge": judge.model}, evaluation.engine)
                engine = stack.enter_context(serving(settings))
            found = answers(engine, role, rows, tally)
        for row, fields in zip(rows, found, strict=True):
            decided[row["id"]] = verdict(fields, judge.tie_margin)
    judged = [(pair, decided[pair.id]) for pair in pairs]
    return judged, tally.usage(time.monotonic() - began)
