"""The commands that operate a job: doctor, what a run needs; fit, how a model lies on GPUs; submit,
a job sent to a cluster.
"""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from backtrans.commands.terminal import ConfigPath, environment, say
from backtrans.config import load
from backtrans.engines.model_shape import shape_of
from backtrans.errors import BacktransError
from backtrans.fitting import Weights, fit
from backtrans.gpus import gpu_of
from backtrans.refused import harmless
from backtrans.runtime.submission import JobServer, check_server
from backtrans.submitting import JOBS, submission

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


@app.command()
def submit(
    config: ConfigPath,
    address: Annotated[str, typer.Option(help="The job server: http://HOST:8265.")],
    arguments: Annotated[
        list[str] | None, typer.Argument(help="After --: what the job's command takes.")
    ] = None,
    job: Annotated[str, typer.Option(help=f"One of: {', '.join(JOBS)}.")] = "curate",
    follow: Annotated[
        bool, typer.Option(help="Show its log, and end as it ends; else return at once.")
    ] = True,
    pip: Annotated[
        list[str] | None,
        typer.Option(help="Install this there first; repeatable. Else nothing is installed."),
    ] = None,
    submission_id: Annotated[
        str | None,
        typer.Option(help="The job's name, such as a schedule's date: what succeeded is done."),
    ] = None,
) -> None:
    """Send CONFIG as a job to a Ray cluster. One that is under way already is joined."""
    check_server(address, environment())
    with submission(config, job, arguments or (), pip or (), submission_id) as sent:
        server = JobServer(address)
        name, new = server.submit(sent, once=submission_id is not None)
        say(f"{name}: {'submitted' if new else 'there already; not started again'}")
    again = shlex.join(["ray", "job", "stop", name, "--address", address])
    if not follow:
        say(f"to stop it: {again}")
        return
    try:
        code = server.follow(name, _write)
    except KeyboardInterrupt:
        say(f"\nno longer followed; the job goes on. To stop it: {again}")
        raise
    say(f"{name}: ended with {code}")
    raise typer.Exit(code)


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
