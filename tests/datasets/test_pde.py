"""The generator of waves against exact solutions and another integrator, what it conserves, and its random numbers."""

from dataclasses import replace
from math import pi

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from workbench.datasets.pde import equations
from workbench.datasets.pde.etdrk4 import Stepper, advection, integrate
from workbench.datasets.pde.etdrk4 import waves as wave_numbers
from workbench.datasets.pde.rollout import follow

SHORT = {
    name: replace(setup, frames=20, kept=20, end=setup.end * 20 / setup.frames)
    for name, setup in equations.SETUPS.items()
    if name != "burgers"  # begins steeper than the grid resolves; what is kept is smooth
}
SHORT["burgers"] = equations.SETUPS["burgers"]


def soliton(x: np.ndarray, time: float, speed: float, length: float) -> np.ndarray:
    """3 c sech^2(sqrt(c) / 2 (x - c t)), centred on the interval."""
    place = (x - speed * time + length / 2) % length - length / 2
    return 3 * speed / np.cosh(np.sqrt(speed) / 2 * place) ** 2


def advance(start: np.ndarray, length: float, time: float, steps: int, *, dealias: bool = False) -> np.ndarray:
    """KdV from start (N) to a time, in one frame."""
    L = torch.tensor([length], dtype=torch.float64)
    linear = equations.EQUATIONS["kdv"].symbol(wave_numbers(len(start), L))
    stepper = Stepper.of(linear, torch.tensor([time / steps]).double(), *advection(len(start), L, dealias=dealias))
    return integrate(torch.from_numpy(start)[None], stepper, frames=2, substeps=steps)[0, 1].numpy()


def test_a_soliton_travels_unchanged():
    length, speed, time = 60.0, 1.3, 10.0
    x = length / 256 * np.arange(256)
    found = advance(soliton(x, 0.0, speed, length), length, time, 2000)
    # the tails that meet at the ends of the interval are below 1e-13
    assert np.abs(found - soliton(x, time, speed, length)).max() < 2e-6


def test_the_method_is_of_fourth_order():
    length = 60.0
    start = soliton(length / 128 * np.arange(128), 0.0, 1.0, length)
    exact = advance(start, length, 2.0, 4096)
    coarse, fine = (np.abs(advance(start, length, 2.0, steps) - exact).max() for steps in (64, 128))
    assert 12 < coarse / fine < 20


@pytest.mark.parametrize("name", ["kdv-easy", "ks"])
def test_another_integrator_agrees(name):
    setup = replace(SHORT[name], points=64, frames=12, kept=12)
    made = equations.simulate(setup, range(1), seed=3)
    u, length, times = made.u[0], made.lengths[0], made.t[0]
    k = 2 * pi * np.fft.rfftfreq(64, 1 / 64) / length
    slope = 1j * np.where(np.arange(33) == 32, 0.0, k)
    symbol = equations.EQUATIONS[setup.equation].symbol(torch.from_numpy(k)).numpy()
    if setup.equation == "kdv":
        symbol[-1] = 0.0

    def rate(time, values):
        return np.fft.irfft(symbol * np.fft.rfft(values) - slope / 2 * np.fft.rfft(values**2))

    solution = solve_ivp(rate, (0, times[-1]), u[0], method="DOP853", t_eval=times, rtol=1e-9, atol=1e-9)
    assert np.abs(solution.y.T - u).max() < 1e-6 * np.abs(u).max()


def test_burgers_by_cole_hopf_is_what_the_integrator_finds():
    setup = replace(equations.SETUPS["burgers"], kept=60)
    made = equations.simulate(setup, range(2), seed=0)
    for u, t, length in zip(made.u, made.t, made.lengths, strict=True):
        products = [(equations.VISCOSITY, 2, (0,)), (-0.5, 1, (0, 0))]
        again = follow(u[0], products, length, t[1] - t[0], frames=60, substeps=20)
        assert np.abs(again - u).max() < 1e-6 * np.abs(u).max()


@pytest.mark.parametrize("name", list(equations.SETUPS))
def test_what_an_equation_conserves_is_conserved(name):
    setup = SHORT[name]
    made = equations.simulate(setup, range(3), seed=1)
    assert not made.failed
    for u in made.u:
        drift = equations.drift(u[0], u, equations.EQUATIONS[setup.equation])
        assert drift[1] < 1e-12
        assert drift.get(2, 0.0) < 2e-6
    if setup.equation == "ks":
        # which conserves no more than the mean: the measure is able to see it
        assert equations.drift(made.u[0, 0], made.u[0], equations.EQUATIONS["kdv"])[2] > 1e-2


def test_a_trajectory_depends_on_seed_split_and_index_alone():
    setup = SHORT["kdv-easy"]
    together = equations.simulate(setup, range(4), seed=5)
    alone = equations.simulate(setup, range(2, 3), seed=5)
    np.testing.assert_allclose(alone.u[0], together.u[2], rtol=0, atol=1e-12)
    for other in (
        equations.simulate(setup, range(2, 3), seed=6),
        equations.simulate(setup, range(2, 3), seed=5, split=1),
        equations.simulate(setup, range(3, 4), seed=5),
    ):
        assert np.abs(other.u - alone.u).max() > 0.1


def test_parameters_are_the_published_ones():
    made = equations.simulate(replace(equations.SETUPS["kdv-easy"], end=0.5, frames=2, kept=2), range(200), seed=0)
    ends = made.t[:, -1]
    assert 0.45 < ends.min() < 0.46
    assert 0.54 < ends.max() < 0.55
    assert not made.failed
    assert 115.2 < made.lengths.min() < 117
    assert 139 < made.lengths.max() < 140.8
    powers = np.abs(np.fft.rfft(made.u[:, 0], norm="forward"))
    # two waves, drawn with equal odds: ten sines of mean square 1/24
    assert powers[:, 3:].max() < 1e-12
    assert np.mean(made.u[:, 0] ** 2) == pytest.approx(10 / 24, rel=0.15)


def test_dealiasing_changes_nothing_that_is_resolved():
    length = 60.0
    start = soliton(length / 256 * np.arange(256), 0.0, 0.5, length)
    plain, cut = (advance(start, length, 1.0, 200, dealias=dealias) for dealias in (False, True))
    assert np.abs(plain - cut).max() < 1e-9
    rough = soliton(length / 32 * np.arange(32), 0.0, 3.0, length)
    plain, cut = (advance(rough, length, 1.0, 200, dealias=dealias) for dealias in (False, True))
    assert np.abs(plain - cut).max() > 1e-3


def test_a_trajectory_that_fails_is_zero_and_named():
    wild = replace(equations.SETUPS["kdv"], substeps=1, frames=10, kept=10, end=1000.0, waves=400)
    made = equations.simulate(wild, range(7, 9), seed=0)
    assert set(made.failed) == {7, 8}
    assert all(made.failed.values())
    assert not made.u.any()


def test_an_equation_that_blows_up_is_followed_to_there():
    start = np.sin(2 * pi * np.arange(64) / 64)
    grows = follow(start, [(1.0, 0, (0,))], 1.0, 0.5, frames=20)
    np.testing.assert_allclose(grows[:4], start * np.exp(0.5 * np.arange(4))[:, None], atol=1e-9)
    lost = int(np.argmax(np.isnan(grows).any(axis=1)))
    assert 20 * np.exp(-0.5) < np.exp(0.5 * (lost - 1)) <= 20
    assert np.isnan(grows[lost:]).all()
