"""Discovery from the whole record: short, noisy, uneven, incomplete records, and several equally good models."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from tests.discovery.discoveries import QUADRATIC, TRUE, TRUTH, lorenz_trajectory, noisy_trajectory
from workbench.datasets.ode import lorenz, reference
from workbench.discovery.data import Trajectory
from workbench.discovery.engine.preparation import Settings
from workbench.discovery.engine.projection import Projection
from workbench.discovery.evidence_search import EvidenceSearch
from workbench.discovery.modes import DiscoveryModel, discover, is_clean
from workbench.symbolic.library import LibrarySpec, Polynomials


def terms(result, library):
    return {
        (library.names[c], library.variables[v]): result.coefficients[c, v] for c, v in np.argwhere(result.coefficients)
    }


def trajectory(times: np.ndarray, values: np.ndarray) -> Trajectory:
    return Trajectory(torch.from_numpy(np.asarray(times, dtype=float)), torch.from_numpy(np.asarray(values)))


def pursuit(t, s):
    return s[0] - 0.5 * s[0] * s[1], -0.8 * s[1] + 0.3 * s[0] * s[1]


def short_lorenz(seed: int) -> Trajectory:
    """T = 4 with noise of 20 % of the standard deviation."""
    times = 0.01 * np.arange(401)
    return noisy_trajectory(times, reference.reference(lorenz.rhs, (-8.0, 8.0, 27.0), times), 1.66, seed)


@pytest.fixture(scope="module")
def finished():
    model = EvidenceSearch([lorenz_trajectory(0.5, points=300)], QUADRATIC)
    while not model.done:
        model.step()
    return model


# records as people have them


@pytest.mark.parametrize("seed", [3, 4])
def test_a_short_record_with_much_noise(seed):
    result = discover([short_lorenz(seed)], QUADRATIC)
    assert ((result.coefficients != 0) == TRUE).all()
    assert np.abs(result.residual / 1.66 - 1).max() < 0.15
    assert result.alternatives[0].probability > 0.3
    assert (result.inclusion[TRUE] > 0.3).all()
    outside = (result.lower > TRUTH) | (result.upper < TRUTH)
    assert outside[TRUE].sum() <= 1


def test_many_short_incomplete_records_are_pooled():
    generator, records = np.random.default_rng(0), []
    for _ in range(25):
        times = np.linspace(0, 8, 25)
        states = reference.reference(pursuit, 1 + 4 * generator.random(2), times)
        states[generator.random(states.shape) < 0.5] = np.nan
        records.append(trajectory(times, states))
    found = terms(discover(records, library := Polynomials(("x", "y"), 2)), library)
    expected = {("x", "x"): 1, ("x y", "x"): -0.5, ("y", "y"): -0.8, ("x y", "y"): 0.3}
    assert found == pytest.approx(expected, abs=0.01)


def test_a_few_values_of_many_individuals_at_their_own_times():
    generator, records = np.random.default_rng(0), []
    for _ in range(100):
        times = np.sort(10 * generator.random(8))
        values = (1 + 4 * generator.random()) * np.exp(-0.3 * times) + 0.05 * generator.standard_normal(8)
        records.append(trajectory(times, values[:, None]))
    found = terms(discover(records, library := Polynomials(("x",), 2)), library)
    assert found == pytest.approx({("x", "x"): -0.3}, abs=0.01)


def test_half_of_the_points_dropped_at_random():
    times = np.linspace(0, 10, 512)[np.sort(np.random.default_rng(2).permutation(512)[:256])]
    found = terms(
        discover([trajectory(times, 4.78 * np.exp(0.23 * times)[:, None])], lib := Polynomials(("x",), 3)), lib
    )
    assert found == pytest.approx({("x", "x"): 0.23}, abs=1e-5)


def test_dependent_candidates_are_reduced_to_one_set():
    """S + I + R = 1 on this record."""
    times, library = 0.1 * np.arange(1000), Polynomials(("S", "I", "R"), 2)
    states = reference.reference(
        lambda t, s: (-0.5 * s[0] * s[1], 0.5 * s[0] * s[1] - 0.25 * s[1], 0.25 * s[1]), (0.99, 0.01, 0), times
    )
    found = terms(discover([trajectory(times, states)], library, Settings(denoise=True)), library)
    expected = {("S I", "S"): -0.5, ("S I", "I"): 0.5, ("I", "I"): -0.25, ("I", "R"): 0.25}
    assert found == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("noise,method", [(0.0, "projection"), (0.01, "evidence")])
def test_fixed_coefficients_of_one_equation(noise, method):
    times, library = 0.05 * np.arange(200), Polynomials(("x", "y"), 1)
    fixed = np.full((3, 2), np.nan)
    fixed[:, 0] = [0, 0, 1]
    record = noisy_trajectory(times, np.stack([np.cos(2 * times), -2 * np.sin(2 * times)], axis=1), noise)
    model = DiscoveryModel([record], library, Settings(fixed_coefficients=fixed, n_bootstrap=20))
    assert model.method == method
    while not model.done:
        model.step()
    result = model.result()
    assert result.coefficients[:, 0].tolist() == [0, 0, 1]
    assert terms(result, library) == pytest.approx({("y", "x"): 1, ("x", "y"): -4}, abs=0.05)


def test_hare_and_lynx_by_evidence():
    """Fur returns of the Hudson's Bay Company, 1900 to 1920, in thousands."""
    hare = [30, 47.2, 70.2, 77.4, 36.3, 20.6, 18.1, 21.4, 22, 25.4, 27.1]
    hare += [40.3, 57, 76.6, 52.3, 19.5, 11.2, 7.6, 14.6, 16.2, 24.7]
    lynx = [4, 6.1, 9.8, 35.2, 59.4, 41.7, 19, 13, 8.3, 9.1, 7.4, 8, 12.3, 19.5, 45.7, 51.1, 29.7, 15.8, 9.7, 10.1, 8.6]
    library = Polynomials(("hare", "lynx"), 2)
    found = terms(discover([trajectory(np.arange(21), np.array([hare, lynx]).T)], library), library)
    assert set(found) == {("hare", "hare"), ("hare lynx", "hare"), ("lynx", "lynx"), ("hare lynx", "lynx")}


@pytest.mark.exhaustive
def test_a_coarse_record_without_noise():
    """dt = 0.1: differences take the changes of the Lorenz system for noise of 10 %."""
    times = np.arange(0, 100.05, 0.1)
    result = discover([trajectory(times, reference.reference(lorenz.rhs, (1, 0, 0), times))], QUADRATIC)
    np.testing.assert_allclose(result.coefficients, TRUTH, atol=0.02)
    assert (result.residual < 0.5 * result.noise).all()


def test_a_long_record_is_confirmed_as_a_whole():
    times, library = 0.05 * np.arange(2000), Polynomials(("x", "y"), 2)
    record = noisy_trajectory(times, reference.reference(pursuit, (4.0, 1.0), times), 0.2)
    result = discover([record], library)
    expected = {("x", "x"): 1, ("x y", "x"): -0.5, ("y", "y"): -0.8, ("x y", "y"): 0.3}
    assert terms(result, library) == pytest.approx(expected, abs=0.01)
    assert result.states[0].shape == (2000, 2)
    assert result.window == 2000


# odds


def test_the_odds_name_the_runner_up():
    result = discover([short_lorenz(2)], QUADRATIC)
    odds = [model.probability for model in result.alternatives]
    assert odds == sorted(odds, reverse=True)
    assert 0.3 < odds[0] < 0.95
    assert sum(odds) == pytest.approx(1, abs=0.05)
    np.testing.assert_array_equal(result.alternatives[0].coefficients, result.coefficients)
    present = np.stack([model.coefficients != 0 for model in result.alternatives])
    expected = (np.array(odds)[:, None, None] * present).sum(axis=0)
    np.testing.assert_allclose(result.inclusion, expected, atol=0.05)


def test_intervals_are_those_of_the_covariance_or_wider(finished):
    result = finished.result()
    present = result.coefficients != 0
    margin = (result.upper - result.lower)[present] / 2
    assert (margin >= 1.95 * result.standard_error[present]).all()
    assert (margin <= 4 * result.standard_error[present]).all()
    assert (result.standard_error[~present] == 0).all()


def test_the_noise_level_is_that_of_the_residuals():
    """At this step differences take the changes of the states for noise."""
    times, library = 0.8 * np.arange(120), Polynomials(("x", "y"), 2)
    result = discover([noisy_trajectory(times, reference.reference(pursuit, (8.0, 1.0), times), 0.02)], library)
    assert (result.noise > 0.1).all()
    np.testing.assert_allclose(result.residual, 0.02, rtol=0.25)
    expected = {("x", "x"): 1, ("x y", "x"): -0.5, ("y", "y"): -0.8, ("x y", "y"): 0.3}
    assert terms(result, library) == pytest.approx(expected, abs=0.01)
    assert (result.standard_error[result.coefficients != 0] < 0.003).all()


@pytest.mark.parametrize("terms_of", ["all", "one missing"])
def test_records_without_noise_give_exact_coefficients(terms_of):
    """Fitted with eight derivatives; equations that lack a term keep the result of projection."""
    times = 0.01 * np.arange(400)
    values = reference.reference(lorenz.rhs, (-8.0, 8.0, 27.0), times)
    fixed = np.full((10, 3), np.nan)
    if terms_of == "one missing":
        fixed[np.argwhere(TRUE)[0][0], np.argwhere(TRUE)[0][1]] = 0.0
    result = discover([trajectory(times, values)], QUADRATIC, Settings(fixed_coefficients=fixed))
    error = np.abs(result.coefficients - TRUTH).max()
    if terms_of == "all":
        assert error < 1e-9
        assert ((result.lower <= TRUTH) & (result.upper >= TRUTH)).all()
    else:
        assert error > 0.1
        assert (result.upper - result.lower).max() > 1e-6


def test_a_long_record_is_cut_and_says_so(monkeypatch):
    monkeypatch.setattr("workbench.discovery.evidence_search.LONGEST", 250)
    monkeypatch.setattr("workbench.discovery.evidence_search.HEAD", 150)
    records = [lorenz_trajectory(0.5, points=200, seed=seed) for seed in (0, 1)]
    result = discover(records, QUADRATIC)
    assert result.message == "only the first 250 of 400 times are used: expected at most 250"
    assert [len(own) for own in result.states] == [200, 200]
    assert np.isfinite(result.states[1][:50]).all()
    assert np.isnan(result.states[1][50:]).all()
    assert ((result.coefficients != 0) == TRUE).all()


# steps and state


def test_steps_are_counted_and_the_loss_is_in_noise_levels(finished):
    model, count = EvidenceSearch([lorenz_trajectory(0.5, points=300)], QUADRATIC), 0
    assert model.coefficients().shape == (10, 3)
    assert model.result().coefficients.shape == (10, 3)
    while not model.done:
        metrics, count = model.step(), count + 1
        assert count <= model.total_steps
    assert metrics["loss"] == pytest.approx(1, abs=0.2)
    assert metrics["terms"] == (finished.coefficients() != 0).sum()


@pytest.mark.parametrize("steps", [0, 4, 12])
def test_an_interrupted_search_continues_identically(finished, steps):
    one, other = (EvidenceSearch([lorenz_trajectory(0.5, points=300)], QUADRATIC) for _ in range(2))
    for _ in range(steps):
        one.step()
    other.restore(one.state())
    np.testing.assert_array_equal(other.coefficients(), one.coefficients())
    while not other.done:
        other.step()
    np.testing.assert_array_equal(other.coefficients(), finished.coefficients())


def test_the_state_of_a_finished_search_has_its_result(finished, monkeypatch):
    other = EvidenceSearch([lorenz_trajectory(0.5, points=300)], QUADRATIC)
    monkeypatch.setattr(EvidenceSearch, "_advance", lambda self: pytest.fail("repeated a step"))
    other.restore(finished.state())
    assert other.done
    for name in ("coefficients", "lower", "inclusion", "noise", "terms", "errors"):
        np.testing.assert_array_equal(getattr(other.result(), name), getattr(finished.result(), name))
    np.testing.assert_array_equal(other.result().states[0], finished.result().states[0])
    assert [model.probability for model in other.result().alternatives] == [
        model.probability for model in finished.result().alternatives
    ]


def test_a_state_of_an_earlier_version_continues_by_projection():
    records, settings = [lorenz_trajectory(0.5, points=300)], Settings(denoise=True, n_bootstrap=20)
    earlier = Projection(records, QUADRATIC, settings)
    while not earlier.done:
        earlier.step()
    model = DiscoveryModel(records, QUADRATIC, settings)
    assert model.method == "evidence"
    model.restore(earlier.state())
    assert model.method == "projection"
    assert model.done
    np.testing.assert_array_equal(model.coefficients(), earlier.coefficients())


# choice of the method


def test_complete_records_without_noise_are_projected():
    clean = lorenz_trajectory(points=300)
    holes = Trajectory(clean.times, clean.values.clone())
    holes.values[5, 0] = torch.nan
    assert is_clean([clean])
    assert not is_clean([holes])
    assert not is_clean([lorenz_trajectory(0.5, points=300)])
    for settings, method in [
        (Settings(), "projection"),
        (Settings(denoise=True), "evidence"),
        (Settings(denoise=False), "projection"),
    ]:
        assert DiscoveryModel([clean], QUADRATIC, settings).method == method


# any record gives a model or a named error


@st.composite
def records(draw):
    generator = np.random.default_rng(draw(st.integers(0, 1000)))
    D, count = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    unit, tick = (10.0 ** draw(st.integers(-12, 12)) for _ in range(2))
    kind = draw(st.sampled_from(["walk", "wave", "steps", "noise", "constant"]))
    found = []
    for _ in range(count):
        N = draw(st.integers(2, 40))
        times = np.cumsum(generator.random(N) + (0.01 if draw(st.booleans()) else 5 * generator.random(N) ** 8))
        values = {
            "walk": np.cumsum(generator.standard_normal((N, D)), axis=0),
            "wave": np.sin(times[:, None] + np.arange(D)),
            "steps": np.sign(np.sin(times))[:, None] * np.ones(D),
            "noise": generator.standard_normal((N, D)),
            "constant": np.ones((N, D)),
        }[kind]
        values[generator.random((N, D)) < draw(st.sampled_from([0.0, 0.5]))] = np.nan
        found.append(trajectory(tick * times, unit * values))
    return found, D


@examples(max_examples=15, deadline=None)
@given(records())
def test_any_record_gives_a_model_or_a_named_error(drawn):
    trajectories, D = drawn
    library = LibrarySpec(degree=1, expressions=("x*x", "x^2")).library(("x", "y", "z")[:D])
    try:
        result = discover(trajectories, library)
    except (ValueError, FloatingPointError) as error:
        assert str(error)  # noqa: PT017
        return
    for name in ("coefficients", "lower", "upper", "inclusion"):
        assert np.isfinite(getattr(result, name)).all()
    assert (result.lower <= result.coefficients).all()
    assert (result.coefficients <= result.upper).all()
    assert ((result.inclusion > 0) | (result.coefficients == 0)).all()
