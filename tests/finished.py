"""The demo, run once to its end, for tests that look at what a finished run leaves behind."""

import io
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from backtrans.accounts import Summary
from backtrans.demo import run_demo
from backtrans.microworld.adapt import Adapters
from backtrans.microworld.verdict import Verdict

DOCUMENTS = 400

SECONDS = 900
"""For the first test that asks for it: five minutes were seen on a machine with a load of 15."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give whoever has to wait for the demo the time that it takes on a busy machine."""
    for item in items:
        if "finished_demo" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(SECONDS))


@dataclass(frozen=True)
class FinishedDemo:
    """Where it lies, what it came to, and what it printed."""

    folder: Path
    summary: Summary
    verdict: Verdict
    printed: str

    @property
    def run(self) -> Path:
        """The run's file."""
        return self.folder / "demo.yaml"


@pytest.fixture(scope="session")
def finished_demo(adapters: Adapters, tmp_path_factory: pytest.TempPathFactory) -> FinishedDemo:
    """`backtrans demo` on 400 documents, adapters trained already. To be looked at, not changed."""
    folder = tmp_path_factory.mktemp("finished") / "demo"
    folder.mkdir()
    (folder / "models").symlink_to(adapters.backward.parent)
    printed = io.StringIO()
    summary, verdict = run_demo(folder, DOCUMENTS, Console(file=printed, width=200))
    return FinishedDemo(folder, summary, verdict, printed.getvalue())
