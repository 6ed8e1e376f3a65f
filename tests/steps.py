"""How much work a call does, counted: no loaded machine makes it more."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def steps(call: Callable[[], object]) -> int:
    """Count the lines of Python that a call executes; what runs in C is none."""
    lines = 0

    def count(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        call()
    finally:
        sys.settrace(before)
    return lines


class Sliced(str):
    """A text that counts the characters taken out of it."""

    __slots__ = ("taken_chars",)

    def __init__(self, text: str) -> None:
        self.taken_chars = 0

    def __getitem__(self, key: Any) -> str:
        piece = super().__getitem__(key)
        self.taken_chars += len(piece)
        return piece
