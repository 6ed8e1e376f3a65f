"""The fences that import-linter cannot see: what a process loads, who reads the environment."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "backtrans"
MODULES = sorted(PACKAGE.rglob("*.py"))
# And below them one that reads a key, by the name that a placement gives it.
# A lifeline marks what is started by a variable, and hands on and puts back what was there.
# The process that trains reads which GPUs it was given, of which it takes the first.
MAY_READ = {
    "cli.py",
    "commands/terminal.py",
    "engines/api_key.py",
    "engines/lifeline.py",
    "training/sft.py",
}
# vLLM is configured by variables that its child process reads: setting is allowed, reading is not.
MAY_SET = {"engines/vllm_engine.py"}
READERS = {"environ", "getenv", "environb", "getenvb"}


def test_neither_the_pipeline_nor_who_asks_a_server_loads_an_engine_or_a_runtime() -> None:
    heavy = {"ray", "vllm", "torch", "transformers", "trl", "peft", "deltalake"}
    code = (
        "import backtrans.pipeline, sys; print(*sys.modules)\n"
        "import backtrans.engines.openai_engine, openai; print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    pipeline, asking_a_server = (set(line.split()) for line in done.stdout.splitlines())
    assert pipeline & (heavy | {"openai"}) == set()
    assert asking_a_server & heavy == set()


def environment_uses(tree: ast.AST) -> tuple[list[int], list[int]]:
    """Return the lines where the environment is read, and those where it is only set."""
    sets: set[int] = set()
    uses: dict[int, int] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name) if name in READERS:
                uses[id(node)] = node.lineno
            case ast.ImportFrom(module="os") if any(a.name in READERS for a in node.names):
                uses[id(node)] = node.lineno
        match node:
            case ast.Subscript(value=ast.Attribute() as environ, ctx=ast.Store() | ast.Del()):
                sets.add(id(environ))
            case ast.Expr(value=ast.Call(func=ast.Attribute(value=environ, attr=verb))) if verb in {
                "setdefault",
                "update",
            }:
                sets.add(id(environ))
    read = [line for key, line in uses.items() if key not in sets]
    return read, [line for key, line in uses.items() if key in sets]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_only_entry_points_read_the_environment(path: Path) -> None:
    name = path.relative_to(PACKAGE).as_posix()
    read, written = environment_uses(ast.parse(path.read_text()))
    assert name in MAY_READ or read == []
    assert name in MAY_READ | MAY_SET or written == []


@pytest.mark.parametrize(
    ("code", "read", "written"),
    [
        ("import os\nos.environ['A'] = '1'", [], [2]),
        ("import os\nos.environ.setdefault('A', '1')", [], [2]),
        ("import os\nx = os.environ.setdefault('A', '1')", [2], []),
        ("import os\nx = os.environ['A']", [2], []),
        ("import os\nos.getenv('A')", [2], []),
        ("import os\ndict(os.environ)", [2], []),
        ("from os import environ", [1], []),
    ],
)
def test_the_check_tells_reading_from_setting(
    code: str, read: list[int], written: list[int]
) -> None:
    assert environment_uses(ast.parse(code)) == (read, written)
