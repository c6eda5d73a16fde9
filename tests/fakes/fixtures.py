"""Fixtures: fake experiments, a folder for their run files, and jobs that end with the test."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import PATIENCE
from workbench import experiments
from workbench.jobs.job import Job
from workbench.jobs.registry import Registry

FAKES = {"rossler": "tests.fakes.rossler", "decay": "tests.fakes.decay"}


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Replace the experiments by fake ones, and the data folder by a temporary one."""
    for name in experiments.names():
        monkeypatch.delitem(experiments.TABLE, name)
    for name, module in FAKES.items():
        monkeypatch.setitem(experiments.TABLE, name, module)
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    return tmp_path


@pytest.fixture
def registry(fakes: Path) -> Iterator[Registry]:
    """Separate registry, whose jobs are stopped at the end."""
    registry = Registry()
    yield registry
    for job in registry:
        job.stop()
        job.wait(PATIENCE)


@pytest.fixture
def new_job(registry: Registry) -> Callable[..., Job]:
    """`new_job(**settings)`: job of the fake Rössler experiment, not started."""

    def make(**settings: Any) -> Job:
        experiment = experiments.get("rossler")
        return registry.create(experiment, experiment.Config(**settings))

    return make


@pytest.fixture
def in_loop() -> Callable[[Coroutine], Any]:
    """Run a coroutine in an event loop of another thread, since Playwright may have one in this thread."""

    def run(coroutine: Coroutine) -> Any:
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, coroutine).result()

    return run
