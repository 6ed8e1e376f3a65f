"""What a log says of a phase."""

import io

from rich.console import Console

from backtrans.entries import Commit, Usage
from backtrans.progress import Shown
from backtrans.records import Counts
from backtrans.work import Address, Receipt


def said(rows: int | None, tokens: int = 0, terminal: bool = False) -> str:
    """Show a phase of one address, which took six seconds."""
    written, now = io.StringIO(), [0.0]
    console = Console(file=written, force_terminal=terminal, width=200)
    shown = Shown(console, clock=lambda: now[0])
    shown.phase("score", 1)
    now[0] = 6.0
    commits: list[Commit] = []
    if rows is not None:
        counts, usage = Counts(rows, rows, {}), Usage(prompt_tokens=tokens)
        commits = [Commit("score", "k1", "s1", "a", 0, "p1", counts, usage)]
    shown.receipt(Receipt(Address("k1", "s1", "a"), "done", tuple(commits), len(commits)))
    shown.close()
    return written.getvalue()


def test_a_phase_with_rows_and_tokens_says_how_fast_both_went() -> None:
    assert "score: 1 of 1, 10 rows/s, 200 tokens/s, 6 s in all" in said(60, 1_200)
    assert "score: 1 of 1, 0.5 rows/s, 6 s in all" in said(3)


def test_a_phase_that_passes_no_rows_on_has_no_rate() -> None:
    assert said(None) == "score: 1 to do\nscore: 1 of 1, 6 s in all\n"
    assert said(0) == said(None)
    assert "rows/s" not in said(None, terminal=True)
    assert "rows/s" in said(60, terminal=True)
