"""A server, a browser and pages that are ready."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from importlib import import_module
from typing import Any

import pytest


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory, chromium_path: str) -> Iterator[Callable[..., str]]:
    """`servers(*options)`: the address of the app, served with these options of `panel serve`, once for all tests."""
    browsing = import_module("tests.dashboard.browser.browsing")
    with ExitStack() as running:

        @cache
        def address(*options: str) -> str:
            return running.enter_context(browsing.served(tmp_path_factory.mktemp("served"), *options))[0]

        yield address


@pytest.fixture
def server(request: pytest.FixtureRequest, servers: Callable[..., str]) -> str:
    """The address of the served app; see `browsing.with_and_without_threads`."""
    browsing = import_module("tests.dashboard.browser.browsing")
    four = getattr(request, "param", "") == browsing.FOUR_THREADS
    return servers(*(["--num-threads", "4"] if four else []))


@pytest.fixture(scope="session")
def browser(chromium_path: str) -> Iterator[Any]:
    browsing = import_module("tests.dashboard.browser.browsing")
    with browsing.sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium_path, args=browsing.FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def context(browser: Any) -> Any:
    return browser.new_context(viewport={"width": 1280, "height": 800}, accept_downloads=True)


@pytest.fixture
def visit(server: str, context: Any) -> Iterator[Any]:
    """`visit(search)` opens a page that is ready (see `browsing.Visits`)."""
    browsing = import_module("tests.dashboard.browser.browsing")
    browsing.expect.set_options(timeout=browsing.MILLISECONDS)
    visits = browsing.Visits(server, context)
    yield visits
    visits.check()
