"""Judgements of models whose truth is known: closed forms, Lorenz, stiff and exploding equations."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from tests.diagnostics import systems
from workbench.datasets.ode import lorenz
from workbench.diagnostics import Discovered, horizon, lyapunov, pareto, residuals, simulate, simulation_errors

RECORD = lorenz.simulate(points=4000, step=0.01, noise=0, seed=0)
TIMES, STATES = RECORD["time"].values, RECORD["truth"].values


def logistic_curve(times: np.ndarray, rate: float = 1.5, start: float = 0.1) -> np.ndarray:
    return 1 / (1 + (1 / start - 1) * np.exp(-rate * times))


# simulation


def test_logistic_growth_is_simulated():
    times = np.sort(np.random.default_rng(0).uniform(0, 8, 40))
    times[0] = 0.0
    found = simulate(systems.logistic(), (0.1,), times)
    np.testing.assert_allclose(found.states[:, 0], logistic_curve(times), rtol=1e-8)
    assert (found.ending, found.stiff, found.message, found.reached) == ("whole", False, "", times[-1])


@pytest.mark.parametrize("damping", [0.0, 0.4])
def test_an_oscillator_of_second_order_is_simulated(damping):
    times = np.linspace(1.0, 21.0, 300)
    found = simulate(systems.oscillator(damping), (1.0, -damping / 2), times)
    root = -damping / 2 + 1j * np.sqrt(4 - damping**2 / 4)
    expected = np.exp(root * (times - 1))
    np.testing.assert_allclose(found.states[:, 0], expected.real, atol=1e-8)
    np.testing.assert_allclose(found.states[:, 1], (root * expected).real, atol=1e-8)


def test_time_may_drive_a_model():
    model = systems.model(("x",), {"x": {"cos(2 t)": 1.0}}, frequencies=(2.0,), time=True)
    times = np.linspace(0, 10, 50)
    np.testing.assert_allclose(simulate(model, (0.0,), times).states[:, 0], np.sin(2 * times) / 2, atol=1e-8)


def test_a_stiff_model_goes_to_the_implicit_method_and_says_so():
    model = systems.van_der_pol(1000.0)
    found = simulate(model, (2.0, 0.0), np.array([0.0, 700.0]))
    assert (found.ending, found.stiff) == ("whole", True)
    assert "stiff: DOP853 gave way to Radau at time" in found.message
    expected = solve_ivp(model.rates, (0, 700), (2.0, 0.0), method="LSODA", rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(found.states[-1, 0], expected.y[0, -1], rtol=1e-6)


def test_a_model_that_is_not_stiff_stays_with_the_explicit_method():
    assert not simulate(systems.lorenz(), STATES[0], np.linspace(0, 40, 100)).stiff


def test_a_blow_up_is_told_and_what_came_before_is_kept():
    model = systems.model(("x", "y"), {"x": {"x^2": 1.0}, "y": {"y": -1.0}})
    times = np.linspace(0, 2, 81)
    found = simulate(model, (1.0, 1.0), times)
    assert found.ending == "blow-up"
    assert found.message.startswith("x exceeds 1e+06 at time 0.99999")
    before = times < 1
    np.testing.assert_allclose(found.states[before, 0], 1 / (1 - times[before]), rtol=1e-6)
    assert np.isnan(found.states[~before]).all()
    assert found.reached == pytest.approx(1, abs=1e-4)


def test_a_right_hand_side_without_a_value_is_told():
    model = systems.model(("x",), {"x": {"1": -1.0, "sqrt(x)": -0.1}}, expressions=("sqrt(x)",))
    found = simulate(model, (1.0,), np.linspace(0, 2, 50))
    assert found.ending == "no value"
    assert "no value beyond time 0.9" in found.message
    assert np.isfinite(found.states[found.times < 0.9]).all()
    assert simulate(model, (-1.0,), np.linspace(0, 2, 5)).message == "the right-hand side has no value at the start"


def test_a_simulation_that_costs_too_much_is_stopped():
    found = simulate(systems.lorenz(), STATES[0], np.linspace(0, 1000, 1001), evaluations=5000)
    assert found.ending == "too costly"
    assert "after 5000 evaluations" in found.message
    assert 1 < np.isfinite(found.states[:, 0]).sum() < 1000


@pytest.mark.parametrize(
    "start,times,words",
    [
        ((1.0, 2.0), [0.0, 1.0], "expected 3 columns"),
        ((1.0, np.nan, 1.0), [0.0, 1.0], "expected finite"),
        ((1.0, 1.0, 1.0), [0.0], "at least 2 that increase"),
        ((1.0, 1.0, 1.0), [0.0, 1.0, 1.0], "at least 2 that increase"),
    ],
)
def test_a_bad_start_or_times_are_refused(start, times, words):
    with pytest.raises(ValueError, match=words):
        simulate(systems.lorenz(), start, np.array(times))


@pytest.mark.parametrize(
    "shape,value,words", [((2, 3), 0.0, "expected the shape"), ((10, 3), np.inf, "finite numbers")]
)
def test_bad_coefficients_are_refused(shape, value, words):
    with pytest.raises(ValueError, match=words):
        Discovered(systems.lorenz().library, np.full(shape, value))


# errors and horizon


def test_an_exact_model_foretells_the_whole_simulation():
    found = simulate(systems.lorenz(), STATES[0], TIMES[:1500])
    judged = horizon(TIMES[:1500], found.states, STATES[:1500], exponent=lorenz.LYAPUNOV_EXPONENT)
    assert (judged.whole, judged.variable) == (True, None)
    assert judged.time == pytest.approx(14.99)
    assert judged.lyapunov_times == pytest.approx(14.99 * 0.906)
    assert simulation_errors(found.states, STATES[:1500]).total < 1e-4


def test_a_wrong_model_foretells_for_a_while():
    wrong = systems.lorenz(x={"x": -10.1, "y": 10.1})
    found = simulate(wrong, STATES[0], TIMES)
    judged = horizon(TIMES, found.states, STATES, exponent=0.906)
    assert not judged.whole
    assert 0.5 < judged.time < 15
    first = np.argmax(np.isclose(TIMES, judged.time))
    apart = np.abs(found.states - STATES) / STATES.std(axis=0)
    assert apart[first, judged.variable] > 0.1 >= apart[:first].max()


def test_the_horizon_ends_where_the_states_do():
    times, data = np.arange(6.0) / 2, np.array([[0.0, 1.0], [2.0, 1.0]] * 3)
    states = data.copy()
    states[4:] = np.nan
    judged = horizon(times, states, data, exponent=-0.5)
    assert (judged.time, judged.whole, judged.lyapunov_times) == (2.0, False, None)


def test_errors_are_in_the_units_of_the_variables_and_over_what_is_covered():
    data = np.array([[0.0, 0.0], [2.0, 20.0], [0.0, 0.0], [2.0, 20.0]])
    states = data + np.array([1.0, 5.0])
    found = simulation_errors(states, data)
    assert found.rmse.tolist() == [1.0, 5.0]
    assert found.relative.tolist() == [1.0, 0.5]
    assert found.total == pytest.approx(np.sqrt(1.25 / 2))
    assert found.covered == 1.0
    states[2:] = np.nan
    assert simulation_errors(states, data).covered == pytest.approx(1 / 3)
    states[1:] = np.nan
    assert np.isnan(simulation_errors(states, data).total)
    with pytest.raises(ValueError, match="expected the shape of the data"):
        simulation_errors(states[:3], data)


# chaos


def test_the_lyapunov_exponent_of_lorenz():
    found = lyapunov(systems.lorenz(), STATES[500:], step=0.01)
    assert found.exponent == pytest.approx(lorenz.LYAPUNOV_EXPONENT, rel=0.03)
    assert abs(found.exponent - lorenz.LYAPUNOV_EXPONENT) < 4 * found.error < 0.04
    assert found.message.startswith("chaotic: small differences grow e-fold within 1.")


@pytest.mark.parametrize(
    "model,starts,expected,words",
    [
        (systems.logistic(), [[0.9], [1.1]], -1.5, "stable"),
        (systems.oscillator(), [[1.0, 0.0], [0.0, 2.0]], 0.0, "neither growth nor decay"),
        (systems.oscillator(damping=0.8), [[1.0, 0.0], [0.0, 2.0]], -0.4, "stable"),
        (systems.model(("x",), {"x": {"x": 0.3}}), [[1e-6]], 0.3, "chaotic"),
    ],
)
def test_the_lyapunov_exponent_of_simple_systems(model, starts, expected, words):
    found = lyapunov(model, np.array(starts), step=0.02)
    assert found.exponent == pytest.approx(expected, abs=0.02)
    assert found.message.startswith(words)
    assert np.isnan(found.error) == (len(starts) == 1)


def test_trajectories_that_blow_up_do_not_count():
    model = systems.model(("x",), {"x": {"x": -1.0, "x^3": 1.0}}, degree=3)
    found = lyapunov(model, np.array([[0.1], [0.2], [2.0]]), step=0.01)
    assert found.exponent == pytest.approx(-1.0, abs=0.01)
    assert found.lost == pytest.approx(1 / 3)
    lost = lyapunov(model, np.array([[3.0], [2.0]]), step=0.01)
    assert np.isnan(lost.exponent)
    assert "100% of the trajectories blow up" in lost.message


# residuals


def test_an_exact_model_leaves_nothing_over():
    found = residuals(systems.lorenz(), TIMES, STATES)
    assert found.values.shape == (len(TIMES) - 1, 3)
    assert found.share.max() < 1e-6
    assert found.message == ""


def test_noise_is_left_over_as_noise():
    noisy = STATES + np.random.default_rng(0).normal(size=STATES.shape)
    found = residuals(systems.lorenz(), TIMES, noisy)
    np.testing.assert_allclose(found.correlation, -0.5, atol=0.05)
    np.testing.assert_allclose(found.values.std(axis=0), np.sqrt(2), rtol=0.15)
    assert found.message == ""


def test_a_missing_term_shows_in_the_residuals_of_its_variable():
    found = residuals(systems.lorenz(y={"x": 28.0, "y": -1.0, "x z": -0.9}), TIMES, STATES)
    assert found.message.startswith("what is left over of y is no noise")


def test_residuals_take_uneven_times():
    times = np.cumsum(np.random.default_rng(0).uniform(0.01, 0.1, 80))
    found = residuals(systems.logistic(), times, logistic_curve(times)[:, None])
    assert np.abs(found.values).max() < 1e-8
    with pytest.raises(ValueError, match="at least 3, one per time"):
        residuals(systems.logistic(), times[:2], logistic_curve(times)[:2, None])


# the front


def test_the_front_holds_what_is_not_beaten():
    terms = [5, 3, 4, 3, 9, 7, 8]
    errors = [0.2, 0.9, 0.95, 0.8, 0.009, 0.01, np.nan]
    found = pareto(terms, errors)
    assert found.front == (3, 0, 5, 4)
    assert found.knee == 5


def test_the_knee_of_lorenz_models_is_the_true_number_of_terms():
    full = systems.lorenz()
    order = np.argwhere(full.coefficients)
    models, errors = [], []
    for count in range(1, 8):
        kept = np.zeros_like(full.coefficients)
        kept[tuple(order[:count].T)] = full.coefficients[tuple(order[:count].T)]
        models.append(Discovered(full.library, kept))
    noise = np.random.default_rng(0).normal(size=full.coefficients.shape) * 1e-4
    models.append(Discovered(full.library, full.coefficients + noise))
    errors = [float(np.linalg.norm(residuals(m, TIMES, STATES).share)) for m in models]
    errors[-1] = errors[-2] * 0.9
    found = pareto([m.terms for m in models], errors)
    assert (models[found.knee].terms, found.front[-1]) == (7, 7)


@pytest.mark.parametrize(
    "terms,errors,front", [([3], [0.5], (0,)), ([3, 2], [0.1, 0.5], (1, 0)), ([1, 2], [0.1, 0.1], (0,))]
)
def test_small_fronts(terms, errors, front):
    found = pareto(terms, errors)
    assert (found.front, found.knee) == (front, front[-1])


@pytest.mark.parametrize("terms,errors", [([1, 2], [0.1]), ([1], [-0.1]), ([1], [np.nan])])
def test_bad_errors_are_refused(terms, errors):
    with pytest.raises(ValueError, match="errors: expected"):
        pareto(terms, errors)
