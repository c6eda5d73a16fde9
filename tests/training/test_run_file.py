"""Run files: round trip, errors for invalid files, and readability after a kill."""

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import fields, replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

from workbench.training import run_file
from workbench.training.run_file import Run

ROOT = Path(__file__).parents[2]


def full(path: Path) -> Run:
    """A run with all fields set."""
    steps = np.arange(1, 4)
    return Run(
        path=path,
        experiment="fake",
        config={"size": 3, "mode": "quick", "noise": 0.1},
        status="stopped",
        message="stopped by the user",
        created="2026-01-02T03:04:05+00:00",
        versions={"python": "3.13"},
        total=9,
        records=xr.Dataset(
            {"loss": ("step", [3.0, 2.0, np.nan]), "coefficients": (("step", "c", "v"), np.ones((3, 2, 1)))},
            coords={"step": steps},
        ),
        state={
            "layer.0.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
            "mask": np.array([[True], [False]]),
            "count": np.array(3),
            "random": np.array([2**64 - 1], dtype=np.uint64),
            "bytes": np.arange(256, dtype=np.uint8),
        },
        state_step=3,
        best_state={"count": np.array(2)},
        best_step=2,
        best_era=1,
        coefficients=xr.Dataset({"estimate": (("candidate", "variable"), [[1.0]])}, coords={"candidate": ["x y"]}),
        trajectory=xr.Dataset({"data": ("time", [1.0, np.nan])}, coords={"time": ("time", [0.0, 0.1], {"units": "s"})}),
        metrics={"rmse": 0.25},
    )


def test_round_trip(tmp_path):
    run = full(tmp_path / "new" / "run.nc")
    run_file.write_run(run)
    read = run_file.read_run(run.path)
    for field in fields(Run):
        expected, value = getattr(run, field.name), getattr(read, field.name)
        if isinstance(expected, xr.Dataset):
            xr.testing.assert_identical(expected, value)
        elif field.name.endswith("state"):
            assert expected.keys() == value.keys()
            for name, array in expected.items():
                np.testing.assert_array_equal(array, value[name], strict=True)
        else:
            assert expected == value, field.name


def test_run_without_steps_round_trips(tmp_path):
    run = Run(tmp_path / "run.nc", "fake", {}, "running")
    run_file.write_run(run)
    read = run_file.read_run(run.path)
    assert (read.steps, read.state, read.best_state, read.coefficients) == (0, {}, {}, None)


def test_plain_hdf5_and_netcdf_readers_read_the_records(tmp_path):
    run = full(tmp_path / "run.nc")
    run_file.write_run(run)
    with h5py.File(run.path) as file:
        np.testing.assert_array_equal(file["records/loss"][:2], [3.0, 2.0])
        assert file.attrs["experiment"] == "fake"
    with xr.open_dataset(run.path, group="records", engine="h5netcdf") as records:
        assert records.sizes["step"] == 3


def broken(path: Path, fault: str) -> None:
    if fault == "text":
        path.write_text("hello")
    elif fault == "cut":
        run_file.write_run(full(path))
        path.write_bytes(path.read_bytes()[:2000])
    elif fault == "other":
        xr.Dataset({"sst": ("time", [1.0])}).to_netcdf(path, engine="h5netcdf")
    elif fault == "newer":
        run_file.write_run(full(path))
        with h5py.File(path, "a") as file:
            file.attrs["format_version"] = run_file.FORMAT_VERSION + 1
    elif fault == "bad json":
        run_file.write_run(full(path))
        with h5py.File(path, "a") as file:
            file.attrs["config"] = "{"


MESSAGES = {
    "text": "not a readable run file",
    "cut": "not a readable run file",
    "other": "not a run file",
    "newer": "newer version",
    "bad json": "not a readable run file",
}


@pytest.mark.parametrize("fault", MESSAGES)
def test_invalid_file_raises_with_the_reason(fault, tmp_path):
    path = tmp_path / "run.nc"
    broken(path, fault)
    with pytest.raises(ValueError, match=MESSAGES[fault]):
        run_file.read_run(path)


def test_missing_file_raises(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no run file"):
        run_file.read_run(tmp_path / "run.nc")


def test_list_is_newest_first_and_includes_unreadable_files(tmp_path):
    for day in (3, 1, 2):
        run = full(tmp_path / f"run{day}.nc")
        run_file.write_run(replace(run, created=f"2026-01-{day:02d}T00:00:00+00:00"))
    broken(tmp_path / "bad.nc", "text")
    (tmp_path / ".run9.nc.part").write_text("half written")
    summaries = run_file.list_runs(tmp_path)
    assert [summary.path.stem for summary in summaries] == ["run3", "run2", "run1", "bad"]
    assert "not a readable run file" in summaries[-1].error
    first = summaries[0]
    assert (first.experiment, first.steps, first.metrics) == ("fake", 3, {"rmse": 0.25})
    assert run_file.list_runs(tmp_path / "nowhere") == []


def test_new_runs_have_distinct_names(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    assert run_file.runs_folder() == tmp_path / "runs"
    paths = {run_file.new_run_path("lorenz", tmp_path) for _ in range(50)}
    assert len(paths) == 50
    assert all(path.stem.replace("-", "").isalnum() and path.suffix == ".nc" for path in paths)


TRAINERS = """
import os, sys
from pathlib import Path
from tests.training import fake
from workbench.training import Training

def train(path):
    run = Training(fake, fake.Config(length=10**6, size=200_000), path=path)
    for record in run:
        run.save()
        if record.step == 2:
            print(os.getpid(), flush=True)

for path in sys.argv[1:]:
    child = os.fork()
    if child == 0:
        train(Path(path))
    os.waitpid(child, 0)
    print("dead", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_kill_at_any_moment_leaves_a_readable_file(tmp_path):
    """One process imports everything, then forks a training per file, one at a time."""
    paths, draw = [tmp_path / f"run{i}.nc" for i in range(8)], random.Random(0)
    with subprocess.Popen([sys.executable, "-c", TRAINERS, *paths], cwd=ROOT, stdout=subprocess.PIPE) as process:
        for path in paths:
            trainer = int(process.stdout.readline())
            time.sleep(draw.uniform(0, 0.1))
            os.kill(trainer, signal.SIGKILL)
            assert process.stdout.readline() == b"dead\n"
            read = run_file.read_run(path)
            assert read.status == "running"
            assert read.steps >= 2
            assert int(read.state["counts"][0]) == read.state_step == read.steps
