"""A training's worker that goes no further than its first checkpoint, and so is there to be killed.

python -m tests.training.halting, as python -m backtrans.training.sft
"""

import threading
from typing import Any

from backtrans.training import sft

_complete = sft.Room.complete


def _complete_and_halt(room: sft.Room, *arguments: Any) -> None:
    _complete(room, *arguments)
    threading.Event().wait()


if __name__ == "__main__":
    sft.Room.complete = _complete_and_halt  # type: ignore[method-assign]
    sft.main()
