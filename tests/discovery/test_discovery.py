"""Discovery by projection and Gauss-Newton: accuracy, steps and errors."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from tests.discovery.discoveries import QUADRATIC, TRUE, TRUTH, discovered, lorenz_trajectory, noisy_trajectory, rmse
from workbench.datasets.ode import lorenz, reference
from workbench.discovery.data import Trajectory
from workbench.discovery.engine import blocks
from workbench.discovery.engine.preparation import Settings
from workbench.discovery.engine.projection import Projection
from workbench.discovery.engine.tangent import Tangent
from workbench.discovery.modes import discover
from workbench.symbolic.library import Library, LibrarySpec, Polynomials

# accuracy


def test_coefficients_without_noise_have_an_error_below_5e_5():
    result = discover([lorenz_trajectory(points=10_000)], QUADRATIC)
    assert ((result.coefficients != 0) == TRUE).all()
    assert np.abs(result.coefficients - TRUTH).max() < 5e-5
    assert not result.denoised


@pytest.mark.parametrize("seed", [0, 100])
@pytest.mark.parametrize("noise,bound", [(0.1, 0.02), (0.5, 0.1), (1.0, 0.25)])
def test_equations_are_discovered_from_noisy_data(noise, bound, seed):
    result = discovered(noise, seed)
    assert ((result.coefficients != 0) == TRUE).all()
    assert rmse(result.coefficients) < bound
    assert result.denoised


def test_gauss_newton_improves_on_projection_and_denoises_the_states():
    trajectory = lorenz_trajectory(1.0)
    plain = discover([trajectory], QUADRATIC, Settings(denoise=False, n_bootstrap=20))
    assert rmse(discovered(1.0).coefficients) < 0.3 * rmse(plain.coefficients)
    errors = discovered(1.0).states[0] - lorenz_trajectory().values.numpy()
    assert np.sqrt(np.mean(errors**2)) < 0.3


def test_exchange_recovers_a_term_from_nearly_collinear_ones():
    """Backward elimination alone selects y z instead of y in the second equation of this short trajectory."""
    assert ((discovered(1.0, 0, 1000).coefficients != 0) == TRUE).all()


def rossler(time: float, state: np.ndarray) -> tuple[float, float, float]:
    x, y, z = state.tolist()
    return -y - z, x + 0.2 * y, 0.2 + z * (x - 5.7)


def test_default_settings_discover_a_coarsely_sampled_system():
    times = 0.05 * np.arange(3000)
    result = discover([noisy_trajectory(times, reference.reference(rossler, (1, 1, 1), times), 0.1)], QUADRATIC)
    terms = {(QUADRATIC.names[c], v): result.coefficients[c, v] for c, v in np.argwhere(result.coefficients)}
    expected = {("y", 0): -1, ("z", 0): -1, ("x", 1): 1, ("y", 1): 0.2, ("1", 2): 0.2, ("z", 2): -5.7, ("x z", 2): 1}
    assert terms == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("noise,error", [(0.0, 1e-6), (0.05, 0.02)])
def test_a_second_order_equation_with_a_sine(noise, error):
    def pendulum(time: float, state: np.ndarray) -> tuple[float, float]:
        return state[1], -0.1 * state[1] - 4 * np.sin(state[0])

    times = 0.02 * np.arange(2000)
    library = LibrarySpec(degree=2, frequencies=(1.0,), order=2).library(("q",))
    result = discover([noisy_trajectory(times, reference.reference(pendulum, (2.5, 0), times)[:, :1], noise)], library)
    terms = {library.names[c]: result.coefficients[c, 0] for c, _ in np.argwhere(result.coefficients)}
    assert terms == pytest.approx({"q'": -0.1, "sin(q)": -4.0}, abs=error)
    assert result.states[0].shape == (2000, 2)


def test_several_uneven_trajectories_with_gaps_and_missing_values():
    generator, trajectories = np.random.default_rng(1), []
    for start in [(1, 1, 1), (-5, 2, 20)]:
        times = np.cumsum(generator.uniform(0.006, 0.014, 1500))
        times[700:] += 2.0
        trajectory = noisy_trajectory(times, reference.reference(lorenz.rhs, start, times), 0.2, seed=2)
        trajectory.values[torch.from_numpy(generator.random((1500, 3)) < 0.05)] = torch.nan
        trajectories.append(trajectory)
    result = discover(trajectories, QUADRATIC, Settings(n_bootstrap=20))
    assert ((result.coefficients != 0) == TRUE).all()
    assert rmse(result.coefficients) < 0.1
    assert [states.shape for states in result.states] == [(1500, 3)] * 2


def test_fixed_coefficients_keep_their_values():
    fixed = np.full(TRUTH.shape, np.nan)
    fixed[0], fixed[1:3, 0] = 0.0, (-10, 10)
    result = discover([lorenz_trajectory(0.5)], QUADRATIC, Settings(fixed_coefficients=fixed, n_bootstrap=20))
    assert (result.coefficients[1:3, 0] == [-10, 10]).all()
    assert (result.coefficients[0] == 0).all()
    assert (result.lower[1:3, 0] == [-10, 10]).all()
    assert (result.standard_error[1:3, 0] == 0).all()
    assert rmse(result.coefficients) < 0.1


@pytest.mark.exhaustive
@examples(max_examples=4, deadline=None)
@given(st.lists(st.floats(-3, 3), min_size=4, max_size=4))
def test_results_do_not_depend_on_units(powers):
    *states, time = (2.0 ** round(4 * power) for power in powers)
    trajectory, units = lorenz_trajectory(0.1, points=1000), torch.tensor(states, dtype=torch.float64)
    other = Trajectory(trajectory.times * time, trajectory.values * units)
    plain, scaled = (discover([r], QUADRATIC, Settings(n_bootstrap=20)).coefficients for r in (trajectory, other))
    expected = plain * units.numpy() / QUADRATIC(units).numpy()[:, None] / time
    np.testing.assert_allclose(scaled, expected, rtol=1e-6)


def test_backends_and_chunk_sizes_agree(monkeypatch):
    trajectory = lorenz_trajectory(0.1, points=120)
    results = [
        discover([trajectory], QUADRATIC, Settings(backend=b, n_bootstrap=20, window=10)) for b in ("auto", "dense")
    ]
    monkeypatch.setattr(blocks, "CHUNK", 3000)
    results.append(discover([trajectory], QUADRATIC, Settings(n_bootstrap=20, window=10)))
    assert results[0].denoised
    for other in results[1:]:
        np.testing.assert_allclose(other.coefficients, results[0].coefficients, rtol=1e-5)


# steps


def test_each_step_drops_at_most_one_term_per_equation():
    model, counts = Projection([lorenz_trajectory(points=2000)], QUADRATIC), []
    while not model.done:
        assert len(counts) < model.total_steps
        metrics = model.step()
        counts.append((model.coefficients() != 0).sum(axis=0))
        assert metrics["terms"] == counts[-1].sum()
    assert counts[0].tolist() == [10, 10, 10]
    assert (np.diff(counts, axis=0) >= -1).all()
    assert counts[-1].tolist() == [2, 3, 2]


def test_non_finite_solutions_raise_at_first_and_end_the_rounds_later(monkeypatch):
    model = Projection([lorenz_trajectory(0.5, points=500)], QUADRATIC)
    original = Tangent.__call__
    monkeypatch.setattr(Tangent, "__call__", lambda self, f, v: original(self, f, v) * torch.nan)
    with pytest.raises(FloatingPointError, match="not finite"):
        Projection([lorenz_trajectory(0.5, points=500)], QUADRATIC).step()
    monkeypatch.setattr(Tangent, "__call__", original)
    while not model.done:
        if model._now is not None:
            monkeypatch.setattr(Tangent, "__call__", lambda self, f, v: original(self, f, v) * torch.nan)
        model.step()
    monkeypatch.setattr(Tangent, "__call__", original)
    assert "not finite" in model.result().message
    assert not model.result().denoised


# errors


def trajectory_of(values: list[float]) -> Trajectory:
    return Trajectory(torch.arange(float(len(values))).double(), torch.tensor(values).double()[:, None])


@pytest.mark.parametrize(
    "make,message",
    [
        (lambda: trajectory_of([1.0] * 50), "variable x is constant"),
        (lambda: trajectory_of([1.0, 2.0, 3.0]), "at least 5 grid points"),
        (lambda: trajectory_of([torch.nan] * 50), "expected measured values"),
        (lambda: trajectory_of([torch.inf] * 50), "infinite"),
        (lambda: Trajectory(torch.zeros(5).double(), torch.zeros(5, 1).double()), "times: expected"),
        (lambda: Trajectory(torch.arange(4.0).double(), torch.zeros(5, 1).double()), "trajectory: expected"),
    ],
)
def test_unsuitable_data_raise_an_error(make, message):
    with pytest.raises(ValueError, match=message):
        discover([make()], Polynomials(("x",), 1))


def test_invalid_settings_raise_an_error():
    trajectory = lorenz_trajectory(points=200)
    for settings, message in [
        (Settings(window=500), r"the window \(500 grid points\) is longer than the record \(200 grid points\)"),
        (Settings(derivatives=1), "derivatives: expected more than the order"),
        (Settings(fixed_coefficients=np.zeros((2, 2))), r"fixed_coefficients: expected"),
    ]:
        with pytest.raises(ValueError, match=message):
            discover([trajectory], QUADRATIC, settings)
    with pytest.raises(ValueError, match="expected 2 variables"):
        discover([trajectory], Library(("x", "y"), Polynomials(("x", "y"), 1)._nodes))
