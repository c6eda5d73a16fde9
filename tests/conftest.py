"""What every test may use."""

import os
import shutil
from collections.abc import Callable

import pytest


def _require(condition: object, what_to_install: str) -> None:
    if condition:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI must have everything: {what_to_install}", pytrace=False)
    pytest.skip(what_to_install)


@pytest.fixture(scope="session")
def required() -> Callable[[object, str], None]:
    """`required(condition, what_to_install)`: a false condition fails in CI; elsewhere it skips, saying why."""
    return _require


@pytest.fixture(scope="session")
def chromium_path(required: Callable[[object, str], None]) -> str:
    """The Chromium or Chrome of this machine, for Playwright's `executable_path`."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    required(path, "install Chromium (Debian: apt-get install chromium)")
    return path
