"""Label a sheet's pairs at a terminal, one key a label.

    1 to 5, or y and n   the label; the first one decides the scale of the sheet
    s                    skip this pair: it stays without a label, and is not asked about again
    b                    back to the pair before
    q                    quit

Promises: the sheet is saved after every key, so that nothing is lost and the same command goes on;
nothing that a pair holds commands the terminal; scores are not shown.

Does not know: the judge, scores.
"""

import os
import select
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.panel import Panel
from rich.rule import Rule
from rich.text import Text

from backtrans.calibration.labels import SKIPPED, Sheet, rows_to_label, scale_of, unguarded
from backtrans.refused import harmless

KEYS = "1-5 or y/n: the label; s: skip; b: back; q: quit"
TAB_COLUMNS = 4
CONTROL_D = "\x04"
ESCAPE = b"\x1b"

ESCAPE_SECONDS = 0.05
"""How far a key's bytes may be apart. Source: this project's choice: terminals send them at once,
and nobody types that fast."""


def label(sheet: Sheet, read_key: Callable[[], str], console: Console) -> int:
    """Ask about each pair that has no label; return how many labels the sheet then has.

    `read_key` returns one key; an end of input, or an interrupt, is a quit. Raises: InputError for
    a sheet with wrong labels, ConfigError where it cannot be saved.
    """
    waiting = list(rows_to_label(sheet))
    gone_by: list[int] = []
    while waiting:
        row = waiting[0]
        _show(sheet, row, len(sheet.rows) - len(waiting) + 1, console)
        key = _key(read_key)
        while (refused := _refused(sheet, row, key)) is not None:
            console.print(Text(refused, style="red"))
            key = _key(read_key)
        if key == "q":
            break
        if key == "b":
            if gone_by:
                waiting.insert(0, gone_by.pop())
                # It waits again: killed now, it is asked about first.
                sheet.label(waiting[0], "")
        else:
            sheet.label(row, key)
            gone_by.append(waiting.pop(0))
        sheet.save()
    return sum(scale_of(each) is not None for each in sheet.labels())


def _key(read_key: Callable[[], str]) -> str:
    try:
        key = read_key().lower()
    except (EOFError, KeyboardInterrupt):
        return "q"
    return "q" if key == CONTROL_D else key


@contextmanager
def keyboard() -> Iterator[Callable[[], str]]:
    """Lend a reader of single keys from standard input; a terminal is then as it was.

    All the while the terminal shows no key and waits for no line, so what is typed ahead counts.
    """
    source = sys.stdin.fileno()

    def read_key() -> str:
        # Past Python's own buffer, which would wait for a line.
        if not (key := os.read(source, 1)):
            raise EOFError
        if key == ESCAPE:
            key += _after_escape(source)
        return key.decode("ascii", errors="replace")

    if not os.isatty(source):
        yield read_key
        return
    before = termios.tcgetattr(source)
    tty.setcbreak(source, termios.TCSADRAIN)
    try:
        yield read_key
    finally:
        termios.tcsetattr(source, termios.TCSADRAIN, before)


def _after_escape(source: int) -> bytes:
    """Read what a key sends behind an escape: "page up" sends `[5~`, and is no 5.

    Source: ECMA-48, 5.4: after `[` or `O` all up to a byte from @ to ~; Linux's consoles have `[[`.
    """
    found = b""
    while select.select([source], [], [], ESCAPE_SECONDS)[0] and (byte := os.read(source, 1)):
        found += byte
        if found[:1] not in (b"[", b"O") or (
            len(found) > 1 and byte != b"[" and b"@" <= byte <= b"~"
        ):
            break
    return found


def _refused(sheet: Sheet, row: int, key: str) -> str | None:
    """Say why a key is none here; None where it is one."""
    if key in ("b", "q", SKIPPED):
        return None
    if key not in ("y", "n", "1", "2", "3", "4", "5"):
        return KEYS
    others = {scale_of(each) for n, each in enumerate(sheet.labels()) if n != row} - {None}
    if others and scale_of(key) not in others:
        return f"the labels of this sheet are {others.pop()}"
    return None


def _show(sheet: Sheet, row: int, number: int, console: Console) -> None:
    console.print(Rule(Text(f"{number:,} of {len(sheet.rows):,}")))
    for column in ("instruction", "response"):
        text = Text(shown(unguarded(sheet.cell(row, column))))
        console.print(Panel(text, title=column, title_align="left"))
    console.print(Text(KEYS, style="dim"))


def shown(text: str) -> str:
    """Return a text with its lines, in which nothing commands a terminal."""
    lines = text.expandtabs(TAB_COLUMNS).splitlines()
    return "\n".join(harmless(line) for line in lines)
