"""Records: the schema's sentences, the folder, replacing files, windows, and the Lorenz record itself."""

import os

import numpy as np
import pytest
import torch
import xarray as xr
from scipy.integrate import solve_ivp

from workbench.datasets import schema, store, windows
from workbench.datasets.ode import lorenz, reference


def record(**changes: object) -> xr.Dataset:
    """A good record of 5 points and 2 variables, with some of its parts replaced."""
    attributes = {"units": "m", "long_name": "height"}
    parts = {
        "data": (("time", "variable"), np.arange(10.0).reshape(5, 2), attributes),
        "time": ("time", np.arange(5.0), {"units": "s", "long_name": "time"}),
        "variable": ["a", "b"],
    } | changes
    return xr.Dataset({name: part for name, part in parts.items() if part is not None}).set_coords(
        [name for name in ("time", "variable") if parts[name] is not None]
    )


def test_a_good_record_is_given_back():
    good = record()
    assert schema.check(good) is good
    assert schema.uniform_step(good) == 1.0


NAMED = {"units": "s", "long_name": "time"}
BROKEN = {
    "no data": ({"data": None}, "needs a variable 'data'"),
    "no time": ({"time": None}, "needs a coordinate 'time'"),
    "other dims": ({"data": (("time", "place"), np.zeros((5, 2)))}, r"data must lie over \('time', 'variable'\)"),
    "whole numbers": ({"data": (("time", "variable"), np.zeros((5, 2), int))}, "floating-point numbers, found int64"),
    "no units": ({"data": (("time", "variable"), np.zeros((5, 2)))}, "data has no attribute 'units'"),
    "no units of time": ({"time": ("time", np.arange(5.0))}, "time has no attribute 'units'"),
    "a gap": (
        {"data": (("time", "variable"), np.where(np.arange(10).reshape(5, 2) == 7, np.nan, 1.0), NAMED)},
        "data must be finite; it is nan at grid point 3, variable b",
    ),
    "time that stands": (
        {"time": ("time", np.array([0.0, 1, 1, 2, 3]), NAMED)},
        "times must increase: grid point 2 is at 1, after 1",
    ),
    "same name twice": ({"variable": ["a", "a"]}, "names of the variables must differ"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_bad_record_is_refused_in_words(fault):
    changes, words = BROKEN[fault]
    with pytest.raises(ValueError, match=words):
        schema.check(record(**changes))


def test_uneven_times_are_refused_where_one_step_is_needed():
    uneven = record(time=("time", np.array([0.0, 1, 2, 3.5, 4.5]), NAMED))
    with pytest.raises(ValueError, match=r"after grid point 2 is 1\.5"):
        schema.uniform_step(schema.check(uneven))


def test_the_data_folder_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path / "elsewhere"))
    assert store.data_folder() == tmp_path / "elsewhere"
    assert not store.data_folder().exists()
    monkeypatch.delenv("WORKBENCH_DATA")
    monkeypatch.chdir(tmp_path)
    assert store.data_folder() == tmp_path / "data"


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "file.txt"
    with store.replacing(path) as part:
        part.write_text("old")

    def fail() -> None:
        with store.replacing(path) as part:
            part.write_text("half")
            assert path.read_text() == "old"
            raise RuntimeError("in between")

    with pytest.raises(RuntimeError, match="in between"):
        fail()
    assert path.read_text() == "old"
    assert os.listdir(path.parent) == ["file.txt"]


def test_windows_are_the_record_seen_through_a_frame():
    states = windows.tensor(record())
    seen = windows.windows(states, 3, 2)
    assert torch.equal(seen, torch.stack([states[0:3], states[2:5]]))
    states[2] = 100.0
    assert (seen[0, 2] == 100).all(), "windows must not copy the record"
    assert windows.count(5, 3, 2) == len(seen)
    with pytest.raises(ValueError, match=r"the window \(6 grid points\) is longer than the record \(5 grid points\)"):
        windows.windows(states, 6, 1)


def test_the_tensor_has_time_first_however_the_record_lies():
    lying = record().transpose("variable", "time")
    assert torch.equal(windows.tensor(lying), windows.tensor(record()))


def test_the_lorenz_record_obeys_the_lorenz_equations():
    made = lorenz.simulate(points=301, step=0.01, noise=0.0, seed=0)
    assert (made["data"] == made["truth"]).all()

    def flow(_, s):
        return 10 * (s[1] - s[0]), s[0] * (28 - s[2]) - s[1], s[0] * s[1] - 8 / 3 * s[2]

    oracle = solve_ivp(flow, (0, 3), (1, 1, 1), method="Radau", rtol=1e-9, atol=1e-9, t_eval=made["time"].values)
    np.testing.assert_allclose(made["truth"].values, oracle.y.T, atol=1e-4)


def test_noise_has_its_size_and_follows_the_seed():
    made = {seed: lorenz.simulate(points=4000, step=0.01, noise=0.5, seed=seed) for seed in (1, 2)}
    again = lorenz.simulate(points=4000, step=0.01, noise=0.5, seed=1)
    assert made[1].identical(again)
    noise = {seed: (one["data"] - one["truth"]).values for seed, one in made.items()}
    np.testing.assert_allclose(noise[1].std(axis=0), 0.5, rtol=0.04)
    assert abs(np.corrcoef(noise[1].ravel(), noise[2].ravel())[0, 1]) < 0.05


def test_what_a_caller_does_to_a_record_stays_his():
    first = lorenz.simulate(points=50, step=0.01, noise=0.0, seed=0)
    first["truth"][:] = 0.0
    second = lorenz.simulate(points=50, step=0.01, noise=0.0, seed=0)
    assert second["truth"].values[0].tolist() == [1, 1, 1]
    assert second["truth"].values.std() > 0.1


def test_a_guarded_simulation_follows_good_equations():
    times = np.linspace(0, 3, 301)
    states = reference.guarded(lambda _, s: (s[1], -s[0]), (1.0, 0.0), times, limit=10)
    np.testing.assert_allclose(states, np.stack([np.cos(times), -np.sin(times)], axis=1), atol=1e-6)


def test_a_guarded_simulation_is_nan_after_a_blow_up():
    times = np.linspace(0, 3, 301)
    states = reference.guarded(lambda _, s: s**2, (1.0,), times, limit=1e3)  # 1 / (1 - t)
    assert np.isnan(states[101:]).all()
    known = np.isfinite(states[:, 0])
    assert known[0]
    np.testing.assert_allclose(states[known, 0], 1 / (1 - times[known]), rtol=1e-4)


def test_a_guarded_simulation_gives_up_on_costly_equations():
    calls = []

    def rhs(time, state):
        calls.append(time)
        return -1e7 * (state - np.cos(1e7 * time))

    states = reference.guarded(rhs, (0.0,), np.linspace(0, 100, 1001), limit=10, evaluations=2000)
    assert len(calls) <= 2000
    assert np.isnan(states[-1]).all()


def test_the_reference_says_where_it_gave_up():
    with pytest.raises(ArithmeticError, match="before time 1"), pytest.warns(UserWarning, match="dop853"):
        reference.reference(lambda _, s: s**2, (1.0,), np.array([0.0, 0.5, 1.5]))
