"""Options and fixtures of all tests."""

import os
import shutil
from collections.abc import Callable, Iterator

import pytest
import torch

from tests import grids

pytest_plugins = ["tests.fakes.fixtures"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--exhaustive", action="store_true", help="run the full grid of every test instead of all pairs of values"
    )


LONGEST = (
    "tests/test_notebooks",
    "tests/dashboard/browser",
    "tests/solver/gpu",
)
"""Slowest files, which start first: one worker runs a whole file, and the others should not wait for it at the end."""


@pytest.hookimpl(trylast=True)  # after the selection of -k and -m
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--exhaustive"):
        return
    selected = grids.selected(item for item in items if not item.get_closest_marker("exhaustive"))
    ids = {id(item) for item in selected}
    config.hook.pytest_deselected(items=[item for item in items if id(item) not in ids])
    items[:] = sorted(selected, key=lambda item: not item.nodeid.startswith(LONGEST))


def _require(condition: object, what_to_install: str) -> None:
    if condition:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"required in CI: {what_to_install}", pytrace=False)
    pytest.skip(what_to_install)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Run on one thread: the test problems are too small to gain from several, above all on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def required() -> Callable[[object, str], None]:
    """`required(condition, what_to_install)`: a false condition fails in CI and skips the test elsewhere."""
    return _require


@pytest.fixture(scope="session")
def chromium_path(required: Callable[[object, str], None]) -> str:
    """Path of Chromium or Chrome, for Playwright's `executable_path`."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    required(path, "install Chromium (Debian: apt-get install chromium)")
    return path
