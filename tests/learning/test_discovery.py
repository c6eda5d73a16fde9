"""Discovery by projection and Gauss-Newton: what it finds, how sure it is, and what it refuses."""

from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from workbench.datasets import lorenz, simulate, windows
from workbench.experiments.lorenz import true_coefficients
from workbench.models import blocks
from workbench.models.discovery import Projection, discover
from workbench.models.library import Library, Polynomials
from workbench.models.noise import noise_level
from workbench.models.preparation import Settings
from workbench.models.recipe import Recipe
from workbench.models.result import Discovery
from workbench.models.selection import Criterion, backward, eliminate, exchanged
from workbench.models.tangent import Rows, Tangent
from workbench.models.trajectories import Run, Trajectory, cut, refined, runs

QUADRATIC = Polynomials(("x", "y", "z"), 2)
TRUTH = true_coefficients(QUADRATIC)
TRUE = TRUTH != 0


def lorenz_record(noise: float = 0.0, seed: int = 0, points: int = 3000) -> Trajectory:
    record = lorenz.simulate(points=points, step=0.01, noise=noise, seed=seed)
    return Trajectory(torch.from_numpy(record.time.values.copy()), windows.tensor(record))


def noisy(times: np.ndarray, states: np.ndarray, noise: float, seed: int = 0) -> Trajectory:
    drawn = noise * np.random.default_rng(seed).standard_normal(states.shape)
    return Trajectory(torch.from_numpy(times), torch.from_numpy(states + drawn))


@cache
def found(noise: float, seed: int = 0, points: int = 3000) -> Discovery:
    return discover([lorenz_record(noise, seed, points)], QUADRATIC, Settings(draws=50))


def rmse(coefficients: np.ndarray) -> float:
    return float(np.sqrt(np.mean((coefficients - TRUTH)[TRUE] ** 2)))


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
    plain = discover([record], QUADRATIC, Settings(denoise=False, draws=20))
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
    result = discover([noisy(times, simulate.reference(rossler, (1, 1, 1), times), 0.1)], QUADRATIC)
    terms = {(QUADRATIC.names[c], v): result.coefficients[c, v] for c, v in np.argwhere(result.coefficients)}
    expected = {("y", 0): -1, ("z", 0): -1, ("x", 1): 1, ("y", 1): 0.2, ("1", 2): 0.2, ("z", 2): -5.7, ("x z", 2): 1}
    assert terms == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("noise,error", [(0.0, 1e-6), (0.05, 0.02)])
def test_a_second_order_equation_with_a_sine_is_found(noise, error):
    def pendulum(time: float, state: np.ndarray) -> tuple[float, float]:
        return state[1], -0.1 * state[1] - 4 * np.sin(state[0])

    times = 0.02 * np.arange(2000)
    library = Recipe(degree=2, frequencies=(1.0,), order=2).library(("q",))
    result = discover([noisy(times, simulate.reference(pendulum, (2.5, 0), times)[:, :1], noise)], library)
    terms = {library.names[c]: result.coefficients[c, 0] for c, _ in np.argwhere(result.coefficients)}
    assert terms == pytest.approx({"q'": -0.1, "sin(q)": -4.0}, abs=error)
    assert result.states[0].shape == (2000, 2)


def test_several_uneven_trajectories_with_gaps_and_missing_values():
    generator, records = np.random.default_rng(1), []
    for start in [(1, 1, 1), (-5, 2, 20)]:
        times = np.cumsum(generator.uniform(0.006, 0.014, 1500))
        times[700:] += 2.0
        record = noisy(times, simulate.reference(lorenz.rhs, start, times), 0.2, seed=2)
        record.values[torch.from_numpy(generator.random((1500, 3)) < 0.05)] = torch.nan
        records.append(record)
    result = discover(records, QUADRATIC, Settings(draws=20))
    assert ((result.coefficients != 0) == TRUE).all()
    assert rmse(result.coefficients) < 0.1
    assert [states.shape for states in result.states] == [(1500, 3)] * 2


def test_what_is_known_stays():
    known = np.full(TRUTH.shape, np.nan)
    known[0], known[1:3, 0] = 0.0, (-10, 10)
    result = discover([lorenz_record(0.5)], QUADRATIC, Settings(known=known, draws=20))
    assert (result.coefficients[1:3, 0] == [-10, 10]).all()
    assert (result.coefficients[0] == 0).all()
    assert (result.lower[1:3, 0] == [-10, 10]).all()
    assert (result.deviation[1:3, 0] == 0).all()
    assert rmse(result.coefficients) < 0.1


@examples(max_examples=4, deadline=None)
@given(st.lists(st.floats(-3, 3), min_size=4, max_size=4))
def test_units_of_states_and_time_do_not_matter(powers):
    *states, time = (2.0 ** round(4 * power) for power in powers)
    record, units = lorenz_record(0.1, points=1000), torch.tensor(states, dtype=torch.float64)
    other = Trajectory(record.times * time, record.values * units)
    plain, scaled = (discover([r], QUADRATIC, Settings(draws=20)).coefficients for r in (record, other))
    expected = plain * units.numpy() / QUADRATIC(units).numpy()[:, None] / time
    np.testing.assert_allclose(scaled, expected, rtol=1e-6)


def test_the_reference_solver_and_chunks_agree(monkeypatch):
    record = lorenz_record(0.5, points=500)
    results = [discover([record], QUADRATIC, Settings(backend=name, draws=20)) for name in ("auto", "dense")]
    monkeypatch.setattr(blocks, "CHUNK", 3000)
    results.append(discover([record], QUADRATIC, Settings(draws=20)))
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


# how sure it is


def test_stated_errors_are_the_errors_that_are_made():
    """z, error over standard error, has the size 1 over seeds that nothing was chosen on."""
    scores = []
    for seed in range(200, 208):
        result = found(0.5, seed, 1500)
        if ((result.coefficients != 0) == TRUE).all():
            scores.append((result.coefficients - TRUTH)[TRUE] / result.deviation[TRUE])
    assert len(scores) >= 7
    assert 0.6 < np.sqrt(np.mean(np.square(scores))) < 1.5


def test_intervals_hold_their_estimate_and_inclusion_tells_true_terms():
    result = found(0.5)
    for lower, upper in ((result.lower, result.upper), (result.drawn_lower, result.drawn_upper)):
        assert ((lower <= result.coefficients) & (result.coefficients <= upper)).all()
    assert (result.lower[~TRUE] == 0).all()
    assert result.inclusion[TRUE].min() > 0.9
    assert result.inclusion[~TRUE].max() < 0.5


def test_the_seed_decides_the_bootstrap():
    record = lorenz_record(0.5, points=1000)
    one, same, other = (discover([record], QUADRATIC, Settings(draws=20, seed=seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.drawn_lower, same.drawn_lower)
    assert (one.drawn_lower != other.drawn_lower).any()


# noise


@examples(max_examples=20, deadline=None)
@given(st.floats(1e-3, 10), st.integers(0, 1000), st.booleans())
def test_the_noise_level_is_told_by_the_data_alone(noise, seed, uneven):
    generator = np.random.default_rng(seed)
    times = np.cumsum(generator.uniform(0.005, 0.015, 2000)) if uneven else 0.01 * np.arange(2000)
    values = np.sin(3 * times)[:, None] + noise * generator.standard_normal((2000, 1))
    level = noise_level([Run(0, torch.from_numpy(times), torch.from_numpy(values))])
    assert float(level[0]) == pytest.approx(noise, rel=0.13)


def test_a_coarse_record_does_not_pass_for_a_noisy_one():
    times = np.arange(500) * 0.5
    run = Run(0, torch.from_numpy(times), torch.from_numpy(np.sin(times))[:, None])
    assert float(noise_level([run])[0]) < 1e-3


# records and windows


def test_windows_use_every_value_once_and_span_no_gap():
    times = torch.cat([torch.arange(25.0), 40 + torch.arange(13.0)]).double()
    values = torch.arange(38.0, dtype=torch.float64)[:, None].clone()
    values[7] = torch.nan
    pieces = cut(runs([Trajectory(times, values)]), 10)
    assert pieces.times.diff(dim=1).max() == 1
    used = pieces.values[pieces.present].sort().values.tolist()
    assert used == [float(v) for v in range(38) if v != 7]
    assert sorted(pieces.places[pieces.fresh].tolist()) == list(range(38))


def test_a_finer_grid_keeps_what_was_measured():
    record = lorenz_record(points=50)
    fine = refined(record, 3)
    torch.testing.assert_close(fine.values[::3], record.values)
    torch.testing.assert_close(fine.times[::3], record.times)
    assert fine.values.isnan().sum() == 2 * 49 * 3


@pytest.mark.parametrize("order", [1, 2])
def test_the_tangent_integrates_a_linear_system(order):
    """x' = y, y' = -x, as coupled first-order equations and as x'' = -x; cos and sin are the answers."""
    times = 0.05 * torch.arange(60, dtype=torch.float64)
    size = 2 // order
    slopes = torch.tensor([[0.0, 1.0], [-1.0, 0.0]] if order == 1 else [[-1.0, 0.0]]).double().expand(1, 60, -1, -1)
    tangent = Tangent(Rows(6, order), torch.full((1, 1), 0.05, dtype=torch.float64), slopes)
    u = tangent(torch.zeros(1, 1, 60, size).double(), torch.tensor([[[1.0, 0.0]]]).double())[0, 0]
    torch.testing.assert_close(u, torch.stack([times.cos(), -times.sin()], dim=-1), rtol=0, atol=1e-6)


def test_a_triangle_is_that_of_a_householder_factorisation():
    columns = torch.randn(3, 40, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    columns[..., 5] = columns[..., 4] + 1e-9 * columns[..., 5]
    expected = torch.linalg.qr(columns, mode="r").R
    expected = expected * expected.diagonal(dim1=-2, dim2=-1).sign()[..., None]
    torch.testing.assert_close(blocks._triangle(columns), expected, rtol=1e-4, atol=1e-9)


# selection


def problem(seed: int) -> tuple[blocks.Block, np.ndarray]:
    """Eight candidates, three of them in the data."""
    generator = torch.Generator().manual_seed(seed)
    columns = torch.randn(400, 8, dtype=torch.float64, generator=generator)
    noise = 0.1 * torch.randn(400, 1, dtype=torch.float64, generator=generator)
    data = columns[:, [1, 4, 6]] @ torch.tensor([[1.0], [-2.0], [0.5]]).double() + noise
    first = torch.ones(400, 1, dtype=torch.float64)
    rows = torch.cat([first, columns, data], dim=1).reshape(4, 100, 10)
    labels = np.array([(c, 0) for c in range(8)])
    return blocks.Block(labels, blocks._triangle(rows)), np.full(8, float(data.square().sum()))


@pytest.mark.parametrize("seed", range(5))
def test_selection_finds_the_terms_one_problem_or_many(seed):
    block, totals = problem(seed)
    criterion = Criterion(0.001, 396, 8)
    chosen = exchanged(block, totals, criterion, backward(block, totals, criterion))
    assert np.flatnonzero(chosen.kept).tolist() == [1, 4, 6]
    assert chosen.values[[1, 4, 6]] == pytest.approx([1, -2, 0.5], abs=0.03)
    grams = np.stack([block.grams.sum(axis=0), 3 * block.grams.sum(axis=0)])
    np.testing.assert_array_equal(eliminate(grams, 3 * totals, criterion), [chosen.kept] * 2)


def test_a_share_drops_what_is_significant_but_small():
    block, totals = problem(0)
    chosen = backward(block, totals, Criterion(0.3, 396, 8))
    assert np.flatnonzero(chosen.kept).tolist() == [1, 4]


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
        (Settings(known=np.zeros((2, 2))), r"known: expected"),
    ]:
        with pytest.raises(ValueError, match=words):
            discover([record], QUADRATIC, settings)
    with pytest.raises(ValueError, match="expected 2 variables"):
        discover([record], Library(("x", "y"), Polynomials(("x", "y"), 1)._nodes))
