"""Ends the processes that this one starts, and theirs, with it, however it ends.

A vLLM engine core waits for ever for a parent that was killed (0.32): it would keep its memory, and
a GPU's. Who was whose child is forgotten when a parent dies, so children are marked by what the
kernel hands on when it makes them: a forked one holds the parent's end of a pipe, and one that
executes a program has a variable in its environment. A small process of its own holds the other
end; where the parent ends without a word, it ends whatever bears either mark. It is there before
the first child, so there is no moment at which a child is not tied.

Nor is the watch a child of this process: Ray kills the children of an actor that it ends, but not
theirs, and vLLM's workers, whose parent is the engine core, may then hang for ever (0.32).

Promises: a process without a mark is never ended; those that are ended are held by pidfd meanwhile,
so a number used anew is none.

Does not know: what the children are. Linux only, as vLLM is.
"""

import os
import secrets
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from pathlib import Path

MARK = "BACKTRANS_LIFELINE"
"""The variable that ties a process which executes a program. Its value is one lifeline's own."""

KEEP_ENVIRONMENT = "SPT_NOENV"
"""Source: setproctitle 1.3: unless this is set, a process that names itself, as an engine core
does, writes over what the kernel shows of its environment."""

_QUIET_SECONDS = 1.0
"""How long nothing must bear a mark before the watch ends: for an instant before it executes, a
process bears neither. Source: this project's choice."""

_GRACE_SECONDS = 5.0
"""How long what is tied may take to end by itself when the line is let go. Source: this project's
choice; vLLM's workers take a tenth of a second, or for ever."""

_MAX_SECONDS = 600.0
"""How long the watch goes on against a process that the kernel does not end, as one that waits for
a device. Source: this project's choice."""

_PAUSE_SECONDS = 0.05
_HELD = b"held"

_tying = threading.Lock()


class Lifeline:
    """Ties processes to this one, until it is let go.

    Tied are all that this process forks, and those that it has execute a program in `tying`.
    """

    def __init__(self) -> None:
        """Start the watch; it holds this process when this returns. Raises: OSError."""
        self._mark = secrets.token_hex(16)
        environment = {name: value for name, value in os.environ.items() if name != MARK}
        # A session of its own: an interrupt from the terminal must not end it first.
        starting = subprocess.Popen(
            [sys.executable, "-IS", __file__, str(os.getpid()), self._mark],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            env=environment,
        )
        assert starting.stdin is not None
        assert starting.stdout is not None
        self._word, self._watch = starting.stdin, starting.stdout
        held = self._watch.read(len(_HELD))
        starting.wait()  # it has left the watch behind
        if held != _HELD:
            self._word.close()
            self._watch.close()
            raise OSError("the process that is to end what this one leaves behind does not start")

    @contextmanager
    def tying(self) -> Iterator[None]:
        """Tie the programs that are executed in this block, and what they execute."""
        # It outlives its parent by design, and removes what that leaves in shared memory.
        resource_tracker.ensure_running()
        with _tying:
            before = {name: os.environ.get(name) for name in (MARK, KEEP_ENVIRONMENT)}
            os.environ |= {MARK: self._mark, KEEP_ENVIRONMENT: "1"}
            try:
                yield
            finally:
                for name, value in before.items():
                    if value is None:
                        del os.environ[name]
                    else:
                        os.environ[name] = value

    def end(self) -> None:
        """End what was executed in `tying`, unless it ends by itself, and tie nothing any more.

        What this process forked lives on. May be called twice.
        """
        if self._word.closed:
            return
        try:
            with self._word:
                self._word.write(b".")
        except BrokenPipeError:  # somebody ended the watch
            pass
        with self._watch:
            self._watch.read()  # until the watch ends


def _watch(parent: int, mark: str) -> None:
    """Wait for the parent's end, or for its word on standard input, and end what is tied."""
    try:
        held = os.pidfd_open(parent)
    except ProcessLookupError:
        return
    if os.getppid() != parent:  # it has ended, and its number may be another's
        return
    if os.fork():
        return
    os.write(1, _HELD)
    # The pipe alone would not tell: forked children hold its other end, too.
    said, _, _ = select.select([0, held], [], [])
    is_let_go = 0 in said and bool(os.read(0, 1))
    variable, line = f"{MARK}={mark}".encode(), f"pipe:[{os.fstat(0).st_ino}]"
    if is_let_go:
        _see_off(variable)
    else:
        os.close(1)
        _end_all(variable, line, _MAX_SECONDS)


def _see_off(variable: bytes) -> None:
    """Wait until those with the variable have ended; end them where they do not."""
    began = time.monotonic()
    while any(_has_variable(number, variable) for number in _numbers()):
        if time.monotonic() > began + _GRACE_SECONDS:
            _end_all(variable, "", _GRACE_SECONDS)
            return
        time.sleep(_PAUSE_SECONDS)


def _end_all(variable: bytes, line: str, most_seconds: float) -> None:
    """End what bears a mark, until nothing has for a while."""
    began = seen = time.monotonic()
    while time.monotonic() < min(seen + _QUIET_SECONDS, began + most_seconds):
        ended = [_ended(number, variable, line) for number in _numbers()]
        if any(ended):
            seen = time.monotonic()
        time.sleep(_PAUSE_SECONDS)


def _numbers() -> set[int]:
    numbers = {int(at.name) for at in Path("/proc").iterdir() if at.name.isdecimal()}
    return numbers - {os.getpid()}


def _ended(number: int, variable: bytes, line: str) -> bool:
    """End a process if it is tied; say whether it was."""
    try:
        held = os.pidfd_open(number)
    except OSError:
        return False
    try:
        if not _is_tied(number, variable, line):
            return False
        signal.pidfd_send_signal(held, signal.SIGKILL)
    except ProcessLookupError:
        return False
    finally:
        os.close(held)
    return True


def _has_variable(number: int, variable: bytes) -> bool:
    try:
        return variable in Path(f"/proc/{number}/environ").read_bytes().split(b"\0")
    except OSError:  # it has ended, or is another user's
        return False


def _is_tied(number: int, variable: bytes, line: str) -> bool:
    if _has_variable(number, variable):
        return True
    try:
        files = list(Path(f"/proc/{number}/fd").iterdir())
    except OSError:
        return False
    for file in files:
        try:
            if str(file.readlink()) == line:
                return True
        except OSError:  # closed meanwhile
            continue
    return False


if __name__ == "__main__":
    _watch(int(sys.argv[1]), sys.argv[2])
