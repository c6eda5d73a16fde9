"""Simulation of models with known solutions, stiff models and models that blow up."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from tests.diagnostics import systems
from workbench.datasets.ode import lorenz
from workbench.diagnostics import simulate, simulate_bounded


def test_logistic_growth_matches_the_closed_form():
    times = np.sort(np.random.default_rng(0).uniform(0, 8, 40))
    times[0] = 0.0
    simulation = simulate(systems.logistic(), (0.1,), times)
    np.testing.assert_allclose(simulation.states[:, 0], systems.logistic_curve(times), rtol=1e-8)
    assert (simulation.ending, simulation.stiff, simulation.message) == ("whole", False, "")
    assert simulation.reached == times[-1]


@pytest.mark.parametrize("damping", [0.0, 0.4])
def test_a_second_order_oscillator_matches_the_closed_form(damping):
    times = np.linspace(1.0, 21.0, 300)
    simulation = simulate(systems.oscillator(damping), (1.0, -damping / 2), times)
    root = -damping / 2 + 1j * np.sqrt(4 - damping**2 / 4)
    expected = np.exp(root * (times - 1))
    np.testing.assert_allclose(simulation.states[:, 0], expected.real, atol=1e-8)
    np.testing.assert_allclose(simulation.states[:, 1], (root * expected).real, atol=1e-8)


def test_time_dependent_forcing():
    model = systems.model(("x",), {"x": {"cos(2 t)": 1.0}}, frequencies=(2.0,), time=True)
    times = np.linspace(0, 10, 50)
    np.testing.assert_allclose(simulate(model, (0.0,), times).states[:, 0], np.sin(2 * times) / 2, atol=1e-8)


def test_a_stiff_model_switches_to_the_implicit_method():
    model = systems.van_der_pol(1000.0)
    simulation = simulate(model, (2.0, 0.0), np.array([0.0, 700.0]))
    assert (simulation.ending, simulation.stiff) == ("whole", True)
    assert "stiff: switched from DOP853 to Radau at time" in simulation.message
    expected = solve_ivp(model.rates, (0, 700), (2.0, 0.0), method="LSODA", rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(simulation.states[-1, 0], expected.y[0, -1], rtol=1e-6)


def test_a_nonstiff_model_keeps_the_explicit_method():
    assert not simulate(systems.lorenz(), lorenz.START, np.linspace(0, 40, 100)).stiff


def test_a_blow_up_ends_the_simulation_and_keeps_the_states_before():
    model = systems.model(("x", "y"), {"x": {"x^2": 1.0}, "y": {"y": -1.0}})
    times = np.linspace(0, 2, 81)
    simulation = simulate(model, (1.0, 1.0), times)
    assert simulation.ending == "blow-up"
    assert simulation.message.startswith("x exceeds 1e+06 at time 0.99999")
    before = times < 1
    np.testing.assert_allclose(simulation.states[before, 0], 1 / (1 - times[before]), rtol=1e-6)
    assert np.isnan(simulation.states[~before]).all()
    assert simulation.reached == pytest.approx(1, abs=1e-4)


def test_an_undefined_right_hand_side_ends_the_simulation():
    model = systems.model(("x",), {"x": {"1": -1.0, "sqrt(x)": -0.1}}, expressions=("sqrt(x)",))
    simulation = simulate(model, (1.0,), np.linspace(0, 2, 50))
    assert simulation.ending == "no value"
    assert "undefined beyond time 0.9" in simulation.message
    assert np.isfinite(simulation.states[simulation.times < 0.9]).all()
    assert simulate(model, (-1.0,), np.linspace(0, 2, 5)).message == "the right-hand side is undefined at the start"


def test_too_many_evaluations_end_the_simulation():
    simulation = simulate(systems.lorenz(), lorenz.START, np.linspace(0, 1000, 1001), evaluations=5000)
    assert simulation.ending == "too costly"
    assert "after 5000 evaluations" in simulation.message
    assert 1 < np.isfinite(simulation.states[:, 0]).sum() < 1000


@pytest.mark.parametrize(
    "start,times,message",
    [
        ((1.0, 2.0), [0.0, 1.0], "expected 3 columns"),
        ((1.0, np.nan, 1.0), [0.0, 1.0], "expected finite"),
        ((1.0, 1.0, 1.0), [0.0], "at least 2, strictly increasing"),
        ((1.0, 1.0, 1.0), [0.0, 1.0, 1.0], "at least 2, strictly increasing"),
    ],
)
def test_invalid_starts_and_times_raise_an_error(start, times, message):
    with pytest.raises(ValueError, match=message):
        simulate(systems.lorenz(), start, np.array(times))


# bounded simulation of any right-hand side


def test_a_bounded_simulation_matches_the_closed_form():
    times = np.linspace(0, 3, 301)
    states = simulate_bounded(lambda _, s: (s[1], -s[0]), (1.0, 0.0), times, limit=10)
    np.testing.assert_allclose(states, np.stack([np.cos(times), -np.sin(times)], axis=1), atol=1e-6)


def test_a_bounded_simulation_is_nan_after_a_blow_up():
    times = np.linspace(0, 3, 301)
    states = simulate_bounded(lambda _, s: s**2, (1.0,), times, limit=1e3)  # 1 / (1 - t)
    assert np.isnan(states[101:]).all()
    finite = np.isfinite(states[:, 0])
    assert finite[0]
    np.testing.assert_allclose(states[finite, 0], 1 / (1 - times[finite]), rtol=1e-4)


def test_a_bounded_simulation_stops_after_too_many_evaluations():
    calls = []

    def rhs(time, state):
        calls.append(time)
        return -1e7 * (state - np.cos(1e7 * time))

    states = simulate_bounded(rhs, (0.0,), np.linspace(0, 100, 1001), limit=10, evaluations=2000)
    assert len(calls) <= 2000
    assert np.isnan(states[-1]).all()
