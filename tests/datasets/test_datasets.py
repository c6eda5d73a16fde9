"""Records: schema, data folder, file replacement, windows, and the Lorenz system."""

import os

import numpy as np
import pytest
import torch
import xarray as xr
from scipy.integrate import solve_ivp

from workbench.datasets import schema, store, windows
from workbench.datasets.ode import lorenz, reference


def record(**changes: object) -> xr.Dataset:
    """A valid record of 5 points and 2 variables, with some parts replaced."""
    attributes = {"units": "m", "long_name": "height"}
    parts = {
        "data": (("time", "variable"), np.arange(10.0).reshape(5, 2), attributes),
        "time": ("time", np.arange(5.0), {"units": "s", "long_name": "time"}),
        "variable": ["a", "b"],
    } | changes
    return xr.Dataset({name: part for name, part in parts.items() if part is not None}).set_coords(
        [name for name in ("time", "variable") if parts[name] is not None]
    )


def test_check_returns_a_valid_record():
    valid = record()
    assert schema.check(valid) is valid
    assert schema.uniform_step(valid) == 1.0


ATTRIBUTES = {"units": "s", "long_name": "time"}
INVALID = {
    "no data": ({"data": None}, "needs a variable 'data'"),
    "no time": ({"time": None}, "needs a coordinate 'time'"),
    "other dims": ({"data": (("time", "place"), np.zeros((5, 2)))}, r"data must be over \('time', 'variable'\)"),
    "integers": ({"data": (("time", "variable"), np.zeros((5, 2), int))}, "floating-point values, found int64"),
    "no units": ({"data": (("time", "variable"), np.zeros((5, 2)))}, "data has no attribute 'units'"),
    "no units of time": ({"time": ("time", np.arange(5.0))}, "time has no attribute 'units'"),
    "a gap": (
        {"data": (("time", "variable"), np.where(np.arange(10).reshape(5, 2) == 7, np.nan, 1.0), ATTRIBUTES)},
        "data must be finite; it is nan at grid point 3, variable b",
    ),
    "repeated time": (
        {"time": ("time", np.array([0.0, 1, 1, 2, 3]), ATTRIBUTES)},
        "times must increase: grid point 2 is at 1, after 1",
    ),
    "same name twice": ({"variable": ["a", "a"]}, "variable names must be unique"),
}


@pytest.mark.parametrize("fault", INVALID)
def test_check_raises_for_an_invalid_record(fault):
    changes, message = INVALID[fault]
    with pytest.raises(ValueError, match=message):
        schema.check(record(**changes))


def test_uniform_step_raises_for_nonuniform_times():
    nonuniform = record(time=("time", np.array([0.0, 1, 2, 3.5, 4.5]), ATTRIBUTES))
    with pytest.raises(ValueError, match=r"after grid point 2 is 1\.5"):
        schema.uniform_step(schema.check(nonuniform))


def test_the_data_folder_follows_the_environment_variable(monkeypatch, tmp_path):
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path / "elsewhere"))
    assert store.data_folder() == tmp_path / "elsewhere"
    assert not store.data_folder().exists()
    monkeypatch.delenv("WORKBENCH_DATA")
    monkeypatch.chdir(tmp_path)
    assert store.data_folder() == tmp_path / "data"


def test_files_are_replaced_atomically(tmp_path):
    path = tmp_path / "new" / "file.txt"
    with store.replacing(path) as part:
        part.write_text("old")

    def fail() -> None:
        with store.replacing(path) as part:
            part.write_text("half")
            assert path.read_text() == "old"
            raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError, match="interrupted"):
        fail()
    assert path.read_text() == "old"
    assert os.listdir(path.parent) == ["file.txt"]


def test_windows_are_views_of_the_record():
    states = windows.tensor(record())
    view = windows.windows(states, 3, 2)
    assert torch.equal(view, torch.stack([states[0:3], states[2:5]]))
    states[2] = 100.0
    assert (view[0, 2] == 100).all(), "windows must not copy the record"
    assert windows.count(5, 3, 2) == len(view)
    with pytest.raises(ValueError, match=r"the window \(6 grid points\) is longer than the record \(5 grid points\)"):
        windows.windows(states, 6, 1)


def test_tensors_are_over_time_and_variable_for_any_order():
    transposed = record().transpose("variable", "time")
    assert torch.equal(windows.tensor(transposed), windows.tensor(record()))


def test_the_lorenz_truth_solves_the_lorenz_equations():
    record = lorenz.simulate(points=301, step=0.01, noise=0.0, seed=0)
    assert (record["data"] == record["truth"]).all()

    def rhs(_, s):
        return 10 * (s[1] - s[0]), s[0] * (28 - s[2]) - s[1], s[0] * s[1] - 8 / 3 * s[2]

    oracle = solve_ivp(rhs, (0, 3), (1, 1, 1), method="Radau", rtol=1e-9, atol=1e-9, t_eval=record["time"].values)
    np.testing.assert_allclose(record["truth"].values, oracle.y.T, atol=1e-4)


def test_noise_has_the_given_sd_and_depends_on_the_seed():
    records = {seed: lorenz.simulate(points=4000, step=0.01, noise=0.5, seed=seed) for seed in (1, 2)}
    repeated = lorenz.simulate(points=4000, step=0.01, noise=0.5, seed=1)
    assert records[1].identical(repeated)
    noise = {seed: (record["data"] - record["truth"]).values for seed, record in records.items()}
    np.testing.assert_allclose(noise[1].std(axis=0), 0.5, rtol=0.04)
    assert abs(np.corrcoef(noise[1].ravel(), noise[2].ravel())[0, 1]) < 0.05


def test_changing_a_record_does_not_change_the_next_one():
    first = lorenz.simulate(points=50, step=0.01, noise=0.0, seed=0)
    first["truth"][:] = 0.0
    second = lorenz.simulate(points=50, step=0.01, noise=0.0, seed=0)
    assert second["truth"].values[0].tolist() == [1, 1, 1]
    assert second["truth"].values.std() > 0.1


def test_the_reference_raises_with_the_time_of_the_failure():
    with pytest.raises(ArithmeticError, match="before time 1"), pytest.warns(UserWarning, match="dop853"):
        reference.reference(lambda _, s: s**2, (1.0,), np.array([0.0, 0.5, 1.5]))
