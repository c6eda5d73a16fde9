"""A study over workers: the numbers of one by one, nothing twice, failures noted, cancelled and resumed."""

import json
import os
import threading
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import distributed
import numpy as np
import pytest
import xarray as xr

from tests.waiting import wait_until
from workbench.studies import Study, follow, results, run
from workbench.studies.cluster import worker_specs
from workbench.studies.runner import WorkerTasks, jobs
from workbench.studies.task import publish, record_failure, run_cell
from workbench.training import run_file as runs

MEASURED = ["seconds", "memory_mb"]


def one_by_one(study: Study) -> xr.Dataset:
    """The cells in this process, in order."""
    for job in jobs(study.experiment, study.cells, study.folder, threads=1):
        run_cell(job)
    return results(study)


def diary(study: Study) -> list[list[str]]:
    return [line.split() for line in Path(study.settings["diary"]).read_text().splitlines()]


def test_results_are_those_of_one_by_one_with_time_and_memory(client, make_study):
    study = make_study(delay=0.01)
    found = run(study, client)
    assert dict(found.sizes) == {"drift": 2, "seed": 3}
    assert found.drop_vars(MEASURED).identical(one_by_one(make_study("bare", delay=0.01)).drop_vars(MEASURED))
    assert (found.status == "finished").all()
    assert len(np.unique(found.distance)) == 6
    assert (found.seconds >= 0.06).all()
    assert (found.memory_mb > 1).all()
    assert found.seconds.attrs["units"] == "s"
    for cell in study.cells:
        run_file = runs.read_run(study.path(cell))
        assert found.distance[cell.place] == run_file.metrics["distance"]
        assert str(found.run.values[cell.place]) == study.path(cell).name
        assert run_file.config["seed"] == found.seed.values[cell.place[-1]]
    with xr.open_dataset(study.folder / "study.nc", engine="h5netcdf") as kept:
        assert kept.equals(found)
    assert not list((study.folder / "attempts").iterdir())


@pytest.mark.exhaustive
def test_lorenz_gives_the_same_digits(client, tmp_path):
    axes, settings = {"noise": (0.0, 0.1)}, {"points": 400, "mode": "projection", "n_bootstrap": 20}
    found = run(Study(tmp_path / "a", "lorenz", axes, range(2), settings), client)
    bare = one_by_one(Study(tmp_path / "b", "lorenz", axes, range(2), settings))
    assert found.drop_vars(MEASURED).identical(bare.drop_vars(MEASURED))
    assert "metric_noise" in found
    assert (found.recall.sel(noise=0) == 1).all()


def test_a_system_is_studied_too(client, tmp_path):
    found = run(Study(tmp_path / "a", "van_der_pol", {"noise": (0.0, 1.0)}, range(1), {"points": 500}), client)
    assert (found.status == "finished").all()
    assert (found.recall == 1).all()


def test_complete_cells_are_kept_when_a_study_goes_on_or_grows(client, make_study, tmp_path):
    note = str(tmp_path / "diary")
    first = make_study(diary=note)
    run(first, client)
    before = {path: path.stat().st_ino for path in first.folder.glob("cells/*.nc")}
    grown = make_study(axes={"drift": (0.25, 0.5)}, seeds=range(4), diary=note)
    found = run(grown, client)
    assert (found.status == "finished").all()
    assert len(diary(grown)) == 6 * (6 + 5)
    assert {path: path.stat().st_ino for path in before} == before


def test_a_failing_cell_is_recorded_and_the_rest_goes_on(client, make_study):
    study = make_study(axes={"drift": (-10, 0), "fail_at": (0, 4)}, seeds=(0,))
    found = run(study, client).squeeze("seed")
    assert found.status.values.tolist() == [["failed", "failed"], ["finished", "failed"]]
    assert str(found.message.sel(drift=0, fail_at=4).item()) == "ArithmeticError: the ground gave way"
    assert "FileNotFoundError: there are no data so far out" in str(found.message.sel(drift=-10, fail_at=0).item())
    assert found.steps.sel(drift=0).values.tolist() == [6, 3]
    assert np.isnan(found.distance.sel(drift=-10)).all()
    times = {path: path.stat().st_mtime_ns for path in study.folder.glob("cells/*.nc")}
    run(study, client)
    assert times == {path: path.stat().st_mtime_ns for path in times}
    run(study, client, retry_failed=True)
    kept = [path for path, time in times.items() if path.stat().st_mtime_ns == time]
    assert [runs.summarise(path).status for path in kept] == ["finished"]
    assert results(study).squeeze("seed").status.identical(found.status)


def test_a_worker_that_cannot_keep_its_run_fails_that_cell_alone(client, make_study, monkeypatch):
    study = make_study(axes={"drift": (0.0,)})
    broken = study.path(study.cells[1])
    move = os.replace

    def no_room(source, target):
        if str(target).startswith(str(study.folder / "attempts" / broken.stem)):
            raise OSError("no space left on device")
        move(source, target)

    monkeypatch.setattr("workbench.datasets.store.os.replace", no_room)
    monkeypatch.setattr("workbench.studies.runner.record_failure", restoring(monkeypatch))
    found = run(study, client)
    assert found.status.values.tolist() == [["finished", "failed", "finished"]]
    assert "no space left" in str(found.message.values[0, 1])


def restoring(monkeypatch):
    """`record_failure` where there is room again: the client's disk is another one."""

    def record(*given):
        monkeypatch.undo()
        return record_failure(*given)

    return record


def test_a_cancelled_study_stops_soon_and_goes_on_without_repeating_a_step(client, make_study, tmp_path):
    axes, note = {"delay": (0.0, 0.1)}, tmp_path / "diary"
    study, stop = make_study(axes=axes, seeds=(0,), length=60, diary=str(note)), threading.Event()
    outcomes = follow(study, client, stop=stop)
    assert next(outcomes).id == study.cells[0].id
    while not list((study.folder / "attempts").glob("*.nc")):
        time.sleep(0.02)
    stop.set()
    assert list(outcomes) == []
    assert (study.folder / "halt").exists()
    (stopped,) = wait_until_saved(study)
    assert 0 < stopped.state_step < 60
    found = run(study, client)
    assert (found.status == "finished").all()
    assert len(diary(study)) == 2 * 60  # no step twice
    bare = one_by_one(make_study("bare", axes={"delay": (0.0, 0.001)}, seeds=(0,), length=60))
    assert found.distance.values.tolist() == bare.distance.values.tolist()


def wait_until_saved(study: Study) -> list[runs.Run]:
    """What the interrupted cells have saved, once none is computed any more."""
    found: list[runs.Run] = []

    def saved() -> bool:
        found[:] = [runs.read_run(path) for path in (study.folder / "attempts").glob("*.nc")]
        return bool(found) and all(run.status == "stopped" for run in found)

    wait_until(saved, "interrupted cells are saved")
    return found


def test_a_worker_that_does_not_see_the_folder_sends_the_run_file(client, make_study):
    study = make_study()
    with WorkerTasks(client, study.folder) as running:
        for job in jobs("walk", study.cells, study.folder, threads=1):
            running.add(replace(job, key="another folder of this name"))
        outcomes = list(running)
    assert [outcome.status for outcome in outcomes] == ["finished"] * 6
    found = results(study)
    bare = one_by_one(make_study("bare"))
    assert found.drop_vars(MEASURED).identical(bare.drop_vars(MEASURED))


def test_two_completions_of_a_cell_leave_the_first(make_study):
    study = make_study()
    job = jobs("walk", study.cells, study.folder, threads=1)[0]
    assert run_cell(job).status == "finished"
    path = study.path(study.cells[0])
    inode = path.stat().st_ino
    assert run_cell(job).status == "finished"
    other = path.with_name("other.nc")
    other.write_text("second")
    publish(other, path)
    assert path.stat().st_ino == inode
    assert not other.exists()


def test_a_gpu_serves_one_run_at_a_time(make_study, tmp_path):
    study = make_study(axes={"drift": (0.0,)}, seeds=range(4), length=2, delay=0.05, diary=str(tmp_path / "diary"))
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=4, processes=False, resources={"GPU": 1}, dashboard_address="127.0.0.1:0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        run(study, client)
    spans = sorted((float(line[3]), float(line[4])) for line in diary(study))
    assert all(end <= begin for (_, end), (begin, _) in pairwise(spans))


def test_workers_of_this_machine_have_a_gpu_each_where_there_are_gpus(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    specs = worker_specs(3, gpus=2, room=8)
    options = [spec["options"] for spec in specs.values()]
    assert [option.get("env") for option in options] == [{"CUDA_VISIBLE_DEVICES": gpu} for gpu in "25"] + [None]
    assert [option.get("resources") for option in options] == [{"GPU": 1}, {"GPU": 1}, None]
    assert {option["nthreads"] for option in options} == {1}
    assert len(worker_specs(None, gpus=0, room=0)) == 1
    assert len(worker_specs(None, gpus=2, room=8)) == 2


def test_a_study_without_workers_says_how_to_start_one(make_study, monkeypatch):
    monkeypatch.setattr("workbench.studies.runner.PATIENCE", 0.2)
    with (
        distributed.LocalCluster(n_workers=0, processes=False, dashboard_address="127.0.0.1:0") as cluster,
        distributed.Client(cluster) as client,
        pytest.raises(TimeoutError, match=r"no worker has joined .* dask worker"),
    ):
        run(make_study(), client)


def test_settings_are_kept_with_the_results(client, make_study):
    found = run(make_study(length=3), client)
    assert json.loads(found.attrs["settings"]) == {"length": 3}
    assert found.attrs["experiment"] == "walk"
