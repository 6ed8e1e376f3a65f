"""The commands that operate a job: doctor, what a run needs and whether it is there."""

import typer

from backtrans.config import load
from backtrans.errors import BacktransError
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
