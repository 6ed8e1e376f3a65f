"""The command that shows what was made: report."""

from pathlib import Path
from typing import Annotated

import typer

from backtrans.errors import ConfigError
from backtrans.export import whole_file
from backtrans.pipeline import EVERY_STAGE
from backtrans.snapshots import latest, numbered
from backtrans.terminal import ConfigPath, opened, say

app = typer.Typer()


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
