"""PDE trajectories: exact solutions, another integrator, conservation laws, random parameters."""

from dataclasses import replace
from math import pi

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from workbench.datasets.pde import equations
from workbench.datasets.pde.etdrk4 import Stepper, advection, integrate, wavenumbers
from workbench.datasets.pde.rollout import rollout

SHORT = {
    name: replace(setup, frames=20, kept=20, end=setup.end * 20 / setup.frames)
    for name, setup in equations.SETUPS.items()
    if name != "burgers"  # its first frames are steeper than the grid resolves
}
SHORT["burgers"] = equations.SETUPS["burgers"]


def soliton(x: np.ndarray, time: float, speed: float, length: float) -> np.ndarray:
    """3 c sech^2(sqrt(c) / 2 (x - c t)), centred on the interval."""
    distance = (x - speed * time + length / 2) % length - length / 2
    return 3 * speed / np.cosh(np.sqrt(speed) / 2 * distance) ** 2


def advance(start: np.ndarray, length: float, time: float, steps: int, *, dealias: bool = False) -> np.ndarray:
    """Solution of KdV at `time` from start (N)."""
    L = torch.tensor([length], dtype=torch.float64)
    linear = equations.EQUATIONS["kdv"].symbol(wavenumbers(len(start), L))
    stepper = Stepper.of(linear, torch.tensor([time / steps]).double(), *advection(len(start), L, dealias=dealias))
    return integrate(torch.from_numpy(start)[None], stepper, frames=2, substeps=steps)[0, 1].numpy()


def test_a_soliton_keeps_its_shape():
    length, speed, time = 60.0, 1.3, 10.0
    x = length / 256 * np.arange(256)
    final = advance(soliton(x, 0.0, speed, length), length, time, 2000)
    # the tails at the ends of the interval are below 1e-13
    assert np.abs(final - soliton(x, time, speed, length)).max() < 2e-6


def test_the_integrator_is_of_fourth_order():
    length = 60.0
    start = soliton(length / 128 * np.arange(128), 0.0, 1.0, length)
    exact = advance(start, length, 2.0, 4096)
    coarse, fine = (np.abs(advance(start, length, 2.0, steps) - exact).max() for steps in (64, 128))
    assert 12 < coarse / fine < 20


@pytest.mark.parametrize("name", ["kdv-easy", "ks"])
def test_dop853_gives_the_same_solution(name):
    setup = replace(SHORT[name], points=64, frames=12, kept=12)
    fields = equations.simulate(setup, range(1), seed=3)
    u, length, times = fields.u[0], fields.lengths[0], fields.t[0]
    k = 2 * pi * np.fft.rfftfreq(64, 1 / 64) / length
    derivative = 1j * np.where(np.arange(33) == 32, 0.0, k)
    symbol = equations.EQUATIONS[setup.equation].symbol(torch.from_numpy(k)).numpy()
    if setup.equation == "kdv":
        symbol[-1] = 0.0

    def rhs(time, values):
        return np.fft.irfft(symbol * np.fft.rfft(values) - derivative / 2 * np.fft.rfft(values**2))

    solution = solve_ivp(rhs, (0, times[-1]), u[0], method="DOP853", t_eval=times, rtol=1e-9, atol=1e-9)
    assert np.abs(solution.y.T - u).max() < 1e-6 * np.abs(u).max()


def test_cole_hopf_solution_of_burgers_equals_the_integrated_one():
    setup = replace(equations.SETUPS["burgers"], kept=60)
    fields = equations.simulate(setup, range(2), seed=0)
    for u, t, length in zip(fields.u, fields.t, fields.lengths, strict=True):
        products = [(equations.VISCOSITY, 2, (0,)), (-0.5, 1, (0, 0))]
        integrated = rollout(u[0], products, length, t[1] - t[0], frames=60, substeps=20)
        assert np.abs(integrated - u).max() < 1e-6 * np.abs(u).max()


@pytest.mark.parametrize("name", list(equations.SETUPS))
def test_conserved_means_do_not_drift(name):
    setup = SHORT[name]
    fields = equations.simulate(setup, range(3), seed=1)
    assert not fields.failed
    for u in fields.u:
        drift = equations.drift(u[0], u, equations.EQUATIONS[setup.equation])
        assert drift[1] < 1e-12
        assert drift.get(2, 0.0) < 2e-6
    if setup.equation == "ks":
        # KS conserves only the mean, so the drift of the mean square is visible
        assert equations.drift(fields.u[0, 0], fields.u[0], equations.EQUATIONS["kdv"])[2] > 1e-2


def test_a_trajectory_depends_only_on_seed_split_and_index():
    setup = SHORT["kdv-easy"]
    batch = equations.simulate(setup, range(4), seed=5)
    single = equations.simulate(setup, range(2, 3), seed=5)
    np.testing.assert_allclose(single.u[0], batch.u[2], rtol=0, atol=1e-12)
    for other in (
        equations.simulate(setup, range(2, 3), seed=6),
        equations.simulate(setup, range(2, 3), seed=5, split=1),
        equations.simulate(setup, range(3, 4), seed=5),
    ):
        assert np.abs(other.u - single.u).max() > 0.1


def test_random_parameters_have_the_published_distribution():
    fields = equations.simulate(replace(equations.SETUPS["kdv-easy"], end=0.5, frames=2, kept=2), range(200), seed=0)
    ends = fields.t[:, -1]
    assert 0.45 < ends.min() < 0.46
    assert 0.54 < ends.max() < 0.55
    assert not fields.failed
    assert 115.2 < fields.lengths.min() < 117
    assert 139 < fields.lengths.max() < 140.8
    powers = np.abs(np.fft.rfft(fields.u[:, 0], norm="forward"))
    # ten sines of mean square 1/24 with wavenumbers 1 and 2
    assert powers[:, 3:].max() < 1e-12
    assert np.mean(fields.u[:, 0] ** 2) == pytest.approx(10 / 24, rel=0.15)


def test_dealiasing_does_not_change_resolved_solutions():
    length = 60.0
    start = soliton(length / 256 * np.arange(256), 0.0, 0.5, length)
    aliased, dealiased = (advance(start, length, 1.0, 200, dealias=dealias) for dealias in (False, True))
    assert np.abs(aliased - dealiased).max() < 1e-9
    rough = soliton(length / 32 * np.arange(32), 0.0, 3.0, length)
    aliased, dealiased = (advance(rough, length, 1.0, 200, dealias=dealias) for dealias in (False, True))
    assert np.abs(aliased - dealiased).max() > 1e-3


def test_failed_trajectories_are_zero_and_listed():
    unstable = replace(equations.SETUPS["kdv"], substeps=1, frames=10, kept=10, end=1000.0, waves=400)
    fields = equations.simulate(unstable, range(7, 9), seed=0)
    assert set(fields.failed) == {7, 8}
    assert all(fields.failed.values())
    assert not fields.u.any()


def test_a_diverging_rollout_is_nan_after_it_diverges():
    start = np.sin(2 * pi * np.arange(64) / 64)
    u = rollout(start, [(1.0, 0, (0,))], 1.0, 0.5, frames=20)
    np.testing.assert_allclose(u[:4], start * np.exp(0.5 * np.arange(4))[:, None], atol=1e-9)
    diverged = int(np.argmax(np.isnan(u).any(axis=1)))
    assert 20 * np.exp(-0.5) < np.exp(0.5 * (diverged - 1)) <= 20
    assert np.isnan(u[diverged:]).all()
