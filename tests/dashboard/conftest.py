"""Fixtures of browser tests: server, browser, pages."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from importlib import import_module
from typing import Any

import pytest


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory, chromium_path: str) -> Iterator[Callable[..., str]]:
    """`servers(*options)`: URL of the app, served with these options of `panel serve`, shared by all tests."""
    browsing = import_module("tests.dashboard.browser.browsing")
    with ExitStack() as stack:

        @cache
        def url(*options: str) -> str:
            return stack.enter_context(browsing.served(tmp_path_factory.mktemp("served"), *options))[0]

        yield url


@pytest.fixture
def server(request: pytest.FixtureRequest, servers: Callable[..., str]) -> str:
    """URL of the app; see `browsing.with_and_without_threads`."""
    browsing = import_module("tests.dashboard.browser.browsing")
    has_threads = getattr(request, "param", "") == browsing.FOUR_THREADS
    return servers(*(["--num-threads", "4"] if has_threads else []))


@pytest.fixture(scope="session")
def browser(chromium_path: str) -> Iterator[Any]:
    browsing = import_module("tests.dashboard.browser.browsing")
    with browsing.sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=browsing.FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def context(browser: Any) -> Any:
    return browser.new_context(viewport={"width": 1280, "height": 800}, accept_downloads=True)


@pytest.fixture
def visit(server: str, context: Any) -> Iterator[Any]:
    """`visit(search)` opens a page (see `browsing.Visits`)."""
    browsing = import_module("tests.dashboard.browser.browsing")
    browsing.expect.set_options(timeout=browsing.MILLISECONDS)
    visits = browsing.Visits(server, context)
    yield visits
    visits.check()
