"""What every test may use."""

import os
import shutil
from collections.abc import Callable, Iterator

import pytest
import torch

from tests import grids

pytest_plugins = ["tests.fakes.fixtures"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--exhaustive", action="store_true", help="run the full grid of every test, not every pair of values alone"
    )


LONGEST = (
    "tests/test_notebooks",
    "tests/dashboard/browser",
    "tests/solver/gpu",
)
"""Files that take longest begin first: each is run as a whole by one worker, and the other must not wait for it."""


@pytest.hookimpl(trylast=True)  # of what -k and -m leave
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--exhaustive"):
        return
    kept = grids.selected(item for item in items if not item.get_closest_marker("exhaustive"))
    chosen = {id(item) for item in kept}
    config.hook.pytest_deselected(items=[item for item in items if id(item) not in chosen])
    items[:] = sorted(kept, key=lambda item: not item.nodeid.startswith(LONGEST))


def _require(condition: object, what_to_install: str) -> None:
    if condition:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI must have everything: {what_to_install}", pytrace=False)
    pytest.skip(what_to_install)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """The problems of the tests are small: waking threads takes longer than they save, above all on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


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
