"""Discovery by projection and Gauss-Newton: what it finds, step by step, and what it refuses."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from tests.discovery.discoveries import QUADRATIC, TRUE, TRUTH, found, lorenz_record, noisy, rmse
from workbench.datasets.ode import lorenz, reference
from workbench.discovery.data import Trajectory
from workbench.discovery.engine import blocks
from workbench.discovery.engine.preparation import Settings
from workbench.discovery.engine.projection import Projection, discover
from workbench.discovery.engine.tangent import Tangent
from workbench.symbolic.library import Library, Polynomials
from workbench.symbolic.recipe import LibrarySpec

# what it finds


def test_without_noise_the_coefficients_are_right_to_five_digits():
    result = discover([lorenz_record(points=10_000)], QUADRATIC)
    assert ((result.coefficients != 0) == TRUE).all()
    assert np.abs(result.coefficients - TRUTH).max() < 5e-5
    assert not result.denoised


@pytest.mark.parametrize("seed", [0, 100])
@pytest.mark.parametrize("noise,bound", [(0.1, 0.02), (0.5, 0.1), (1.0, 0.25)])
def test_the_equations_are_found_in_noise(noise, bound, seed):
    result = found(noise, seed)
    assert ((result.coefficients != 0) == TRUE).all()
    assert rmse(result.coefficients) < bound
    assert result.denoised


def test_gauss_newton_beats_projection_alone_and_the_states_come_clean():
    record = lorenz_record(1.0)
    plain = discover([record], QUADRATIC, Settings(denoise=False, n_bootstrap=20))
    assert rmse(found(1.0).coefficients) < 0.3 * rmse(plain.coefficients)
    off = found(1.0).states[0] - lorenz_record().values.numpy()
    assert np.sqrt(np.mean(off**2)) < 0.3


def test_a_term_that_others_nearly_imitate_is_found_again():
    """Backward elimination alone replaces y by y z in the second equation of so short a record."""
    assert ((found(1.0, 0, 1000).coefficients != 0) == TRUE).all()


def rossler(time: float, state: np.ndarray) -> tuple[float, float, float]:
    x, y, z = state.tolist()
    return -y - z, x + 0.2 * y, 0.2 + z * (x - 5.7)


def test_another_system_coarsely_sampled_needs_no_other_setting():
    times = 0.05 * np.arange(3000)
    result = discover([noisy(times, reference.reference(rossler, (1, 1, 1), times), 0.1)], QUADRATIC)
    terms = {(QUADRATIC.names[c], v): result.coefficients[c, v] for c, v in np.argwhere(result.coefficients)}
    expected = {("y", 0): -1, ("z", 0): -1, ("x", 1): 1, ("y", 1): 0.2, ("1", 2): 0.2, ("z", 2): -5.7, ("x z", 2): 1}
    assert terms == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("noise,error", [(0.0, 1e-6), (0.05, 0.02)])
def test_a_second_order_equation_with_a_sine_is_found(noise, error):
    def pendulum(time: float, state: np.ndarray) -> tuple[float, float]:
        return state[1], -0.1 * state[1] - 4 * np.sin(state[0])

    times = 0.02 * np.arange(2000)
    library = LibrarySpec(degree=2, frequencies=(1.0,), order=2).library(("q",))
    result = discover([noisy(times, reference.reference(pendulum, (2.5, 0), times)[:, :1], noise)], library)
    terms = {library.names[c]: result.coefficients[c, 0] for c, _ in np.argwhere(result.coefficients)}
    assert terms == pytest.approx({"q'": -0.1, "sin(q)": -4.0}, abs=error)
    assert result.states[0].shape == (2000, 2)


def test_several_uneven_trajectories_with_gaps_and_missing_values():
    generator, records = np.random.default_rng(1), []
    for start in [(1, 1, 1), (-5, 2, 20)]:
        times = np.cumsum(generator.uniform(0.006, 0.014, 1500))
        times[700:] += 2.0
        record = noisy(times, reference.reference(lorenz.rhs, start, times), 0.2, seed=2)
        record.values[torch.from_numpy(generator.random((1500, 3)) < 0.05)] = torch.nan
        records.append(record)
    result = discover(records, QUADRATIC, Settings(n_bootstrap=20))
    assert ((result.coefficients != 0) == TRUE).all()
    assert rmse(result.coefficients) < 0.1
    assert [states.shape for states in result.states] == [(1500, 3)] * 2


def test_what_is_known_stays():
    known = np.full(TRUTH.shape, np.nan)
    known[0], known[1:3, 0] = 0.0, (-10, 10)
    result = discover([lorenz_record(0.5)], QUADRATIC, Settings(fixed_coefficients=known, n_bootstrap=20))
    assert (result.coefficients[1:3, 0] == [-10, 10]).all()
    assert (result.coefficients[0] == 0).all()
    assert (result.lower[1:3, 0] == [-10, 10]).all()
    assert (result.deviation[1:3, 0] == 0).all()
    assert rmse(result.coefficients) < 0.1


@pytest.mark.exhaustive
@examples(max_examples=4, deadline=None)
@given(st.lists(st.floats(-3, 3), min_size=4, max_size=4))
def test_units_of_states_and_time_do_not_matter(powers):
    *states, time = (2.0 ** round(4 * power) for power in powers)
    record, units = lorenz_record(0.1, points=1000), torch.tensor(states, dtype=torch.float64)
    other = Trajectory(record.times * time, record.values * units)
    plain, scaled = (discover([r], QUADRATIC, Settings(n_bootstrap=20)).coefficients for r in (record, other))
    expected = plain * units.numpy() / QUADRATIC(units).numpy()[:, None] / time
    np.testing.assert_allclose(scaled, expected, rtol=1e-6)


def test_the_reference_solver_and_chunks_agree(monkeypatch):
    record = lorenz_record(0.1, points=120)
    results = [discover([record], QUADRATIC, Settings(backend=b, n_bootstrap=20, window=10)) for b in ("auto", "dense")]
    monkeypatch.setattr(blocks, "CHUNK", 3000)
    results.append(discover([record], QUADRATIC, Settings(n_bootstrap=20, window=10)))
    assert results[0].denoised
    for other in results[1:]:
        np.testing.assert_allclose(other.coefficients, results[0].coefficients, rtol=1e-5)


# steps


def test_terms_fall_away_one_per_equation_and_step_before_the_states_are_corrected():
    model, kept = Projection([lorenz_record(points=2000)], QUADRATIC), []
    while not model.done:
        assert len(kept) < model.total_steps
        metrics = model.step()
        kept.append((model.coefficients() != 0).sum(axis=0))
        assert metrics["terms"] == kept[-1].sum()
    assert kept[0].tolist() == [10, 10, 10]
    assert (np.diff(kept, axis=0) >= -1).all()
    assert kept[-1].tolist() == [2, 3, 2]


def test_answers_that_are_not_finite_are_an_error_at_first_and_a_message_later(monkeypatch):
    model = Projection([lorenz_record(0.5, points=500)], QUADRATIC)
    whole = Tangent.__call__
    monkeypatch.setattr(Tangent, "__call__", lambda self, f, v: whole(self, f, v) * torch.nan)
    with pytest.raises(FloatingPointError, match="not finite"):
        Projection([lorenz_record(0.5, points=500)], QUADRATIC).step()
    monkeypatch.setattr(Tangent, "__call__", whole)
    while not model.done:
        if model._now is not None:
            monkeypatch.setattr(Tangent, "__call__", lambda self, f, v: whole(self, f, v) * torch.nan)
        model.step()
    monkeypatch.setattr(Tangent, "__call__", whole)
    assert "not finite" in model.result().message
    assert not model.result().denoised


# what it refuses


def record_of(values: list[float], **changes: object) -> Trajectory:
    return Trajectory(torch.arange(float(len(values))).double(), torch.tensor(values).double()[:, None])


@pytest.mark.parametrize(
    "make,words",
    [
        (lambda: record_of([1.0] * 50), "variable x never changes"),
        (lambda: record_of([1.0, 2.0, 3.0]), "at least 5 grid points"),
        (lambda: record_of([torch.nan] * 50), "expected measured values"),
        (lambda: record_of([torch.inf] * 50), "infinite"),
        (lambda: Trajectory(torch.zeros(5).double(), torch.zeros(5, 1).double()), "times: expected"),
        (lambda: Trajectory(torch.arange(4.0).double(), torch.zeros(5, 1).double()), "a trajectory: expected"),
    ],
)
def test_a_bad_record_is_refused_in_words(make, words):
    with pytest.raises(ValueError, match=words):
        discover([make()], Polynomials(("x",), 1))


def test_bad_settings_are_refused_in_words():
    record = lorenz_record(points=200)
    for settings, words in [
        (Settings(window=500), r"the window \(500 grid points\) is longer than the record \(200 grid points\)"),
        (Settings(derivatives=1), "derivatives: expected more than the order"),
        (Settings(fixed_coefficients=np.zeros((2, 2))), r"fixed_coefficients: expected"),
    ]:
        with pytest.raises(ValueError, match=words):
            discover([record], QUADRATIC, settings)
    with pytest.raises(ValueError, match="expected 2 variables"):
        discover([record], Library(("x", "y"), Polynomials(("x", "y"), 1)._nodes))
