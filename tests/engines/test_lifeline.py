"""A lifeline: what a process starts ends with it if it is killed, at whatever moment, and no later
than the line is let go.

Children wait for a word of the test, and then say that they lived. They inherit their parent's
output: while that is open, somebody lives.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

import pytest

FAMILY = """
import os, signal, subprocess, sys
from backtrans.engines.lifeline import Lifeline

kind, when, hears, tells, named = *sys.argv[1:3], *map(int, sys.argv[3:])
wait = f"import os; os.read({hears}, 1) and os.write(1, b'lived')"

def executes():
    subprocess.Popen([sys.executable, "-ISc", wait], pass_fds=[hears])

def forks():
    if os.fork() == 0:
        exec(wait)
        os._exit(0)

def executes_and_leaves():
    if (between := os.fork()) == 0:
        executes()
        os._exit(0)
    os.waitpid(between, 0)

def takes_a_name():
    title = "import os, setproctitle; setproctitle.setproctitle('core' * 300);"
    code = f"{title} os.write({tells}, b'.'); {wait}"
    subprocess.Popen([sys.executable, "-c", code], pass_fds=[hears, tells])
    os.close(tells)
    os.read(named, 1)

if when == "before":
    executes()
line = Lifeline()
with line.tying():
    globals()[kind]()
    if when == "during":
        os.kill(os.getpid(), signal.SIGKILL)
if when == "let go":
    line.end()
    line.end()
    os.write(1, b"let go")
if when == "after its children":
    for child in open(f"/proc/self/task/{os.getpid()}/children").read().split():
        os.kill(int(child), signal.SIGKILL)
os.kill(os.getpid(), signal.SIGKILL)
"""


@dataclass
class Family:
    """What is left of one whose head is dead."""

    output: IO[bytes]
    named: IO[bytes]
    word: int

    def told(self) -> bytes:
        """Tell the word to who lives; return what they say, when all have ended."""
        os.write(self.word, b"..")
        return self.output.read()


@contextmanager
def killed(kind: str, when: str) -> Iterator[Family]:
    """Start a family whose head kills itself, and lend what is left of it."""
    hears, word = os.pipe()
    named, tells = os.pipe()
    arguments = [kind, when, str(hears), str(tells), str(named)]
    with (
        subprocess.Popen(
            [sys.executable, "-c", FAMILY, *arguments],
            pass_fds=[hears, tells, named],
            stdout=subprocess.PIPE,
        ) as head,
        os.fdopen(named, "rb") as name,
    ):
        os.close(hears)
        os.close(tells)
        assert head.stdout is not None
        try:
            assert head.wait(timeout=60) == -signal.SIGKILL
            yield Family(head.stdout, name, word)
        finally:
            os.close(word)


@pytest.mark.parametrize("when", ["during", "after"])
@pytest.mark.parametrize("kind", ["executes", "forks", "executes_and_leaves", "takes_a_name"])
def test_a_child_ends_with_a_parent_that_is_killed(kind: str, when: str) -> None:
    with killed(kind, when) as family:
        assert family.output.read() == b""  # returns when the last of them has ended


def test_a_grandchild_ends_although_the_children_were_killed_before() -> None:
    # So does Ray with an actor's, before it ends the actor.
    with killed("executes_and_leaves", "after its children") as family:
        assert family.output.read() == b""


@pytest.mark.parametrize("kind", ["executes", "executes_and_leaves", "takes_a_name"])
def test_what_was_executed_has_ended_once_the_line_is_let_go(kind: str) -> None:
    with killed(kind, "let go") as family:
        assert family.output.read() == b"let go"


def test_who_was_forked_lives_on_when_the_line_is_let_go() -> None:
    with killed("forks", "let go") as family:
        assert family.told() == b"let golived"


def test_a_child_that_was_not_tied_lives_on_beside_one_that_was() -> None:
    with killed("takes_a_name", "before") as family:
        family.named.read()  # returns when the one with a name has ended
        assert family.told() == b"lived"
