"""Studies on workers: results, resumption, failures and cancellation."""

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
from workbench.studies.runner import WorkerTasks, tasks_of
from workbench.studies.task import publish, record_failure, run_cell
from workbench.training import run_file as runs

MEASURED = ["seconds", "memory_mb"]


def run_sequentially(study: Study) -> xr.Dataset:
    """Run the cells in this process, in order."""
    for task in tasks_of(study.experiment, study.cells, study.folder, threads=1):
        run_cell(task)
    return results(study)


def read_diary(study: Study) -> list[list[str]]:
    return [line.split() for line in Path(study.settings["diary"]).read_text().splitlines()]


def test_results_equal_those_of_sequential_runs(client, make_study):
    study = make_study(delay=0.01)
    result = run(study, client)
    assert dict(result.sizes) == {"drift": 2, "seed": 3}
    assert result.drop_vars(MEASURED).identical(run_sequentially(make_study("bare", delay=0.01)).drop_vars(MEASURED))
    assert (result.status == "finished").all()
    assert len(np.unique(result.distance)) == 6
    assert (result.seconds >= 0.06).all()
    assert (result.memory_mb > 1).all()
    assert result.seconds.attrs["units"] == "s"
    for cell in study.cells:
        run_file = runs.read_run(study.path(cell))
        assert result.distance[cell.place] == run_file.metrics["distance"]
        assert str(result.run.values[cell.place]) == study.path(cell).name
        assert run_file.config["seed"] == result.seed.values[cell.place[-1]]
    with xr.open_dataset(study.folder / "study.nc", engine="h5netcdf") as saved:
        assert saved.equals(result)
    assert not list((study.folder / "attempts").iterdir())


@pytest.mark.exhaustive
def test_lorenz_results_are_bitwise_equal_to_sequential_runs(client, tmp_path):
    axes, settings = {"noise": (0.0, 0.1)}, {"points": 400, "mode": "projection", "n_bootstrap": 20}
    result = run(Study(tmp_path / "a", "lorenz", axes, range(2), settings), client)
    bare = run_sequentially(Study(tmp_path / "b", "lorenz", axes, range(2), settings))
    assert result.drop_vars(MEASURED).identical(bare.drop_vars(MEASURED))
    assert "metric_noise" in result
    assert (result.recall.sel(noise=0) == 1).all()


def test_study_of_a_system(client, tmp_path):
    result = run(Study(tmp_path / "a", "van_der_pol", {"noise": (0.0, 1.0)}, range(1), {"points": 500}), client)
    assert (result.status == "finished").all()
    assert (result.recall == 1).all()


def test_complete_cells_are_not_repeated_when_a_study_is_extended(client, make_study, tmp_path):
    diary_path = str(tmp_path / "diary")
    first = make_study(diary=diary_path)
    run(first, client)
    before = {path: path.stat().st_ino for path in first.folder.glob("cells/*.nc")}
    grown = make_study(axes={"drift": (0.25, 0.5)}, seeds=range(4), diary=diary_path)
    result = run(grown, client)
    assert (result.status == "finished").all()
    assert len(read_diary(grown)) == 6 * (6 + 5)
    assert {path: path.stat().st_ino for path in before} == before


def test_failed_cell_is_recorded_and_others_are_run(client, make_study):
    study = make_study(axes={"drift": (-10, 0), "fail_at": (0, 4)}, seeds=(0,))
    result = run(study, client).squeeze("seed")
    assert result.status.values.tolist() == [["failed", "failed"], ["finished", "failed"]]
    assert str(result.message.sel(drift=0, fail_at=4).item()) == "ArithmeticError: the ground gave way"
    assert "FileNotFoundError: there are no data so far out" in str(result.message.sel(drift=-10, fail_at=0).item())
    assert result.steps.sel(drift=0).values.tolist() == [6, 3]
    assert np.isnan(result.distance.sel(drift=-10)).all()
    times = {path: path.stat().st_mtime_ns for path in study.folder.glob("cells/*.nc")}
    run(study, client)
    assert times == {path: path.stat().st_mtime_ns for path in times}
    run(study, client, retry_failed=True)
    unchanged = [path for path, time in times.items() if path.stat().st_mtime_ns == time]
    assert [runs.summarise(path).status for path in unchanged] == ["finished"]
    assert results(study).squeeze("seed").status.identical(result.status)


def test_write_error_on_a_worker_fails_its_cell_only(client, make_study, monkeypatch):
    study = make_study(axes={"drift": (0.0,)})
    failing = study.path(study.cells[1])
    move = os.replace

    def fail_on_full_disk(source, target):
        if str(target).startswith(str(study.folder / "attempts" / failing.stem)):
            raise OSError("no space left on device")
        move(source, target)

    monkeypatch.setattr("workbench.datasets.store.os.replace", fail_on_full_disk)
    monkeypatch.setattr("workbench.studies.runner.record_failure", with_free_disk(monkeypatch))
    result = run(study, client)
    assert result.status.values.tolist() == [["finished", "failed", "finished"]]
    assert "no space left" in str(result.message.values[0, 1])


def with_free_disk(monkeypatch):
    """`record_failure` with free disk space, as on the disk of the client."""

    def record(*arguments):
        monkeypatch.undo()
        return record_failure(*arguments)

    return record


def test_cancelled_study_resumes_without_repeating_a_step(client, make_study, tmp_path):
    axes, diary_path = {"delay": (0.0, 0.1)}, tmp_path / "diary"
    study, stop = make_study(axes=axes, seeds=(0,), length=60, diary=str(diary_path)), threading.Event()
    outcomes = follow(study, client, stop=stop)
    assert next(outcomes).id == study.cells[0].id
    while not list((study.folder / "attempts").glob("*.nc")):
        time.sleep(0.02)
    stop.set()
    assert list(outcomes) == []
    assert (study.folder / "halt").exists()
    (stopped,) = wait_until_saved(study)
    assert 0 < stopped.state_step < 60
    result = run(study, client)
    assert (result.status == "finished").all()
    assert len(read_diary(study)) == 2 * 60  # no step is repeated
    bare = run_sequentially(make_study("bare", axes={"delay": (0.0, 0.001)}, seeds=(0,), length=60))
    assert result.distance.values.tolist() == bare.distance.values.tolist()


def wait_until_saved(study: Study) -> list[runs.Run]:
    """Runs saved by interrupted cells, once no cell is running."""
    attempts: list[runs.Run] = []

    def saved() -> bool:
        attempts[:] = [runs.read_run(path) for path in (study.folder / "attempts").glob("*.nc")]
        return bool(attempts) and all(run.status == "stopped" for run in attempts)

    wait_until(saved, "interrupted cells are saved")
    return attempts


def test_worker_that_does_not_see_the_folder_sends_the_run_file(client, make_study):
    study = make_study()
    with WorkerTasks(client, study.folder) as running:
        for task in tasks_of("walk", study.cells, study.folder, threads=1):
            running.add(replace(task, key="another folder of this path"))
        outcomes = list(running)
    assert [outcome.status for outcome in outcomes] == ["finished"] * 6
    result = results(study)
    bare = run_sequentially(make_study("bare"))
    assert result.drop_vars(MEASURED).identical(bare.drop_vars(MEASURED))


def test_first_completion_of_a_cell_is_kept(make_study):
    study = make_study()
    task = tasks_of("walk", study.cells, study.folder, threads=1)[0]
    assert run_cell(task).status == "finished"
    path = study.path(study.cells[0])
    inode = path.stat().st_ino
    assert run_cell(task).status == "finished"
    other = path.with_name("other.nc")
    other.write_text("second")
    publish(other, path)
    assert path.stat().st_ino == inode
    assert not other.exists()


def test_gpu_runs_one_cell_at_a_time(make_study, tmp_path):
    study = make_study(axes={"drift": (0.0,)}, seeds=range(4), length=2, delay=0.05, diary=str(tmp_path / "diary"))
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=4, processes=False, resources={"GPU": 1}, dashboard_address="127.0.0.1:0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        run(study, client)
    spans = sorted((float(line[3]), float(line[4])) for line in read_diary(study))
    assert all(end <= begin for (_, end), (begin, _) in pairwise(spans))


def test_local_workers_have_separate_gpus(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    specs = worker_specs(3, gpus=2, cpu_workers=8)
    options = [spec["options"] for spec in specs.values()]
    assert [option.get("env") for option in options] == [{"CUDA_VISIBLE_DEVICES": gpu} for gpu in "25"] + [None]
    assert [option.get("resources") for option in options] == [{"GPU": 1}, {"GPU": 1}, None]
    assert {option["nthreads"] for option in options} == {1}
    assert len(worker_specs(None, gpus=0, cpu_workers=0)) == 1
    assert len(worker_specs(None, gpus=2, cpu_workers=8)) == 2


def test_study_without_workers_raises_with_the_command_to_start_one(make_study, monkeypatch):
    monkeypatch.setattr("workbench.studies.runner.PATIENCE", 0.2)
    with (
        distributed.LocalCluster(n_workers=0, processes=False, dashboard_address="127.0.0.1:0") as cluster,
        distributed.Client(cluster) as client,
        pytest.raises(TimeoutError, match=r"no worker has joined .* dask worker"),
    ):
        run(make_study(), client)


def test_results_have_the_settings_as_attributes(client, make_study):
    result = run(make_study(length=3), client)
    assert json.loads(result.attrs["settings"]) == {"length": 3}
    assert result.attrs["experiment"] == "walk"
