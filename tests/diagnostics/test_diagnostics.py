"""Errors, horizons, Lyapunov exponents, residuals and Pareto fronts of models with known equations."""

import numpy as np
import pytest

from tests.diagnostics import systems
from workbench.datasets.ode import lorenz
from workbench.diagnostics import Discovered, horizon, lyapunov, pareto, residuals, simulate, simulation_errors

DATA = lorenz.simulate(points=4000, step=0.01, noise=0, seed=0)
TIMES, STATES = DATA["time"].values, DATA["truth"].values


# errors and horizon


def test_an_exact_model_has_the_longest_horizon():
    simulation = simulate(systems.lorenz(), STATES[0], TIMES[:1500])
    result = horizon(TIMES[:1500], simulation.states, STATES[:1500], exponent=lorenz.LYAPUNOV_EXPONENT)
    assert (result.whole, result.variable) == (True, None)
    assert result.time == pytest.approx(14.99)
    assert result.lyapunov_times == pytest.approx(14.99 * 0.906)
    assert simulation_errors(simulation.states, STATES[:1500]).total < 1e-4


def test_a_wrong_model_has_a_finite_horizon():
    wrong = systems.lorenz(x={"x": -10.1, "y": 10.1})
    simulation = simulate(wrong, STATES[0], TIMES)
    result = horizon(TIMES, simulation.states, STATES, exponent=0.906)
    assert not result.whole
    assert 0.5 < result.time < 15
    first = np.argmax(np.isclose(TIMES, result.time))
    apart = np.abs(simulation.states - STATES) / STATES.std(axis=0)
    assert apart[first, result.variable] > 0.1 >= apart[:first].max()


def test_missing_states_end_the_horizon():
    times, data = np.arange(6.0) / 2, np.array([[0.0, 1.0], [2.0, 1.0]] * 3)
    states = data.copy()
    states[4:] = np.nan
    result = horizon(times, states, data, exponent=-0.5)
    assert (result.time, result.whole, result.lyapunov_times) == (2.0, False, None)


def test_errors_are_over_the_covered_grid_points():
    data = np.array([[0.0, 0.0], [2.0, 20.0], [0.0, 0.0], [2.0, 20.0]])
    states = data + np.array([1.0, 5.0])
    errors = simulation_errors(states, data)
    assert errors.rmse.tolist() == [1.0, 5.0]
    assert errors.relative.tolist() == [1.0, 0.5]
    assert errors.total == pytest.approx(np.sqrt(1.25 / 2))
    assert errors.covered == 1.0
    states[2:] = np.nan
    assert simulation_errors(states, data).covered == pytest.approx(1 / 3)
    states[1:] = np.nan
    assert np.isnan(simulation_errors(states, data).total)
    with pytest.raises(ValueError, match="expected the shape of the data"):
        simulation_errors(states[:3], data)


# Lyapunov exponent


def test_the_lyapunov_exponent_of_lorenz():
    result = lyapunov(systems.lorenz(), STATES[500:], step=0.01)
    assert result.exponent == pytest.approx(lorenz.LYAPUNOV_EXPONENT, rel=0.03)
    assert abs(result.exponent - lorenz.LYAPUNOV_EXPONENT) < 4 * result.error < 0.04
    assert result.message.startswith("chaotic: perturbations grow e-fold in 1.")


@pytest.mark.parametrize(
    "model,starts,expected,message",
    [
        (systems.logistic(), [[0.9], [1.1]], -1.5, "stable"),
        (systems.oscillator(), [[1.0, 0.0], [0.0, 2.0]], 0.0, "neither growth nor decay"),
        (systems.oscillator(damping=0.8), [[1.0, 0.0], [0.0, 2.0]], -0.4, "stable"),
        (systems.model(("x",), {"x": {"x": 0.3}}), [[1e-6]], 0.3, "chaotic"),
    ],
)
def test_the_lyapunov_exponent_of_simple_systems(model, starts, expected, message):
    result = lyapunov(model, np.array(starts), step=0.02)
    assert result.exponent == pytest.approx(expected, abs=0.02)
    assert result.message.startswith(message)
    assert np.isnan(result.error) == (len(starts) == 1)


def test_trajectories_that_blow_up_are_excluded():
    model = systems.model(("x",), {"x": {"x": -1.0, "x^3": 1.0}}, degree=3)
    result = lyapunov(model, np.array([[0.1], [0.2], [2.0]]), step=0.01)
    assert result.exponent == pytest.approx(-1.0, abs=0.01)
    assert result.lost == pytest.approx(1 / 3)
    lost = lyapunov(model, np.array([[3.0], [2.0]]), step=0.01)
    assert np.isnan(lost.exponent)
    assert "100% of the trajectories blow up" in lost.message


# residuals


def test_an_exact_model_has_no_residuals():
    result = residuals(systems.lorenz(), TIMES, STATES)
    assert result.values.shape == (len(TIMES) - 1, 3)
    assert result.share.max() < 1e-6
    assert result.message == ""


def test_the_residuals_of_an_exact_model_are_the_noise():
    noisy = STATES + np.random.default_rng(0).normal(size=STATES.shape)
    result = residuals(systems.lorenz(), TIMES, noisy)
    np.testing.assert_allclose(result.correlation, -0.5, atol=0.05)
    np.testing.assert_allclose(result.values.std(axis=0), np.sqrt(2), rtol=0.15)
    assert result.message == ""


def test_a_missing_term_gives_autocorrelated_residuals():
    result = residuals(systems.lorenz(y={"x": 28.0, "y": -1.0, "x z": -0.9}), TIMES, STATES)
    assert result.message.startswith("the residuals of y are autocorrelated")


def test_residuals_on_uneven_times():
    times = np.cumsum(np.random.default_rng(0).uniform(0.01, 0.1, 80))
    result = residuals(systems.logistic(), times, systems.logistic_curve(times)[:, None])
    assert np.abs(result.values).max() < 1e-8
    with pytest.raises(ValueError, match="at least 3, one per time"):
        residuals(systems.logistic(), times[:2], systems.logistic_curve(times)[:2, None])


# Pareto front


def test_the_front_contains_the_pareto_optimal_models():
    terms = [5, 3, 4, 3, 9, 7, 8]
    errors = [0.2, 0.9, 0.95, 0.8, 0.009, 0.01, np.nan]
    front = pareto(terms, errors)
    assert front.front == (3, 0, 5, 4)
    assert front.knee == 5


def test_the_knee_of_lorenz_models_is_the_true_number_of_terms():
    full = systems.lorenz()
    order = np.argwhere(full.coefficients)
    models, errors = [], []
    for count in range(1, 8):
        coefficients = np.zeros_like(full.coefficients)
        coefficients[tuple(order[:count].T)] = full.coefficients[tuple(order[:count].T)]
        models.append(Discovered(full.library, coefficients))
    noise = np.random.default_rng(0).normal(size=full.coefficients.shape) * 1e-4
    models.append(Discovered(full.library, full.coefficients + noise))
    errors = [float(np.linalg.norm(residuals(m, TIMES, STATES).share)) for m in models]
    errors[-1] = errors[-2] * 0.9
    front = pareto([m.terms for m in models], errors)
    assert (models[front.knee].terms, front.front[-1]) == (7, 7)


@pytest.mark.parametrize(
    "terms,errors,front", [([3], [0.5], (0,)), ([3, 2], [0.1, 0.5], (1, 0)), ([1, 2], [0.1, 0.1], (0,))]
)
def test_small_fronts(terms, errors, front):
    result = pareto(terms, errors)
    assert (result.front, result.knee) == (front, front[-1])


@pytest.mark.parametrize("terms,errors", [([1, 2], [0.1]), ([1], [-0.1]), ([1], [np.nan])])
def test_invalid_errors_raise_an_error(terms, errors):
    with pytest.raises(ValueError, match="errors: expected"):
        pareto(terms, errors)


# models


@pytest.mark.parametrize(
    "shape,value,message", [((2, 3), 0.0, "expected the shape"), ((10, 3), np.inf, "finite numbers")]
)
def test_invalid_coefficients_raise_an_error(shape, value, message):
    with pytest.raises(ValueError, match=message):
        Discovered(systems.lorenz().library, np.full(shape, value))
