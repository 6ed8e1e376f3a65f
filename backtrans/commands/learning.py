"""The commands that train: train, and rounds, which compares what each model kept."""

import json
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE
from rich.table import Column, Table

from backtrans.commands.terminal import ConfigPath, Log, opened, out
from backtrans.progress import Shown
from backtrans.refused import harmless
from backtrans.rounds import Round, Rounds, Sample
from backtrans.trained import ROLES

app = typer.Typer()


class Role(StrEnum):
    """Whose model is trained."""

    backward = "backward"
    forward = "forward"


@app.command()
def train(
    config: ConfigPath,
    role: Annotated[Role | None, typer.Argument(help="One of the two; else both.")] = None,
    log: Log = None,
) -> None:
    """Train the models that CONFIG trains and that are missing; say what they are."""
    console, pipeline = out(), opened(config)
    shown = Shown(console)
    try:
        models = pipeline.train(shown, [role.value] if role else ROLES)
    finally:
        shown.close()
    for model in models:
        metrics = model.metrics
        console.print(
            f"{model.role}: {model.kind} on {model.base_name}, {metrics.steps:,} steps,"
            f" {metrics.tokens:,} tokens, {metrics.seconds:,.0f} s",
            markup=False,
        )
        for name, count in model.data.items():
            console.print(f"  {count:>8,}  {name}", markup=False)
        console.print(f"  loss {metrics.loss[0]:.3f} -> {metrics.loss[-1]:.3f}", markup=False)
        console.print(f"  {pipeline.resolved.trained.where(model)}", markup=False)


@app.command("rounds")
def compare_rounds(
    config: ConfigPath,
    as_json: Annotated[bool, typer.Option("--json", help="A round a line.")] = False,
) -> None:
    """Compare the rounds of CONFIG: what each kept, gained and lost, and samples of these."""
    console = out()
    found = []
    for each in opened_rounds(config).compared():
        found.append(each)
        if as_json:
            console.print(json.dumps(asdict(each), ensure_ascii=False), markup=False)
    if as_json:
        return
    if not found:
        console.print("no round yet: backtrans run CONFIG --rounds N", markup=False)
        return
    console.print(_table(found))
    for each in found:
        for name, samples in (("gained", each.gains), ("lost", each.losses)):
            for sample in samples:
                console.print(_sample(each.number, name, sample), markup=False)


def opened_rounds(path: Path) -> Rounds:
    """Return the rounds of a configuration. Raises: ConfigError."""
    return Rounds(opened(path))


def _table(rounds: list[Round]) -> Table:
    model = Column("model", no_wrap=True)
    table = Table("round", model, "learnt", "pairs", "A4", "A5", box=SIMPLE, pad_edge=False)
    for name in ("gained", "lost", "agrees", "r"):
        table.add_column(name)
    for each in rounds:
        table.add_row(
            str(each.number),
            each.model[:12],
            _count(each.trained_on),
            _count(each.pairs),
            _count(each.a4),
            _count(each.a5),
            _count(each.gained),
            _count(each.lost),
            "" if each.agreement is None else f"{each.agreement:.1%}",
            "" if each.correlation is None else f"{each.correlation:.3f}",
        )
    return table


def _sample(number: int, name: str, sample: Sample) -> str:
    scores = f"{sample.before:.2f} -> {sample.after:.2f}"
    return f"round {number} {name:6} {scores}  {sample.id}  {harmless(sample.instruction)[:80]}"


def _count(count: int | None) -> str:
    return "" if count is None else f"{count:,}"
