"""The commands that measure: evaluate, which asks how good a model's answers are; analyze, what a
set of pairs is like.
"""

from pathlib import Path
from typing import Annotated

import typer

from backtrans.errors import RunIncomplete
from backtrans.records import Reject
from backtrans.terminal import out, say

app = typer.Typer()


@app.command()
def evaluate(
    file: Annotated[Path, typer.Argument(help="The evaluation's YAML file.", metavar="FILE")],
    json: Annotated[
        Path | None, typer.Option("--json", help="Write everything, every pair too, to this file.")
    ] = None,
) -> None:
    """Compare outputs with a reference's, judged in both orders: win rates and their intervals."""
    from backtrans.evaluation.contest import hold
    from backtrans.evaluation.result import document, tables, write_json
    from backtrans.evaluation.settings import load_evaluation
    from backtrans.evaluation.win_rate import figures

    evaluation = load_evaluation(file)
    contest = hold(evaluation, say)
    rejects = [each for _, each in contest.judged if isinstance(each, Reject)]
    judged = len(contest.judged) - len(rejects)
    if judged:
        found = figures(contest.judged, seed=evaluation.seed, resamples=evaluation.resamples)
        for table in tables(contest, found):
            out().print(table)
        if json is not None:
            write_json(json, document(evaluation, contest, found))
            say(f"{json}: {len(contest.judged):,} pair(s)")
    if not judged or judged < evaluation.min_judged * len(contest.judged):
        first = f"; the first: {rejects[0].reason}: {rejects[0].detail}" if rejects else ""
        raise RunIncomplete(
            f"{judged:,} of {len(contest.judged):,} pairs were judged, fewer than min_judged"
            f" {evaluation.min_judged:g} asks for{first}"
        )
