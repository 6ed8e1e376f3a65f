"""Ends child processes with this one, however this one ends.

A vLLM engine core waits for ever for a parent that was killed (0.32): it would keep its memory, and
a GPU's. A small process of its own holds the other end of a pipe; when the pipe closes without a
word, it kills the children. Processes are held by pidfd, so a number used anew is never killed.

Does not know: what the children are. Linux only, as vLLM is.
"""

import subprocess
import sys
from collections.abc import Sequence

_WATCH = """
import os, signal, sys
held = []
for pid in sys.argv[1:]:
    try:
        held.append(os.pidfd_open(int(pid)))
    except ProcessLookupError:
        pass
os.write(1, b"held")
if not os.read(0, 1):
    for child in held:
        try:
            signal.pidfd_send_signal(child, signal.SIGKILL)
        except ProcessLookupError:
            pass
"""


class Lifeline:
    """Children that die with this process, until it is cut."""

    def __init__(self, pids: Sequence[int]) -> None:
        """Tie the processes to this one; they are held when this returns."""
        # A session of its own: an interrupt from the terminal must not end it first.
        self._watch = subprocess.Popen(
            [sys.executable, "-ISc", _WATCH, *map(str, pids)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._watch.stdin is not None
        assert self._watch.stdout is not None
        self._word = self._watch.stdin
        with self._watch.stdout as ready:
            ready.read(4)

    def cut(self) -> None:
        """Let the children live on; may be called twice."""
        if self._word.closed:
            return
        try:
            with self._word:
                self._word.write(b".")
        except BrokenPipeError:  # somebody ended the watch: nothing is tied any more
            return
        finally:
            self._watch.wait()
