"""docs/configuration.md, docs/commands.md and docs/benchmarks.md, from the code.

`python scripts/reference.py write` puts them there; `check` says whether they are as they must be.
The first lists every key of every file that a person writes, from the models that read them; the
second every command with its options, from the command line itself; the third every benchmark.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run as a file, it finds the tree that it lies in

from scripts import benchmarks, commands, configuration  # noqa: E402 (after the path)

DOCUMENTS = {
    ROOT / "docs" / "configuration.md": configuration.document,
    ROOT / "docs" / "commands.md": commands.document,
    ROOT / "docs" / "benchmarks.md": benchmarks.document,
}


def stale() -> list[Path]:
    """Return the documents that are not what the code gives now."""
    return [
        path
        for path, document in DOCUMENTS.items()
        if not path.is_file() or path.read_text(encoding="utf-8") != document()
    ]


def main() -> None:
    """Write or check."""
    if sys.argv[1:] == ["write"]:
        for path, document in DOCUMENTS.items():
            path.write_text(document(), encoding="utf-8")
    elif found := stale():
        names = " and ".join(str(path.relative_to(ROOT)) for path in found)
        raise SystemExit(f"{names}: stale: run `python scripts/reference.py write`")


if __name__ == "__main__":
    main()
