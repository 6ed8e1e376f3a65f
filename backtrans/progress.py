"""How a run is shown: a live bar on a terminal, plain lines where there is none.

Promises: without a terminal no control code is written, and a line comes at most every few seconds
and at the end of each phase, so that a log stays readable. Rates are since the phase began; a phase
that passes no rows on has none.

Does not know: what the stages do; it counts receipts.
"""

import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from backtrans.work import Receipt

LINE_EVERY_SECONDS = 5.0


class Shown:
    """An observer that writes to a console."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._bar: Progress | None = None
        self._name = ""
        self._total = self._done = self._rows = self._tokens = 0
        self._began = self._last_line = 0.0

    def note(self, line: str) -> None:
        """Print a line as it is."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def phase(self, name: str, addresses: int) -> None:
        """Begin a phase of so many addresses."""
        self.close()
        self._name, self._total = name, addresses
        self._done = self._rows = self._tokens = 0
        self._began = self._last_line = self._clock()
        if self._console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.completed}/{task.total} {task.fields[rates]}"),
                TimeRemainingColumn(),
                console=self._console,
            )
            self._bar.start()
            self._bar.add_task(name, total=addresses, rates="")
        else:
            self.note(f"{name}: {addresses:,} to do")

    def receipt(self, receipt: Receipt) -> None:
        """Count one address; say at once if it was given up."""
        self._done += 1
        made = receipt.commits[len(receipt.commits) - receipt.made :]
        self._rows += sum(commit.counts.rows_in for commit in made)
        self._tokens += sum(c.usage.prompt_tokens + c.usage.output_tokens for c in made)
        if receipt.outcome == "quarantined":
            self.note(
                f"gave up {receipt.address.name} after {receipt.attempts} attempts: {receipt.error}"
            )
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=self._done, rates=self._rates())
        elif self._done == self._total or self._clock() - self._last_line >= LINE_EVERY_SECONDS:
            self._last_line = self._clock()
            said = (f"{self._done:,} of {self._total:,}", self._rates(), self._eta())
            self.note(f"{self._name}: {', '.join(filter(None, said))}")

    def close(self) -> None:
        """End the phase's bar, if there is one."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _elapsed(self) -> float:
        return max(self._clock() - self._began, 1e-9)

    def _rates(self) -> str:
        if not self._rows:
            return ""
        elapsed = self._elapsed()
        rows = self._rows / elapsed
        rates = f"{rows:,.0f} rows/s" if rows >= 10 else f"{rows:.1f} rows/s"
        return f"{rates}, {self._tokens / elapsed:,.0f} tokens/s" if self._tokens else rates

    def _eta(self) -> str:
        if self._done == self._total:
            return f"{self._elapsed():,.0f} s in all"
        left = self._elapsed() / self._done * (self._total - self._done)
        return f"about {left:,.0f} s left"
