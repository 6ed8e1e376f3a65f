"""The tree in the README, from the first line of each module's docstring.

`python scripts/tree.py write` puts it there; `check` says whether it is there as it must be.
"""

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
HEADING = "## The tree\n\n"
UNNAMED = ("__init__.py", "__main__.py")


def lines() -> list[str]:
    """Return a line a file, folders first named, in the order of an alphabetical listing."""
    found: list[str] = []
    for top in ("backtrans", "jobs"):
        found.append(f"{top}/")
        found += _below(ROOT / top, depth=1)
    return found


def _below(folder: Path, depth: int) -> list[str]:
    found: list[str] = []
    pad = "  " * depth
    modules = sorted(path for path in folder.glob("*.py") if path.name not in UNNAMED)
    for path in modules:
        found.append(f"{pad}{path.name:<{24 - len(pad)}}{_first_line(path)}")
    for path in sorted(path for path in folder.iterdir() if (path / "__init__.py").is_file()):
        found.append(f"{pad}{path.name + '/':<{24 - len(pad)}}{_first_line(path / '__init__.py')}")
        found += _below(path, depth + 1)
    return found


def _first_line(path: Path) -> str:
    said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    if not said:
        raise SystemExit(f"{path.relative_to(ROOT)}: no docstring")
    return said.splitlines()[0].rstrip(".")


def with_tree(readme: str) -> str:
    """Return the README with the tree of now."""
    before, rest = readme.split(HEADING, 1)
    # What follows the block in its section stays: it begins after the closing fence.
    tail = rest.split("```\n", 2)[2] if rest.startswith("```") else rest
    return before + HEADING + "```\n" + "\n".join(lines()) + "\n```\n" + tail


def main() -> None:
    """Write or check."""
    path = ROOT / "README.md"
    old = path.read_text(encoding="utf-8")
    new = with_tree(old)
    if sys.argv[1:] == ["write"]:
        path.write_text(new, encoding="utf-8")
    elif old != new:
        raise SystemExit("the tree in README.md is stale: run `python scripts/tree.py write`")


if __name__ == "__main__":
    main()
