"""The solution against closed forms of the differential equations.

The tables are those of SOLVER.md section 5 (the innovation column) and EXPERIMENTS.md section 2.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from benchmarks.solver.accuracy import oscillator_minimiser
from tests.solver.cases import every_linear_backend, every_method
from workbench.solver import LinearODE, solve


@dataclass(frozen=True)
class System:
    """A linear ODE with constant coefficients, its initial values, and the closed form t -> (len(t), D)."""

    coefficients: list[list[list[float]]]  # (E, D, order + 1)
    forcing: list[float]
    initial: list[list[float]]  # (D, K0)
    exact: Callable[[np.ndarray], np.ndarray]


def problem(system: System, K: int, h: float, T: int) -> LinearODE:
    """The system on T grid points with K derivatives, default rows, unit weights."""
    lower = torch.tensor(system.coefficients, dtype=torch.float64)
    coefficients = torch.zeros(1, *lower.shape[:2], K, dtype=torch.float64)
    coefficients[..., : lower.shape[-1]] = lower
    forcing = torch.tensor([system.forcing], dtype=torch.float64)
    initial = torch.tensor([system.initial], dtype=torch.float64)
    return LinearODE(coefficients, forcing, initial, torch.full((1,), h, dtype=torch.float64), n_steps=T, n_initial=1)


def states(system: System, K: int, h: float, T: int, backend: str, method: str) -> tuple[np.ndarray, np.ndarray]:
    """The solver's u and the closed form, both (T, D)."""
    u = solve(problem(system, K, h, T), backend=backend, method=method).u
    return u[..., 0].numpy(), system.exact(h * np.arange(T))


# u'' + 0.1 u' + u = 0, u(0) = 1, u'(0) = 0: the innovation column, within a factor 3. The minimiser itself, computed
# with 50 digits, differs from the closed form by 1.95e-11 and 1.17e-9 at h = 1e-4, T = 1,000 and 10,000; a smaller
# error would be rounding that happens to cancel the discretisation error. The tests compare with the minimiser.


def damped_cosine(t: np.ndarray) -> np.ndarray:
    """u = exp(-a t) (cos(b t) + a/b sin(b t)) with a = 0.05 and b^2 = 1 - a^2."""
    a, b = 0.05, np.sqrt(1 - 0.05**2)
    return (np.exp(-a * t) * (np.cos(b * t) + a / b * np.sin(b * t)))[:, None]


OSCILLATOR = System([[[1, 0.1, 1]]], [0], [[1, 0]], damped_cosine)


@every_linear_backend
@pytest.mark.parametrize("h, T, error", [("1e-3", 1000, 3.9e-12), ("1e-4", 1000, 3.9e-12), ("1e-5", 1000, 3.9e-12)])
def test_accuracy_at_small_steps(h, T, error, backend):
    u, _ = states(OSCILLATOR, 3, float(h), T, backend, "qr")
    assert np.max(np.abs(u[:, 0] - oscillator_minimiser(h, T).numpy())) <= 3 * error


@every_linear_backend
@pytest.mark.parametrize("h, T, error", [(1e-3, 1000, 1.17e-7), (1e-4, 1000, 1.95e-11), (1e-4, 10_000, 1.174e-9)])
def test_the_error_is_that_of_the_discretisation(h, T, error, backend):
    u, exact = states(OSCILLATOR, 3, h, T, backend, "qr")
    assert np.max(np.abs(u - exact)) == pytest.approx(error, rel=0.02)


@pytest.mark.exhaustive
@every_linear_backend
@pytest.mark.slow
def test_accuracy_of_a_long_record(backend):
    u, exact = states(OSCILLATOR, 3, 1e-4, 50_000, backend, "qr")
    assert np.max(np.abs(u - exact)) <= 3 * 1.7e-8


@every_linear_backend
def test_dense_has_the_same_discretisation_error(backend):
    """At h = 1e-3 the discretisation error dominates; the record is short because dense is cubic in T."""
    dense, exact = states(OSCILLATOR, 3, 1e-3, 400, "dense", "qr")
    u, _ = states(OSCILLATOR, 3, 1e-3, 400, backend, "qr")
    assert np.max(np.abs(u - exact)) > 1e-9
    assert np.max(np.abs(u - dense)) <= 1e-11


# Six linear systems with closed forms, h = 0.01, T = 1000


def harmonic(t: np.ndarray, w: float, y0: float, v0: float) -> np.ndarray:
    """y'' = -w^2 y as (y, y'): y = y0 cos(w t) + v0/w sin(w t)."""
    y = y0 * np.cos(w * t) + v0 / w * np.sin(w * t)
    return np.stack([y, v0 * np.cos(w * t) - y0 * w * np.sin(w * t)], axis=-1)


def damped(t: np.ndarray, c0: float, c1: float, y0: float, v0: float) -> np.ndarray:
    """y'' + c1 y' + c0 y = 0 as (y, y'), oscillating: y = exp(-a t) (y0 cos(b t) + s sin(b t)), s = (v0 + a y0)/b."""
    a, b = c1 / 2, np.sqrt(c0 - c1**2 / 4)
    s = (v0 + a * y0) / b
    decay, cos, sin = np.exp(-a * t), np.cos(b * t), np.sin(b * t)
    y = decay * (y0 * cos + s * sin)
    return np.stack([y, -a * y + decay * b * (s * cos - y0 * sin)], axis=-1)


def relaxation(t: np.ndarray, rate: float, limit: float, y0: float) -> np.ndarray:
    """y' = rate (limit - y): y = limit + (y0 - limit) exp(-rate t)."""
    return (limit + (y0 - limit) * np.exp(-rate * t))[:, None]


def third(t: np.ndarray) -> np.ndarray:
    """y2'' + y2' + y2 = 0 with y2 = -1, y2' = 1 at 0; y3 = y2' and, integrating the equation, y1 = -(y3 + y2)."""
    y2, y3 = damped(t, 1, 1, -1, 1).T
    return np.stack([-(y3 + y2), y2, y3], axis=-1)


SYSTEMS = {
    # c2 y' + y / c1 = c0
    "RC": System([[[1 / 1.2, 2.31]]], [0.7], [[10]], lambda t: relaxation(t, 1 / (1.2 * 2.31), 0.7 * 1.2, 10)),
    "population": System([[[-0.23, 1]]], [0], [[4.78]], lambda t: 4.78 * np.exp(0.23 * t)[:, None]),
    "language death": System([[[0.6, 1]]], [0.32], [[0.14]], lambda t: relaxation(t, 0.6, 0.32 / 0.6, 0.14)),
    "harmonic": System(
        [[[0, 1], [-1, 0]], [[2.1, 0], [0, 1]]],
        [0, 0],
        [[0.4], [-0.03]],
        lambda t: harmonic(t, np.sqrt(2.1), 0.4, -0.03),
    ),
    "damped harmonic": System(
        [[[0, 1], [-1, 0]], [[4.5, 0], [0.43, 1]]],
        [0, 0],
        [[0.12], [0.043]],
        lambda t: damped(t, 4.5, 0.43, 0.12, 0.043),
    ),
    "third order": System(
        [[[0, 1], [-1, 0], [0, 0]], [[0, 0], [0, 1], [-1, 0]], [[0, 0], [1, 0], [1, 1]]],
        [0, 0, 0],
        [[0], [-1], [1]],
        third,
    ),
}
TABLE = {  # K = 2, 3, 4, 5
    "RC": (2.4e-6, 7.3e-7, 8.9e-12, 2.5e-12),
    "population": (1.7e-4, 2.0e-6, 3.4e-10, 3.0e-10),
    "language death": (
        5.2e-6,
        1.6e-6,
        5.4e-11,
        6.0e-12,
    ),  # K = 5: 4.6e-12 in the table; the minimiser 6.0e-12
    "harmonic": (3.1e-2, 4.4e-4, 8.4e-8, 9.3e-9),
    "damped harmonic": (1.8e-2, 3.2e-4, 1.3e-7, 1.5e-8),
    "third order": (5.8e-4, 1.4e-5, 1.2e-9, 1.4e-10),
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_closed_forms_satisfy_their_equations(name):
    """By central differences of fourth order."""
    system, s = SYSTEMS[name], 1e-3
    t = np.linspace(0.5, 5, 10)
    y = system.exact
    derivative = (8 * (y(t + s) - y(t - s)) - (y(t + 2 * s) - y(t - 2 * s))) / (12 * s)
    rows = np.einsum("edk,tdk->te", np.array(system.coefficients), np.stack([y(t), derivative], axis=-1))
    np.testing.assert_allclose(rows, np.broadcast_to(system.forcing, rows.shape), atol=1e-9)
    np.testing.assert_allclose(y(np.zeros(1))[0], np.array(system.initial)[:, 0], atol=1e-15)


def relative_error(name: str, K: int, backend: str, method: str) -> float:
    """max |u - exact| over t and variables / max |exact|, h = 0.01, T = 1000."""
    u, exact = states(SYSTEMS[name], K, 0.01, 1000, backend, method)
    return float(np.max(np.abs(u - exact)) / np.max(np.abs(exact)))


@every_linear_backend
@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize("name", SYSTEMS)
def test_tabulated_discretisation_error(name, K, backend):
    """The discretisation error dominates: the error agrees with the table within 20 %."""
    assert relative_error(name, K, backend, "qr") == pytest.approx(TABLE[name][K - 2], rel=0.2)


@every_linear_backend
@pytest.mark.parametrize("K", [4, 5])
@pytest.mark.parametrize("name", SYSTEMS)
def test_tabulated_rounding_error(name, K, backend):
    """Rounding contributes: the error is at most 20 % above the table."""
    assert relative_error(name, K, backend, "qr") <= 1.2 * TABLE[name][K - 2]


@every_linear_backend
@every_method
@pytest.mark.parametrize("K, error", [(3, 4.4e-4), (4, 8.4e-8), (5, 9e-9)])
def test_more_derivatives_are_more_accurate(K, error, method, backend):
    assert relative_error("harmonic", K, backend, method) == pytest.approx(error, rel=0.2)
