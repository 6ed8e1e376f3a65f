"""The command line: a command for each thing that people ask of a job (`backtrans --help`).

Exit codes:
    0  done (for `run`: at least min_complete of the shards reached the end)
    1  something failed: an input, the store, a model; the last line says what
    2  the command or the configuration is wrong
    3  fewer shards than min_complete reached the end; a later run goes on from there
    4  what the run may cost (placement.budget) is spent; a later run goes on from there
  130  interrupted; a later run goes on from there
  143  stopped by SIGTERM, as schedulers and vanishing machines do; a later run goes on from there

Environment variables are read here and in jobs/, and nowhere else.
"""

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from backtrans import __version__
from backtrans.commands import calibrating, keeping, learning, measuring, operating, showing
from backtrans.commands.learning import opened_rounds
from backtrans.commands.showing import SAMPLE_ROWS, GpuName, show_status
from backtrans.commands.terminal import ConfigPath, Log, opened, out, say, tell_failure
from backtrans.errors import BacktransError, BudgetSpent, ConfigError, RunIncomplete
from backtrans.gpus import gpu_of
from backtrans.progress import Shown

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Instruction backtranslation as a resumable, distributed job.",
)


app.add_typer(showing.app)
app.add_typer(keeping.app)
app.add_typer(learning.app)
app.add_typer(measuring.app)
app.add_typer(calibrating.app, name="calibrate")
app.add_typer(operating.app)


@app.command()
def run(
    config: ConfigPath,
    retry_rejects: Annotated[
        list[str] | None,
        typer.Option(metavar="REASON", help="Do rows again that were refused for it; repeatable."),
    ] = None,
    rounds: Annotated[
        int | None,
        typer.Option(min=1, help="So often: score, curate, train the forward model on A5."),
    ] = None,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Estimate first, as plan does; status compares.")
    ] = False,
    gpu: GpuName = None,
    log: Log = None,
) -> None:
    """Do what is pending, and publish the splits. Run it again at any time."""
    if rounds and retry_rejects:
        raise ConfigError("--rounds and --retry-rejects: one at a time")
    if rounds and estimate:
        raise ConfigError("--rounds and --estimate: one at a time")
    console, pipeline = out(), opened(config)
    found = None
    if estimate:
        found = pipeline.estimate(SAMPLE_ROWS, gpu_of(gpu) if gpu else None)
        for line in found.lines():
            say(line)
    shown = Shown(console)
    try:
        if rounds:
            summary, pipeline = opened_rounds(config).run(rounds, shown)
        else:
            summary = pipeline.run(shown, retry_rejects or (), estimate=found)
    finally:
        shown.close()
    show_status(console, pipeline.status())
    made = ", ".join(f"{stage} {count:,}" for stage, count in summary.made.items()) or "nothing"
    console.print(f"run {summary.run}: computed {made}; {summary.seconds:,.1f} s", markup=False)
    say(f"look at it: backtrans report {config}; what was refused: backtrans rejects {config}")


@app.command()
def demo(
    folder: Annotated[Path, typer.Option(help="Where everything goes.")] = Path("demo"),
    documents: Annotated[int, typer.Option(help="Web documents to generate.", min=20)] = 800,
) -> None:
    """Run the whole job in a small generated world, with real models, and check it by the truth."""
    from backtrans.demo import run_demo

    run_demo(folder, documents, out())


@app.callback(invoke_without_command=True)
def _main(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        out().print(__version__)
        raise typer.Exit
    # Ray's core says of every pool of restartable actors that its arguments might be lost; they are
    # held for as long as the pool is. What fails in earnest is raised, and does not depend on this.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    if not sys.stdout.isatty():
        # Ray colours the lines that it relays from its workers, unless it is told not to.
        os.environ.setdefault("RAY_COLOR_PREFIX", "0")


_INTERRUPTED = 130

_terminated = threading.Event()


def _stop(*_: object) -> NoReturn:
    # Once: what is closed on the way out is not to be cut short by a second signal.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _terminated.set()
    # Of all that a signal may raise, Ray's core passes on this and SystemExit, and drops the rest.
    raise KeyboardInterrupt


def main() -> NoReturn:
    """Run the command line; turn every error of ours into one line and an exit code."""
    signal.signal(signal.SIGTERM, _stop)
    try:
        app(standalone_mode=True)
    except ConfigError as error:
        _fail(str(error), 2)
    except RunIncomplete as error:
        _fail(str(error), 3)
    except BudgetSpent as error:
        _fail(str(error), 4)
    except BacktransError as error:
        _fail(str(error), 1)
    except (KeyboardInterrupt, SystemExit) as end:
        if _terminated.is_set():
            _fail("stopped by SIGTERM; run it again to go on", 143)
        if isinstance(end, KeyboardInterrupt) or end.code == _INTERRUPTED:  # typer's, of the other
            _fail("interrupted; run it again to go on", _INTERRUPTED)
        raise
    sys.exit(0)


def _fail(message: str, code: int) -> NoReturn:
    tell_failure(message, code)
    sys.exit(code)
