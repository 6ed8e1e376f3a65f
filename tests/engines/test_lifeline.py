"""A lifeline: children end with a process that is killed, and live on when it is cut."""

import os
import signal
import subprocess
import sys

import pytest

PARENT = """
import os, signal, subprocess, sys
from backtrans.engines.lifeline import Lifeline
child = subprocess.Popen([sys.executable, "-ISc", "input()"], stdin=int(sys.argv[1]))
line = Lifeline([child.pid, 2**22 - 1])
if sys.argv[2] == "cut":
    line.cut()
    line.cut()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("how", ["killed", "cut"])
def test_a_child_ends_with_a_killed_parent_unless_the_line_was_cut(how: str) -> None:
    """The child inherits the parent's output: while that is open, the child lives."""
    feed, hold = os.pipe()  # the child waits for a line of it
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(feed), how], pass_fds=(feed,), stdout=subprocess.PIPE
    )
    os.close(feed)
    assert parent.wait(timeout=60) == -signal.SIGKILL
    assert parent.stdout is not None
    with parent.stdout as output:
        if how == "cut":
            os.set_blocking(output.fileno(), False)
            assert output.read() is None  # open, and nothing in it
            os.set_blocking(output.fileno(), True)
            os.close(hold)
        assert output.read() == b""  # returns when the child has ended
    if how == "killed":
        os.close(hold)
