"""What a user installs: a wheel with all its data, and a lock that is not stale."""

import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TORCH_COMPANIONS = ("torchvision", "torchaudio", "torchcodec")


def tracked_or_new(folder: str) -> set[str]:
    """List the files that git keeps, or would keep, under a folder."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", folder]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip("not a git checkout")
    return {path for path in done.stdout.splitlines() if (ROOT / path).is_file()}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert inside == tracked_or_new("backtrans")
    assert "backtrans/py.typed" in inside


def test_the_wheel_holds_the_base_model_of_the_microworld(wheel: Path) -> None:
    if not (ROOT / "backtrans/microworld/base").exists():
        pytest.skip("no base model in this checkout")
    with zipfile.ZipFile(wheel) as archive:
        base = [name for name in archive.namelist() if "/microworld/base/" in name]
    assert {Path(name).suffix for name in base} >= {".safetensors", ".json"}


def test_the_wheel_names_its_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(next(n for n in names if n.endswith("METADATA"))).decode()
    assert "License-Expression: Apache-2.0" in metadata
    assert any(name.endswith("licenses/LICENSE") for name in names)


def lock_check(root: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "scripts/lock.py"), "check"]
    return subprocess.run(command, capture_output=True, text=True)


def test_the_lock_is_fresh() -> None:
    done = lock_check(ROOT)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The packaging's files, in a folder of their own."""
    files = [*(ROOT / "requirements").glob("*.txt"), *(ROOT / "scripts").glob("*.*")]
    for path in [*files, ROOT / "pyproject.toml"]:
        target = tmp_path / path.relative_to(ROOT)
        target.parent.mkdir(exist_ok=True)
        shutil.copy(path, target)
    return tmp_path


def test_a_new_dependency_makes_the_lock_stale(copied: Path) -> None:
    project = copied / "pyproject.toml"
    text = project.read_text()
    project.write_text(text.replace("dependencies = [", 'dependencies = ["leftpad>=1",', 1))
    done = lock_check(copied)
    assert done.returncode == 1
    assert "leftpad>=1: not in the lock" in done.stderr


def test_a_pin_outside_its_range_makes_the_lock_stale(copied: Path) -> None:
    lock = copied / "requirements/lock.txt"
    lock.write_text(re.sub(r"^ray==\S+", "ray==2.1.0", lock.read_text(), flags=re.MULTILINE))
    done = lock_check(copied)
    assert done.returncode == 1
    assert "ray[data]>=2.60,<2.61: the lock has 2.1.0" in done.stderr


def test_the_lock_names_no_machine_and_no_index() -> None:
    for path in (ROOT / "requirements").glob("*.txt"):
        lines = [line.split("#")[0] for line in path.read_text().splitlines()]
        assert not re.search(
            r"file:|https?:|--find-links|--(extra-)?index-url|@ ", "\n".join(lines)
        )


@pytest.mark.parametrize("name", TORCH_COMPANIONS)
def test_torch_companions_are_left_out(name: str) -> None:
    assert f"\n{name}==" not in (ROOT / "requirements/lock.txt").read_text()
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        importlib.metadata.version(name)


def test_every_dependency_says_why_it_is_there() -> None:
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    declared = [line for line in lines if re.match(r'    "[A-Za-z0-9_.-]+(\[\w+\])?[=><]=', line)]
    assert len(declared) >= len(PROJECT["dependencies"])
    assert [line for line in declared if "  # " not in line] == []


@pytest.fixture
def calls(copied: Path) -> Path:
    """An environment whose tools only note that they were called; the file of their notes."""
    notes = copied / "notes"
    (copied / ".venv/bin").mkdir(parents=True)
    for name in ("python", "uv"):
        tool = copied / ".venv/bin" / name
        tool.write_text(f'#!/bin/sh\necho "{name} $*" >>{notes}\n')
        tool.chmod(0o755)
    return notes


def install(root: Path) -> None:
    subprocess.run([root / "scripts/install.sh"], check=True, capture_output=True)


def test_the_install_resolves_nothing(copied: Path, calls: Path) -> None:
    install(copied)
    installs = [line for line in calls.read_text().splitlines() if " install " in line]
    assert len(installs) == 4
    assert [line for line in installs if "--no-deps" not in line] == []


def test_an_install_that_is_up_to_date_does_nothing(copied: Path, calls: Path) -> None:
    install(copied)
    calls.unlink()
    install(copied)
    assert not calls.exists()


@pytest.mark.parametrize("name", ["requirements/lock.txt", "pyproject.toml"])
def test_a_changed_lock_or_project_is_installed(copied: Path, calls: Path, name: str) -> None:
    install(copied)
    calls.unlink()
    (copied / name).write_text((copied / name).read_text() + "# changed\n")
    install(copied)
    assert calls.exists()


def test_where_uv_reaches_no_index_pip_installs_the_lock(copied: Path, calls: Path) -> None:
    (copied / ".venv/bin/uv").write_text("#!/bin/sh\nexit 2\n")
    install(copied)
    assert re.search(
        r"python -m pip .*--require-hashes -r requirements/lock.txt", calls.read_text()
    )
