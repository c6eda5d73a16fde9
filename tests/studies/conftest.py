"""Fixtures: the experiment `walk`, a folder for studies, and a cluster of two workers in this process."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.needed import needed

distributed = needed("distributed", "install distributed (extra: studies)")

from workbench import experiments  # noqa: E402
from workbench.studies import Study  # noqa: E402


@pytest.fixture(autouse=True)
def walk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(experiments.TABLE, "walk", "tests.studies.walk")
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))


@pytest.fixture(scope="session")
def client() -> Iterator["distributed.Client"]:
    """Client of two workers with one thread each, reached by TCP but in this process, so that they start quickly."""
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, protocol="tcp", dashboard_address="127.0.0.1:0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture
def make_study(tmp_path: Path) -> Callable[..., Study]:
    """`make_study(name, seeds=..., **settings)`: study of `walk` over two drifts and three seeds."""

    def make(name: str = "study", *, axes: Any = None, seeds: Any = range(3), **settings: Any) -> Study:
        return Study(tmp_path / name, "walk", axes=axes or {"drift": (0.0, 0.25)}, seeds=seeds, settings=settings)

    return make
