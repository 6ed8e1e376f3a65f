"""Write requirements/lock.txt from pyproject.toml, or check that it is not stale.

The lock is for Linux x86_64 and CPython 3.11. It pins and hashes the run time and the extras of
`EXTRAS`: everything but torch, which requirements/torch.txt names. The check is offline and takes a
moment: the header holds a digest of what was asked for, and every declared requirement must be met
by its pin.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements" / "lock.txt"
OVERRIDES = ROOT / "requirements" / "overrides.txt"
TORCH = ROOT / "requirements" / "torch.txt"
EXTRAS = (
    "fast",
    "cpu",
    "lake",
    "analyze",
    "cluster",
    "openai",
    "distilabel",
    "calibrate",
    "train",
    "dev",
)
HEADER = """\
# Written by `make lock`; do not edit. For Linux x86_64, CPython 3.11: the run time and the extras
# {extras}. Complete, so install it with --no-deps. torch is in torch.txt.
# asked: {digest}
"""


def requirement_lines(path: Path) -> list[str]:
    """Read the lines of a requirements file that are not comments."""
    return [s for line in path.read_text().splitlines() if (s := line.split("#")[0].strip())]


def declared() -> tuple[list[str], str]:
    """Return the requirements that the lock must meet, and the digest of all that was asked for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    requirements = list(project["dependencies"])
    for extra in EXTRAS:
        requirements += project["optional-dependencies"][extra]
    asked = [project["requires-python"], requirements]
    asked += [requirement_lines(OVERRIDES), requirement_lines(TORCH)]
    return requirements, hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def pins() -> dict[str, str]:
    """Return the version of every package in the lock and torch.txt, by canonical name."""
    text = LOCK.read_text() + "\n" + TORCH.read_text()
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", text, flags=re.MULTILINE)
    return {canonicalize_name(name): version for name, version in found}


def faults() -> list[str]:
    """Say in what the lock is stale; empty when it is not."""
    requirements, digest = declared()
    pinned = pins()
    found = []
    if f"# asked: {digest}\n" not in LOCK.read_text():
        found.append("pyproject.toml or requirements/ has changed since the lock was written")
    for text in requirements:
        requirement = Requirement(text)
        version = pinned.get(canonicalize_name(requirement.name))
        if version is None:
            found.append(f"{text}: not in the lock")
        elif not requirement.specifier.contains(version, prereleases=True):
            found.append(f"{text}: the lock has {version}")
    return found


def write() -> None:
    """Resolve everything anew with uv, from whatever index it is set up with."""
    # uv does not read pip's settings: hand on where pip finds a CPU torch, else PyTorch's index.
    links = os.environ.get("PIP_FIND_LINKS", "").split()
    where = [f"--find-links={link}" for link in links] or ["--torch-backend=cpu"]
    command = [str(Path(sys.executable).with_name("uv")), "pip", "compile", "--quiet", "--upgrade"]
    command += [f"--extra={extra}" for extra in EXTRAS]
    command += ["--python-version=3.11", "--python-platform=x86_64-manylinux_2_28", *where]
    command += [f"--override={OVERRIDES}", f"--constraint={TORCH}", "--no-emit-package=torch"]
    command += ["--generate-hashes", "--no-header", "--no-annotate", "pyproject.toml"]
    done = subprocess.run(command, check=True, cwd=ROOT, capture_output=True, text=True)
    # uv notes packages it was told not to emit: they are said in the header already.
    body = done.stdout.split("\n# The following packages")[0].rstrip() + "\n"
    header = HEADER.format(extras=", ".join(EXTRAS), digest=declared()[1])
    LOCK.write_text(header + body)


def main() -> int:
    """Run `write` or `check`."""
    if sys.argv[1:] == ["write"]:
        write()
    elif sys.argv[1:] != ["check"]:
        print(f"usage: {sys.argv[0]} write | check", file=sys.stderr)
        return 2
    found = faults()
    for fault in found:
        print(f"lock: {fault}", file=sys.stderr)
    if found:
        print("lock: stale; run `make lock`", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
