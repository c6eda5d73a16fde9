"""Fake experiments, a folder for their run files, and jobs that end with the test."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import PATIENCE
from workbench import experiments
from workbench.dashboard.jobs import Job
from workbench.dashboard.registry import Registry

FAKES = {"rossler": "tests.dashboard.fake_rossler", "decay": "tests.dashboard.fake_decay"}


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Only the fake experiments are there, and run files go to a folder of the test."""
    for name in experiments.names():
        monkeypatch.delitem(experiments.TABLE, name)
    for name, module in FAKES.items():
        monkeypatch.setitem(experiments.TABLE, name, module)
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    return tmp_path


@pytest.fixture
def registry(fakes: Path) -> Iterator[Registry]:
    """A registry of its own, whose jobs are stopped at the end."""
    made = Registry()
    yield made
    for job in made:
        job.stop()
        job.wait(PATIENCE)


@pytest.fixture
def new_job(registry: Registry) -> Callable[..., Job]:
    """`new_job(**settings)`: a job of the fake Rössler experiment, not started."""

    def make(**settings: Any) -> Job:
        experiment = experiments.get("rossler")
        return registry.create(experiment, experiment.Config(**settings))

    return make


@pytest.fixture
def in_loop() -> Callable[[Coroutine], Any]:
    """Runs a coroutine in an event loop of its own; in a thread, since Playwright may have one in this."""

    def run(coroutine: Coroutine) -> Any:
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, coroutine).result()

    return run


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory, chromium_path: str) -> Iterator[Callable[..., str]]:
    """`servers(*options)`: the address of the app, served with these options of `panel serve`, once for all tests."""
    browsing = import_module("tests.dashboard.browsing")
    with ExitStack() as running:

        @cache
        def address(*options: str) -> str:
            return running.enter_context(browsing.served(tmp_path_factory.mktemp("served"), *options))[0]

        yield address


@pytest.fixture
def server(request: pytest.FixtureRequest, servers: Callable[..., str]) -> str:
    """The address of the served app; see `browsing.with_and_without_threads`."""
    browsing = import_module("tests.dashboard.browsing")
    four = getattr(request, "param", "") == browsing.FOUR_THREADS
    return servers(*(["--num-threads", "4"] if four else []))


@pytest.fixture(scope="session")
def browser(chromium_path: str) -> Iterator[Any]:
    browsing = import_module("tests.dashboard.browsing")
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
    browsing = import_module("tests.dashboard.browsing")
    browsing.expect.set_options(timeout=browsing.MILLISECONDS)
    visits = browsing.Visits(server, context)
    yield visits
    visits.check()
