"""The text of docs/benchmarks.md: every benchmark with its command, and where its figures are.

Does not know: what a benchmark measures; its docstring says that.
"""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEAD = """\
# Benchmarks

Written by `python scripts/reference.py write` from the benchmarks themselves; do not edit. `make
bench` runs them, and `make truth` the last. Each prints its figures, and a ratio against something
that was measured in the same run, since machines differ: compare a figure with others of its own
run only. What they printed, with the date and the machine, is in the documents named beside them.
"""


def document() -> str:
    """Return the whole document."""
    return "\n\n".join([HEAD.rstrip(), *(_benchmark(path) for path in benchmarks())]) + "\n"


def benchmarks() -> list[Path]:
    """Return the modules of bench/ that are run by themselves."""
    found = sorted((ROOT / "bench").glob("*.py"))
    return [path for path in found if "__main__" in path.read_text(encoding="utf-8")]


def _benchmark(path: Path) -> str:
    said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    usage = re.search(r"^    (python -m bench\..*)$", said, re.MULTILINE)
    command = usage[1] if usage else f"python -m bench.{path.stem}"
    figures = ", ".join(f"[{name}]({name})" for name in _named_in(path.stem))
    parts = [f"## {path.stem}", f"```\n{command}\n```", said.splitlines()[0]]
    return "\n\n".join([*parts, f"Figures: {figures or 'what it prints'}."])


def _named_in(name: str) -> list[str]:
    """Return the documents that tell of a benchmark."""
    documents = sorted((ROOT / "docs").glob("*.md"))
    return [
        path.name
        for path in documents
        if path.name not in ("benchmarks.md", "configuration.md", "decisions.md")
        and f"bench.{name}" in path.read_text(encoding="utf-8")
    ]
