"""Workers, scheduler and client killed in the middle of a study, each a process at a loopback address of its own."""

import sys
from collections.abc import Iterator

import dask
import distributed
import pytest

from tests.studies.processes import Processes, kill
from tests.studies.test_engine import MEASURED, one_by_one
from tests.waiting import PATIENCE
from workbench.studies import connected, follow, run
from workbench.training import run_file

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.2 and so on are there on Linux only")


@pytest.fixture
def processes(tmp_path) -> Iterator[Processes]:
    made = Processes(tmp_path)
    yield made
    made.end()


@pytest.mark.slow
@pytest.mark.exhaustive
def test_every_cell_is_complete_once_whoever_was_killed(processes, make_study, tmp_path):
    study = make_study(seeds=range(10), length=12, delay=0.08)
    folder = study.folder / "cells"
    kept = {}

    def complete() -> int:
        """How many cells are complete; none is ever replaced or lost."""
        now = {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.glob("*.nc")}
        assert kept.items() <= now.items()
        kept.update(now)
        return len(now)

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
    workers[1].wait(PATIENCE)  # finishes or drops what it computes, and leaves

    scheduler, address = processes.scheduler("127.0.0.2")
    worker = processes.worker(address, "127.0.0.3")
    before = complete()
    client = processes.start("-m", "tests.studies.client", str(study.folder), address)
    processes.wait(lambda: complete() >= before + 2, scheduler, worker, client)
    kill(client)
    assert complete() < 20

    with connected(address) as client:
        found = run(study, client)
    assert found.message.values.ravel().tolist() == [""] * 20
    assert complete() == 20
    assert not list((study.folder / "attempts").iterdir())
    assert all(
        run_file.read_run(study.path(cell)).records.step.values.tolist() == list(range(1, 13)) for cell in study.cells
    )
    bare = one_by_one(make_study("bare", seeds=range(10), length=12))
    assert found.drop_vars([*MEASURED, "run"]).equals(bare.drop_vars([*MEASURED, "run"]))


@pytest.mark.exhaustive
def test_a_cell_that_ends_its_workers_fails_alone(make_study, tmp_path):
    """Also what a run that takes too much memory looks like: the system ends its process."""
    study = make_study(axes={"drift": (0.0, -9.0)}, seeds=(0,))
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster,
        distributed.Client(cluster) as client,
    ):
        found = run(study, client)
    assert found.status.values.ravel().tolist() == ["finished", "failed"]
    assert "KilledWorker" in str(found.message.values[1, 0])
