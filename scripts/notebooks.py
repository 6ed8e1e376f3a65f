"""The notebooks, as they are kept: without outputs, counts, or anything of the machine they ran on.

`python scripts/notebooks.py strip` takes these out; `check` says which notebooks hold some.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
"""What a notebook says of its kernel; editors add versions to it."""

_MACHINE = re.compile(r"(?<![\w.:/])(?:/(?:home|root|Users|tmp|work|mnt|var)/|~/|[A-Z]:\\\\)")


def stripped(book: dict[str, Any]) -> dict[str, Any]:
    """Return a notebook as it is kept; the texts of its cells stay as they are."""
    cells = []
    for cell in book["cells"]:
        kept = {"cell_type": cell["cell_type"]}
        if cell["cell_type"] == "code":
            kept["execution_count"] = None
        kept |= {"id": cell["id"], "metadata": {}}
        if cell["cell_type"] == "code":
            kept["outputs"] = []
        cells.append(kept | {"source": cell["source"]})
    return {"cells": cells, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}


def text_of(book: dict[str, Any]) -> str:
    """Return the file of a notebook."""
    return json.dumps(book, indent=1, ensure_ascii=False) + "\n"


def faults(path: Path) -> list[str]:
    """Say what a notebook holds that is not kept."""
    text = path.read_text(encoding="utf-8")
    found = []
    if text != text_of(stripped(json.loads(text))):
        found.append("outputs, counts or settings of an editor: run `scripts/notebooks.py strip`")
    for cell in json.loads(text)["cells"]:
        found += [
            f"a path of a machine: {line!r}" for line in cell["source"] if _MACHINE.search(line)
        ]
    return found


def main() -> None:
    """Strip or check."""
    found = []
    for path in NOTEBOOKS:
        if sys.argv[1:] == ["strip"]:
            book = json.loads(path.read_text(encoding="utf-8"))
            path.write_text(text_of(stripped(book)), encoding="utf-8")
        found += [f"{path.relative_to(ROOT)}: {fault}" for fault in faults(path)]
    if found:
        raise SystemExit("\n".join(found))


if __name__ == "__main__":
    main()
