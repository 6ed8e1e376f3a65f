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

import json
import os
import signal
import sys
import threading
from collections import Counter
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from backtrans import __version__, calibrating, keeping, learning, measuring, operating, showing
from backtrans.accounts import Plan, Status
from backtrans.advice import advice
from backtrans.config import Config
from backtrans.costs import figure
from backtrans.errors import BacktransError, BudgetSpent, ConfigError, RunIncomplete
from backtrans.gpus import gpu_of
from backtrans.learning import opened_rounds
from backtrans.progress import Shown
from backtrans.refused import harmless, line
from backtrans.terminal import ConfigPath, Log, opened, out, say, tell_failure

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Instruction backtranslation as a resumable, distributed job.",
)


SAMPLE_ROWS = 2000
"""Documents of an estimate's sample. Source: this project's choice: seconds to read, and a mean
length is known to some percent."""

SampleRows = Annotated[int, typer.Option(min=1, help="Documents of the estimate's sample.")]
GpuName = Annotated[
    str | None, typer.Option("--gpu", help="For GPU-hours: H100, H200, A100, L40S...")
]


class Form(StrEnum):
    """How a listing is written."""

    table = "table"
    jsonl = "jsonl"


app.add_typer(keeping.app)
app.add_typer(learning.app)
app.add_typer(measuring.app)
app.add_typer(calibrating.app, name="calibrate")
app.add_typer(operating.app)
app.add_typer(showing.app)


@app.command()
def validate(config: ConfigPath) -> None:
    """Read CONFIG, its models and its list of inputs, and say what is wrong with them."""
    pipeline = opened(config)
    objects = pipeline.standing().objects
    models = pipeline.resolved.models
    out().print(f"{config}: valid; {len(objects):,} input object(s)", markup=False)
    for role, model in models.items():
        out().print(f"  {role}: {model}", markup=False)
    for each in advice(pipeline.resolved.playing, pipeline.config.placement):
        say(f"  note: {each.about}: {each.found}: {each.better}")


@app.command()
def plan(
    config: ConfigPath,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Read a sample: tokens, GPU-hours, money.")
    ] = False,
    sample: SampleRows = SAMPLE_ROWS,
    gpu: GpuName = None,
) -> None:
    """Say what a run would do and why; touch nothing."""
    pipeline = opened(config)
    _show_plan(out(), pipeline.plan())
    if estimate:
        for line in pipeline.estimate(sample, gpu_of(gpu) if gpu else None).lines():
            say(line)


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
    _show_status(console, pipeline.status())
    made = ", ".join(f"{stage} {count:,}" for stage, count in summary.made.items()) or "nothing"
    console.print(f"run {summary.run}: computed {made}; {summary.seconds:,.1f} s", markup=False)
    say(f"look at it: backtrans report {config}; what was refused: backtrans rejects {config}")


@app.command()
def status(
    config: ConfigPath,
    ids: Annotated[bool, typer.Option("--ids", help="Count repeated document ids too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Show each stage's rows, the rejects by reason, what it cost, and the splits."""
    pipeline = opened(config)
    if as_json:
        document = pipeline.status().document()
        if ids:
            found = pipeline.repeated_ids()
            names = ("distinct_ids", "repeating_rows", "rows_without_id")
            document["ids"] = {name: getattr(found, name) for name in names}
        sys.stdout.write(json.dumps(document, indent=2, default=str) + "\n")
        return
    _show_status(out(), pipeline.status())
    if ids:
        found = pipeline.repeated_ids()
        out().print(
            f"document ids: {found.distinct_ids:,} distinct; {found.repeating_rows:,} row(s) repeat"
            f" one; {found.rows_without_id:,} row(s) have none",
            markup=False,
        )


@app.command()
def rejects(
    config: ConfigPath,
    stage: Annotated[str | None, typer.Option(help="Of this stage only.")] = None,
    reason: Annotated[
        list[str] | None, typer.Option(help="Refused for it; repeatable; or: quarantined.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="List so many; count all.", min=0)] = None,
    form: Annotated[Form, typer.Option("--format", help="How they are listed.")] = Form.table,
) -> None:
    """List every refused row: stage, reason, object, row, document id and detail. No texts."""
    counts: Counter[str] = Counter()
    for number, refused in enumerate(opened(config).rejects(stage, reason or ())):
        counts[refused.reason] += 1
        if limit is None or number < limit:
            as_json = form == Form.jsonl
            sys.stdout.write((json.dumps(asdict(refused)) if as_json else line(refused)) + "\n")
    # Lines of JSON stay lines of JSON: the sums go beside them.
    sums = sys.stderr if form == Form.jsonl else sys.stdout
    for name, count in counts.most_common():
        sums.write(f"{count:>8,}  {name}\n")
    sums.write(f"{counts.total():>8,}  in all\n")


@app.command()
def contamination(config: ConfigPath) -> None:
    """List the rows of evaluation sets that were found in the corpus, and in how many texts."""
    from backtrans.corpus.contamination import overlaps

    refused = opened(config).rejects(None, ["contaminated"])
    found = overlaps(each.detail for each in refused)
    for (name, row), count in found.most_common():
        sys.stdout.write(f"{count:>8,}  {name} row {row:,}\n")
    sys.stdout.write(f"{found.total():>8,}  in all\n")


@app.command()
def schema() -> None:
    """Print the JSON schema of a configuration, for editors."""
    sys.stdout.write(json.dumps(Config.model_json_schema(), indent=2) + "\n")


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


def _show_plan(console: Console, plan: Plan) -> None:
    shards = f"{plan.shards:,} shard(s) known"
    if plan.unread_objects:
        shards += f"; {plan.unread_objects:,} object(s) not read yet hold more"
    console.print(f"{plan.objects:,} input object(s), {shards}", markup=False)
    for name in plan.duplicate_objects:
        console.print(f"  {name}: the same content as another object; read once", markup=False)
    for change in plan.changes:
        console.print(f"  changed: {change}", markup=False)
    for stage in plan.stages:
        unit = "object(s)" if stage.stage == "select" else "shard(s)"
        why = "; ".join(f"{count:,} {reason}" for reason, count in stage.pending.items())
        pending = sum(stage.pending.values())
        console.print(
            f"{stage.stage:14} {stage.committed:,} {unit} done, {pending:,} pending"
            + (f": {why}" if why else ""),
            markup=False,
        )


def _show_status(console: Console, status: Status) -> None:
    for stage in status.stages:
        console.print(
            f"{stage.stage:14} {stage.shards:,} shard(s): {stage.rows_in:,} rows in,"
            f" {stage.kept:,} kept, {stage.rows_in - stage.kept:,} rejected"
            + (
                f"; {stage.requests:,} requests, {stage.prompt_tokens:,} prompt tokens"
                f" ({stage.cached_tokens:,} cached), {stage.output_tokens:,} written"
                f", {figure(stage.seconds)} engine-seconds"
                + (f"; {stage.money:,.4g} at endpoints' prices" if stage.money else "")
                if stage.requests
                else ""
            )
            + (f"; {stage.attempts:,} attempts" if stage.attempts > stage.shards else ""),
            markup=False,
        )
        for reason, count in stage.rejects.items():
            console.print(f"  {count:>8,}  {reason}", markup=False)
    for each in status.costs.lines():
        console.print(each, markup=False)
    if status.estimate is not None:
        console.print("against the estimate:")
        for each in status.estimate.against(status.stages):
            console.print(each, markup=False)
    for given_up in status.quarantined:
        console.print(f"quarantined in the last run: {harmless(given_up)}", markup=False)
    if status.snapshot is None:
        console.print("no snapshot published yet")
        return
    if not status.is_of_recipe:
        console.print("the splits below are of another recipe, or of a later round")
    for split, files in status.files.items():
        rows = status.snapshot.rows[split]
        console.print(f"{split}: {rows:,} rows in {', '.join(files)}", markup=False)
    if (lake := status.lake) is not None:
        holds = "no table yet" if lake.holds is None else f"snapshot {lake.holds}"
        behind = "" if lake.holds == status.snapshot.number else "; a run brings it up to date"
        console.print(f"lake table {lake.uri}: {holds}{behind}", markup=False)


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
