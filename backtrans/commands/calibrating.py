"""The commands of a calibration: export pairs, label them, report on the labels, fit a selector."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from backtrans.commands.terminal import opened, out, say
from backtrans.errors import ConfigError
from backtrans.export import write_json

if TYPE_CHECKING:
    from backtrans.calibration.labels import Labels

app = typer.Typer(no_args_is_help=True, help="Say how far the judge's score can be believed.")

LabelsPath = Annotated[Path, typer.Argument(help="The sheet.", metavar="LABELS")]
ScoresPath = Annotated[
    Path | None,
    typer.Option("--scores", help="What export wrote beside the sheet, where it lies elsewhere."),
]
GoodFrom = Annotated[
    int, typer.Option(min=2, max=5, help="The lowest label that is good, of labels 1 to 5.")
]
Seed = Annotated[int, typer.Option(help="Of every draw.", min=0)]


@app.command()
def export(
    scored: Annotated[
        Path,
        typer.Argument(help="A run's YAML file, or a file or folder of pairs.", metavar="SCORED"),
    ],
    to: Annotated[Path, typer.Option("--out", help="The sheet to write: labels.csv.")],
    pairs: Annotated[int, typer.Option(help="How many.", min=1)] = 200,
    seed: Seed = 0,
    show_scores: Annotated[
        bool, typer.Option(help="A column with the score; who sees it labels by it.")
    ] = False,
) -> None:
    """Draw pairs to label, from strata of the score, into a sheet."""
    from backtrans.calibration.labels import write_sample
    from backtrans.calibration.pool import read_scored, scored_of
    from backtrans.calibration.sample import draw

    if scored.suffix in (".yaml", ".yml"):
        pipeline = opened(scored)
        sample = draw(scored_of(pipeline.ledger, pipeline.standing()), pairs, seed)
    else:
        sample = draw(read_scored(scored), pairs, seed)
    if not sample.pairs:
        raise ConfigError(f"{scored}: holds no pair with a score")
    beside = write_sample(sample, to, source=str(scored), seed=seed, show_scores=show_scores)
    for stratum in sample.strata:
        say(
            f"score {stratum.low:g} to {stratum.high:g}: {stratum.sampled:,} of"
            f" {stratum.population:,} pair(s)"
        )
    for count, what in ((sample.unscored, "have no score"), (sample.copies, "are copies")):
        if count:
            say(f"{count:,} pair(s) {what}: passed over")
    say(f"{to}: {len(sample.pairs):,} pair(s) to label; {beside}: their scores")


@app.command()
def label(labels: LabelsPath) -> None:
    """Label the sheet's pairs here, one key a label; the same command goes on."""
    from backtrans.calibration.labelling import keyboard
    from backtrans.calibration.labelling import label as ask
    from backtrans.calibration.labels import read_sheet

    sheet = read_sheet(labels)
    with keyboard() as read_key:
        labelled = ask(sheet, read_key, Console(highlight=False))
    say(f"{labels}: {labelled:,} of {len(sheet.rows):,} pair(s) have a label")


@app.command()
def report(
    labels: LabelsPath,
    scores: ScoresPath = None,
    good_from: GoodFrom = 4,
    selector: Annotated[
        Path | None,
        typer.Option(help="Report on it too, by labels that it has not seen."),
    ] = None,
    seed: Seed = 0,
    json: Annotated[
        Path | None, typer.Option("--json", help="Write everything to this file.")
    ] = None,
) -> None:
    """Say what the labels say of each signal: precision, recall, AUC, reliability."""
    from backtrans.calibration.account import account
    from backtrans.calibration.tables import document, lines, tables
    from backtrans.config import SelectorFile, checked

    one = checked(selector, SelectorFile).selector if selector else None
    found = account(_read(labels, scores), good_from=good_from, seed=seed, selector=one)
    for line in lines(found):
        say(line)
    for table in tables(found):
        out().print(table)
    if json is not None:
        write_json(json, document(found, str(labels)))


@app.command()
def fit(
    labels: LabelsPath,
    to: Annotated[Path, typer.Option("--out", help="The selector to write: selector.yaml.")],
    precision: Annotated[float, typer.Option(help="Of A5.")] = 0.9,
    a4_precision: Annotated[float, typer.Option(help="Of A4; A5's, where that is lower.")] = 0.8,
    feature: Annotated[
        list[str] | None,
        typer.Option(help="What to read of a judgement; repeatable. One alone: a threshold of it."),
    ] = None,
    sure: Annotated[
        bool,
        typer.Option(help="Precisions that are reached with 95% confidence, not in expectation."),
    ] = False,
    scores: ScoresPath = None,
    good_from: GoodFrom = 4,
    seed: Seed = 0,
) -> None:
    """Fit a selector to the labels, for a recipe's curate.selector."""
    from backtrans.calibration.fit import Asked, known
    from backtrans.calibration.fit import fit as fitted
    from backtrans.calibration.tables import promised, write_selector

    asked, features = Asked(precision, min(a4_precision, precision), sure), known(feature or ())
    pairs = _read(labels, scores)
    found = fitted(pairs, asked, features=features, good_from=good_from, seed=seed)
    for line in promised(found):
        say(line)
    write_selector(found, to)
    say(f"{to}: in a recipe, curate: {{selector: {to.name}}}")


def _read(labels: Path, scores: Path | None) -> "Labels":
    from backtrans.calibration.labels import read_labels

    return read_labels(labels, scores)
