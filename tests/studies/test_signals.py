"""Workers, scheduler and client killed during a study, each a process at a different loopback address."""

import sys
from collections.abc import Iterator
from pathlib import Path

import dask
import distributed
import pytest

from tests.studies.processes import Processes, kill
from tests.studies.test_runner import MEASURED, run_sequentially
from tests.waiting import PATIENCE
from workbench.studies import connected, follow, run
from workbench.training import run_file

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.2 exists on Linux only")


@pytest.fixture
def processes(tmp_path) -> Iterator[Processes]:
    processes = Processes(tmp_path)
    yield processes
    processes.end()


class CompleteCells:
    """Counts the complete cells of a study; checks that none was replaced or lost since the last count."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known = {}

    def __call__(self) -> int:
        current = {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in self._folder.glob("*.nc")}
        assert self._known.items() <= current.items()
        self._known.update(current)
        return len(current)


@pytest.mark.slow
@pytest.mark.exhaustive
def test_every_cell_is_completed_once_after_kills(processes, make_study, tmp_path):
    study = make_study(seeds=range(10), length=12, delay=0.08)
    complete = CompleteCells(study.folder / "cells")
    scheduler, address = processes.scheduler("127.0.0.2")
    workers = [processes.worker(address, f"127.0.0.{number}") for number in (3, 4)]
    with connected(address) as client:
        client.wait_for_workers(2, timeout=PATIENCE)
        hosts = {worker["host"] for worker in client.scheduler_info()["workers"].values()}
        assert hosts == {"127.0.0.3", "127.0.0.4"}
        outcomes = follow(study, client)
        for _ in range(3):
            next(outcomes)
        kill(workers[0])
        for _ in range(4):
            assert next(outcomes).status == "finished"
        assert complete() >= 7
        kill(scheduler)
        with pytest.raises(ConnectionError, match=r"tcp:..127.0.0.2:\d+ was lost.* run the study again"):
            list(outcomes)
    assert 7 <= complete() < 20
    workers[1].wait(PATIENCE)  # finishes or drops its cell, and exits

    scheduler, address = processes.scheduler("127.0.0.2")
    worker = processes.worker(address, "127.0.0.3")
    before = complete()
    client = processes.start("-m", "tests.studies.client", str(study.folder), address)
    processes.wait(lambda: complete() >= before + 2, scheduler, worker, client)
    kill(client)
    assert complete() < 20

    with connected(address) as client:
        result = run(study, client)
    assert result.message.values.ravel().tolist() == [""] * 20
    assert complete() == 20
    assert not list((study.folder / "attempts").iterdir())
    assert all(
        run_file.read_run(study.path(cell)).records.step.values.tolist() == list(range(1, 13)) for cell in study.cells
    )
    bare = run_sequentially(make_study("bare", seeds=range(10), length=12))
    assert result.drop_vars([*MEASURED, "run"]).equals(bare.drop_vars([*MEASURED, "run"]))


@pytest.mark.exhaustive
def test_cell_that_kills_its_workers_fails_only_itself(make_study, tmp_path):
    """As with a run that is killed because it uses too much memory."""
    study = make_study(axes={"drift": (0.0, -9.0)}, seeds=(0,))
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster,
        distributed.Client(cluster) as client,
    ):
        result = run(study, client)
    assert result.status.values.ravel().tolist() == ["finished", "failed"]
    assert "KilledWorker" in str(result.message.values[1, 0])
