"""Chromium for tests: what `scripts/fetch_chromium.sh` unpacked, or one that is installed."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


def tree() -> Path:
    """Return the folder that the script fills."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "backtrans/chromium"


def found() -> tuple[Path, dict[str, str]] | None:
    """Return Chromium's program and the variables that it needs; None where there is none."""
    unpacked = tree() / "usr/lib/chromium/chromium-headless-shell"
    if unpacked.is_file():
        libraries = sorted({path.parent for path in tree().glob("**/*-linux-gnu/**/*.so*")})
        return unpacked, {
            "LD_LIBRARY_PATH": ":".join(map(str, libraries)),
            "FONTCONFIG_FILE": str(tree() / "fonts.conf"),
        }
    for name in NAMES:
        if (program := shutil.which(name)) is not None:
            return Path(program), {}
    return None


@contextmanager
def opened(program: Path, needed: dict[str, str]) -> Iterator[Browser]:
    """Lend a browser."""
    with sync_playwright() as driver:
        # Its sandbox does not work for root, as which containers run tests.
        browser = driver.chromium.launch(
            executable_path=program,
            chromium_sandbox=os.geteuid() != 0,
            env={**os.environ, **needed},
        )
        try:
            yield browser
        finally:
            browser.close()
