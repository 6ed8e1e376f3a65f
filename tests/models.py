"""The micro-world's adapters for tests, trained once and kept in pytest's cache."""

from pathlib import Path

import pytest

from backtrans.microworld.adapt import Adapters
from backtrans.microworld.adapt import adapters as trained


@pytest.fixture(scope="session")
def adapters(request: pytest.FixtureRequest) -> Adapters:
    """M_yx and M_0 on the shipped base; about a minute and a half when they are not cached."""
    return trained(Path(request.config.cache.mkdir("microworld")))
