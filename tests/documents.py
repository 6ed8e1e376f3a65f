"""The documents, and the commands that stand in their blocks."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
DOCUMENTS = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def commands(text: str) -> list[str]:
    """Return the command lines of a document's blocks, in order, without remarks.

    Usage lines, whose arguments stand in brackets, are no commands.
    """
    blocks = (block for language, block in _BLOCK.findall(text) if not language)
    lines = re.findall(r"^backtrans .*$", "".join(blocks), re.MULTILINE)
    return [re.sub(r"\s+#.*$", "", line) for line in lines if "[" not in line]


def first_steps() -> list[str]:
    """Return the commands of the README's first steps, in order."""
    section = README.read_text(encoding="utf-8").split("\n## First steps\n")[1]
    return commands(section.split("\n## ")[0])
