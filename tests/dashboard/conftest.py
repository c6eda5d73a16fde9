"""Fake experiments, a folder for their run files, and jobs that end with the test."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from workbench import experiments
from workbench.dashboard.jobs import Job, Registry

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
        job.wait(10)


@pytest.fixture
def new_job(registry: Registry) -> Callable[..., Job]:
    """`new_job(**settings)`: a job of the fake Rössler experiment, not started."""

    def make(**settings: Any) -> Job:
        experiment = experiments.get("rossler")
        return registry.create(experiment, experiment.Config(**settings))

    return make
