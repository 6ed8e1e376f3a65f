"""The commands that show a job and touch nothing of it: validate, plan, status, rejects, report.

Besides these contamination, which counts rejects by evaluation set, and schema, a file's.
"""

import json
import sys
from collections import Counter
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from backtrans.accounts import Plan, Status
from backtrans.advice import advice
from backtrans.commands.terminal import ConfigPath, opened, out, say
from backtrans.config import Config
from backtrans.costs import figure
from backtrans.errors import ConfigError
from backtrans.export import whole_file
from backtrans.gpus import gpu_of
from backtrans.pipeline import EVERY_STAGE
from backtrans.refused import harmless, line
from backtrans.snapshots import latest, numbered

app = typer.Typer()

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
    show_status(out(), pipeline.status())
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
def report(
    config: ConfigPath,
    to: Annotated[Path, typer.Option("--out", help="The page to write.")] = Path("report.html"),
    snapshot: Annotated[int | None, typer.Option(help="Its number; else the latest.")] = None,
    samples: Annotated[
        int, typer.Option(help="Rows of each split, and of each reason.", min=0, max=1000)
    ] = 25,
    seed: Annotated[int, typer.Option(help="Of every draw.", min=0)] = 0,
    calibration: Annotated[
        Path | None, typer.Option(help="What calibrate report --json wrote, to be shown too.")
    ] = None,
    audit: Annotated[
        Path | None, typer.Option(help="What audit --json wrote, to be shown too.")
    ] = None,
) -> None:
    """Write a snapshot as one HTML page: the funnel, rejects, scores, cost, changes, samples."""
    from backtrans.report.page import page
    from backtrans.reporting import gather

    pipeline = opened(config)
    ledger = pipeline.ledger
    chosen = latest(ledger) if snapshot is None else numbered(ledger, snapshot)
    if chosen is None:
        raise ConfigError(f"{config}: no snapshot published yet: there is nothing to report on")
    found = gather(
        ledger,
        pipeline.journal,
        chosen,
        {stage.name: stage.does for stage in EVERY_STAGE},
        samples=samples,
        seed=seed,
        calibration=calibration,
        audit=audit,
    )
    written = page(found)
    try:
        with whole_file(to) as file:
            file.write(written)
    except OSError as error:
        raise ConfigError(f"{to}: cannot be written: {error.strerror or error}") from error
    shown = sum(len(group.samples) for group in found.groups)
    say(f"{to}: snapshot {chosen.number}, {shown:,} samples, {len(written) / 1e6:,.1f} MB")


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


def show_status(console: Console, status: Status) -> None:
    """Write where each stage stands, what it cost, and where the splits are."""
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
