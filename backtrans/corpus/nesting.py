"""Write blocks of Markdown behind the marks of the lists and the quotes in which they stand.

Promises: blocks come apart by a blank line, but for the items of a list; a quote's marks are on
all its lines, and on the blank ones between two of its blocks.

Does not know: HTML, what a block says.
"""

# Source: a reader sees no deeper; each level is repeated before every line below it.
MAX_INDENTED = 10


class _Container:
    """A list item or a quote: what stands before its first line, and before its others."""

    __slots__ = ("first", "quotes", "rest")

    def __init__(self, quotes: bool, first: str, rest: str) -> None:
        self.quotes, self.rest = quotes, rest
        self.first: str | None = first  # None once it is written


class Nesting:
    """The text as it is written, and the lists, items and quotes that are open."""

    __slots__ = ("_containers", "_listed", "_lists", "_quoted", "_rest", "written")

    def __init__(self) -> None:
        self.written: list[str] = []
        self._containers: list[_Container] = []
        self._lists: list[int] = []  # the number of the last item, negative where there are none
        self._rest = ""  # what stood before the lines of what was written last
        self._quoted = self._listed = False  # whether what was written last is in one still open

    def begin_list(self, start: int | None) -> None:
        """Open a list; its first item has the number `start`, or none of them has one."""
        self._lists.append(-1 if start is None else start - 1)

    def end_list(self) -> None:
        if self._lists:
            self._lists.pop()
        self._listed = self._listed and bool(self._lists)

    def begin_item(self, numbered: bool) -> None:
        """Open an item, which is numbered where its list is."""
        mark = "- "
        if numbered and self._lists and self._lists[-1] >= 0:
            self._lists[-1] += 1
            mark = f"{self._lists[-1]}. "
        self._containers.append(_Container(False, mark, " " * len(mark)))

    def begin_quote(self) -> None:
        self._containers.append(_Container(True, "> ", "> "))

    def end_container(self) -> None:
        """Close the item or the quote that was opened last."""
        if self._containers and self._containers.pop().quotes:
            self._quoted = self._in_quote()

    def leave_lists(self) -> bool:
        """Write what follows in the open items at the start of its line, unless it is quoted.

        Return whether it is not.
        """
        if self._in_quote():
            return False
        for container in self._containers[:MAX_INDENTED]:
            container.first, container.rest = None, ""
        return True

    def put(self, lines: list[str]) -> None:
        """Write a block's lines behind what its containers put before them."""
        if not self._containers:
            if self.written:
                self.written.append("\n\n")
            self._quoted = self._listed = False
            self.written.append("\n".join(lines) if len(lines) > 1 else lines[0])
            return
        shown = self._containers[:MAX_INDENTED]
        rest = "".join([container.rest for container in shown])
        marked = not shown[-1].quotes and shown[-1].first is not None
        first = "".join([c.rest if c.first is None else c.first for c in shown])
        if self.written:
            blank = f"{_shared(rest, self._rest).rstrip()}\n" if self._quoted else "\n"
            self.written.append("\n" if marked and self._listed else f"\n{blank}")
        self._rest = rest
        self._quoted = self._listed = False
        for container in shown:
            container.first = None
            self._quoted |= container.quotes
            self._listed |= not container.quotes
        self.written.append(first + lines[0] if lines[0] else first.rstrip())
        for line in lines[1:]:
            self.written.append(f"\n{rest}{line}" if line else f"\n{rest.rstrip()}")

    def _in_quote(self) -> bool:
        return any(container.quotes for container in self._containers[:MAX_INDENTED])


def _shared(one: str, other: str) -> str:
    """Return what two prefixes have in common from their start."""
    return next(
        (one[:at] for at in range(len(one)) if not other.startswith(one[: at + 1])),
        one,
    )
