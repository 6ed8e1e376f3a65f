"""What storms share: one tally a session, which is printed at the end, and scenes over stores."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import rgw
from tests.chaos.storm import Scene
from tests.chaos.tally import Tally

TALLY = pytest.StashKey[Tally]()


@pytest.fixture(scope="session")
def tally(pytestconfig: pytest.Config) -> Tally:
    """The table of all kills."""
    return pytestconfig.stash.setdefault(TALLY, Tally())


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the table, where anything was killed."""
    tally = config.stash.get(TALLY, None)
    if tally is not None and tally.rows:
        terminalreporter.section("kills")
        for line in tally.lines():
            terminalreporter.write_line(line)


@pytest.fixture
def scene_in(
    request: pytest.FixtureRequest, tmp_path: Path, tally: Tally
) -> Iterator[Callable[..., Scene]]:
    """Make a scene over a store: `local_settings` or `one_s3_settings` of tests/stores.py."""
    scenes: list[Scene] = []

    def made(kind: str, **changes: Any) -> Scene:
        root = request.getfixturevalue(f"{kind}_settings")
        server = "Ceph" if rgw.unpacked() else "moto"
        name = "local" if kind == "local" else server
        scenes.append(Scene(tmp_path, root, name, tally, **changes))
        return scenes[-1]

    yield made
    for scene in scenes:
        scene.close()
