"""The commands that operate a job: doctor, what a run needs; fit, how a model lies on GPUs."""

from pathlib import Path
from typing import Annotated

import typer

from backtrans.config import load
from backtrans.engines.model_shape import shape_of
from backtrans.errors import BacktransError
from backtrans.fitting import Weights, fit
from backtrans.gpus import gpu_of
from backtrans.refused import harmless
from backtrans.terminal import ConfigPath, environment, say

app = typer.Typer()

_MARKS = {"good": "ok", "doubtful": "??", "bad": "NO"}


@app.command()
def doctor(config: ConfigPath) -> None:
    """Look whether all is there that a run needs, and try the store; say what to do."""
    from backtrans.doctor import findings

    bad = 0
    for finding in findings(load(config), environment()):
        bad += finding.state == "bad"
        say(f"{_MARKS[finding.state]}  {finding.check}: {harmless(finding.found)}")
        if finding.mend:
            say(f"      {finding.mend}")
    if bad:
        raise BacktransError(f"{bad} thing(s) that a run needs are not as they must be")


@app.command("fit")
def fit_model(
    model: Annotated[Path, typer.Argument(help="A model's folder, or its config.json alone.")],
    gpus: Annotated[int, typer.Option(min=1, help="How many there are.")],
    gpu: Annotated[str, typer.Option(help="Of which kind: H100, H200, A100, L40S...")] = "H100",
    max_model_tokens: Annotated[int, typer.Option(min=16, help="As recipe.models has it.")] = 4096,
    weights: Annotated[Weights | None, typer.Option(help="bf16 where it fits.")] = None,
) -> None:
    """Say how a model fits on GPUs: how far it is split, how many replicas, and why."""
    shape, kind = shape_of(model), gpu_of(gpu)
    found = fit(shape, kind, gpus, max_model_tokens, weights)
    active = f" ({shape.active / 1e9:,.1f} B active)" if shape.has_experts else ""
    say(f"{model}: {shape.parameters / 1e9:,.1f} B parameters{active}; {found.weights} weights")
    for line in found.lines(kind):
        say(f"  {line}")
    if found.weights == "fp8" and shape.weight_bytes > 1:
        say("  bf16 does not do: name a checkpoint in FP8 as the model's path")
    say(found.yaml())
