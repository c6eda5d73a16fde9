"""Library, solver as integrator and smoother, and both ways of discovery."""

from itertools import product

import numpy as np
import pytest
import torch

from workbench.datasets import lorenz, windows
from workbench.experiments.lorenz import true_coefficients
from workbench.models import discovery, smoothing
from workbench.models.adam import Adam, Schedule
from workbench.models.discovery import Projection
from workbench.models.library import Polynomials
from workbench.models.responses import Integrator
from workbench.solver import LinearODE, Weights, solve

QUADRATIC = Polynomials(("x", "y", "z"), 2)
TRUTH = true_coefficients(QUADRATIC)


def lorenz_states(noise: float = 0.0, seed: int = 0, points: int = 10_000) -> torch.Tensor:
    return windows.tensor(lorenz.simulate(points=points, step=0.01, noise=noise, seed=seed))


def projection(states: torch.Tensor, library: Polynomials = QUADRATIC, **changes: object) -> Projection:
    integrator = Integrator(0.01, 5, changes.pop("backend", "auto"))
    settings = {"window": 50, "stride": 25, "threshold": 0.02} | changes
    return Projection(states, library, integrator, **settings)


def finish(model: Projection) -> Projection:
    while not model.done:
        model.step()
    return model


def rmse(model: Projection | Adam) -> float:
    return float(np.sqrt(np.mean((model.coefficients() - TRUTH)[TRUTH != 0] ** 2)))


# the library


@pytest.mark.parametrize("degree", range(6))
def test_the_library_is_every_product_once(degree):
    library = Polynomials(("x", "y"), degree)
    x = torch.tensor([[2.0, 3.0], [-1.0, 0.5]], dtype=torch.float64)
    exponents = [(i, j) for i, j in product(range(degree + 1), repeat=2) if i + j <= degree]
    expected = np.array([[a**i * b**j for i, j in exponents] for a, b in x.tolist()])
    np.testing.assert_allclose(np.sort(library(x).numpy()), np.sort(expected))
    assert len(set(library.names)) == len(library) == len(exponents)


def test_candidates_are_named_as_they_are_computed():
    library = Polynomials(("x", "y", "speed"), 3)
    state = {"x": 2.0, "y": 3.0, "speed": 5.0}
    values = library(torch.tensor(list(state.values()), dtype=torch.float64))
    for name, value in zip(library.names, values.tolist(), strict=True):
        assert eval(name.replace("^", "**").replace(" ", "*"), {}, state) == value
    assert dict(zip(library.names, library.latex, strict=True))["x^2 speed"] == r"x^{2}\,\mathrm{speed}"


def test_the_right_hand_side_is_the_library_times_the_coefficients():
    coefficients = np.random.default_rng(0).normal(size=TRUTH.shape)
    coefficients[3] = 0
    state = np.array([1.0, -2.0, 0.5])
    expected = QUADRATIC(torch.from_numpy(state)).numpy() @ coefficients
    np.testing.assert_allclose(QUADRATIC.right_hand_side(coefficients)(0.0, state), expected)


def test_bad_libraries_are_refused():
    with pytest.raises(ValueError, match="degree"):
        Polynomials(("x",), -1)
    with pytest.raises(ValueError, match="names that differ"):
        Polynomials(("x", "x"), 2)


# the solver as integrator and smoother


@pytest.mark.parametrize("backend,method", [("auto", "qr"), ("banded", "cholesky"), ("dense", "qr")])
def test_the_integrator_integrates(backend, method):
    time = 0.01 * torch.arange(60, dtype=torch.float64)
    rates = torch.tensor([[1.0], [5.0]], dtype=torch.float64)
    u = Integrator(0.01, 5, backend, method)(torch.cos(rates * time), torch.tensor([0.0, 3.0], dtype=torch.float64))
    expected = torch.tensor([[0.0], [3.0]]) + torch.sin(rates * time) / rates
    torch.testing.assert_close(u, expected, rtol=0, atol=1e-6)


def test_smoothing_takes_most_of_the_noise_off():
    noise = 0.5
    truth, noisy = lorenz_states(points=2000), lorenz_states(noise, points=2000)
    states, stiffness = smoothing.smooth(noisy, Integrator(0.01, 5))
    assert ((states - truth).std(dim=0) < 0.45 * noise).all()
    assert (stiffness > 1).all()


def test_smoothing_leaves_clean_data_alone():
    truth = lorenz_states(points=1000)
    states, _ = smoothing.smooth(truth, Integrator(0.01, 5))
    assert (states - truth).abs().max() < 1e-6


@pytest.mark.parametrize("points", [4, 50, 128, 129, 300])
def test_smoothing_covers_records_of_any_length(points):
    clean = lorenz_states(points=points)
    states, _ = smoothing.smooth(clean, Integrator(0.01, 5))
    assert (states - clean).abs().max() < 0.01


def test_the_leave_one_out_error_is_that_of_leaving_points_out():
    data = torch.randn(12, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).cumsum(0)
    stiffness = torch.tensor([0.3, 4.0], dtype=torch.float64)
    found = smoothing.leave_one_out(data[None, None], stiffness, Integrator(0.1, 3))
    coefficients = torch.zeros(1, 1, 1, 3, dtype=torch.float64)
    for value, weight in zip(found[:, 0], stiffness, strict=True):
        errors = []
        for t in range(12):
            present = torch.ones(12, 1, 1, dtype=torch.float64)
            present[t] = 0
            rows = Weights(equation=0.0, initial=present, taylor=float(weight))
            step = torch.full((11,), 0.1, dtype=torch.float64)
            u = solve(LinearODE(coefficients, data.new_zeros(1, 1), data[:, None, None], step, weights=rows)).u
            errors.append(u[t, 0, 0] - data[t])
        torch.testing.assert_close(value, torch.stack(errors).square().mean())


# projection


def test_projection_finds_the_equations_without_noise():
    model = finish(projection(lorenz_states()))
    assert ((model.coefficients() != 0) == (TRUTH != 0)).all()
    assert rmse(model) < 4e-4


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("noise,bound", [(0.1, 0.04), (0.5, 0.25)])
def test_projection_finds_the_equations_in_noise(noise, bound, seed):
    model = finish(projection(lorenz_states(noise, seed)))
    assert ((model.coefficients() != 0) == (TRUTH != 0)).all()
    assert rmse(model) < bound


@pytest.mark.parametrize("window", [25, 200])
def test_projection_does_not_need_one_length_of_window(window):
    model = finish(projection(lorenz_states(0.5), window=window))
    assert ((model.coefficients() != 0) == (TRUTH != 0)).all()


def test_smoothing_makes_the_coefficients_better(monkeypatch):
    records = [lorenz_states(0.5, seed) for seed in range(3)]
    smoothed = [rmse(finish(projection(record, window=100))) for record in records]
    monkeypatch.setattr(discovery, "smooth", lambda record, integrator: (record, None))
    plain = [rmse(finish(projection(record, window=100))) for record in records]
    assert np.mean(smoothed) < 0.6 * np.mean(plain)


def test_projection_does_not_care_for_units():
    units = torch.tensor([1e3, 1e-4, 1.0], dtype=torch.float64)
    states = lorenz_states(0.1, points=3000)
    plain, scaled = finish(projection(states)), finish(projection(states * units))
    expected = plain.coefficients() * units.numpy() / QUADRATIC(units).numpy()[:, None]
    np.testing.assert_allclose(scaled.coefficients(), expected, rtol=1e-6)


def test_terms_fall_away_one_per_equation_and_step():
    model = projection(lorenz_states(points=2000))
    kept = []
    while not model.done:
        assert len(kept) < model.total_steps
        metrics = model.step()
        kept.append((model.coefficients() != 0).sum(axis=0))
        assert metrics["terms"] == kept[-1].sum()
    assert kept[0].tolist() == [10, 10, 10]
    assert (np.diff(kept, axis=0) >= -1).all()
    assert kept[-1].tolist() == [2, 3, 2]


def test_a_threshold_of_zero_keeps_every_term():
    model = finish(projection(lorenz_states(points=2000), threshold=0.0))
    assert (model.coefficients() != 0).all()


def test_projection_in_chunks_is_projection_at_once(monkeypatch):
    states = lorenz_states(0.1, points=2000)
    whole = finish(projection(states))
    monkeypatch.setattr(discovery, "CHUNK", 500 * 7)
    parts = finish(projection(states))
    np.testing.assert_allclose(parts.coefficients(), whole.coefficients(), rtol=1e-9)


def test_projection_by_the_reference_solver_agrees():
    states = lorenz_states(0.1, points=400)
    banded, dense = (projection(states, backend=name, threshold=0.0) for name in ("banded", "dense"))
    np.testing.assert_allclose(finish(banded).coefficients(), finish(dense).coefficients(), rtol=1e-6)


def test_a_constant_variable_is_refused_by_name():
    states = lorenz_states(points=100)
    states[:, 1] = 3.0
    with pytest.raises(ValueError, match="variable y never changes"):
        projection(states)


def test_answers_that_are_not_finite_are_an_error_not_a_result(monkeypatch):
    monkeypatch.setattr(Integrator, "__call__", lambda self, forcing, initial: forcing * torch.nan)
    with pytest.raises(FloatingPointError, match="not finite"):
        projection(lorenz_states(points=100)).step()


# adam


def adam(states: torch.Tensor, **changes: object) -> Adam:
    settings = {"window": 20, "stride": 1, "batch": 32, "epochs": 2, "cycles": 2, "hidden": 32, "seed": 0}
    settings |= {"learning_rate": 1e-3, "threshold": 0.1} | changes
    return Adam(states, QUADRATIC, Integrator(0.01, 3), Schedule(**settings))


def test_adam_learns():
    model = adam(lorenz_states(points=600), window=10, epochs=20, cycles=1, hidden=64)
    losses, start = [], rmse(model)
    while not model.done:
        losses.append(model.step()["loss"])
    assert len(losses) == model.total_steps == 20 * ((600 - 10 + 1) // 32)
    assert np.mean(losses[-20:]) < 0.1 * np.mean(losses[:5])
    assert rmse(model) < start - 0.5


def test_adam_reports_the_mean_over_each_epoch():
    model = adam(lorenz_states(points=120))
    epoch = (120 - 20 + 1) // 32
    steps = [model.step() for _ in range(model.total_steps)]
    for first in range(0, len(steps), epoch):
        chunk = steps[first : first + epoch]
        assert ["epoch_loss" in metrics for metrics in chunk] == [False] * (epoch - 1) + [True]
        assert chunk[-1]["epoch_loss"] == pytest.approx(np.mean([metrics["loss"] for metrics in chunk]))


def test_adam_masks_small_terms_for_good_from_the_second_cycle_on():
    model = adam(lorenz_states(points=120), cycles=3, threshold=0.12)
    terms, eras = [], []
    while not model.done:
        terms.append(model.step()["terms"])
        eras.append(model.era)
        assert (model.coefficients() != 0).sum() == terms[-1]
    cycle = model.total_steps // 3
    assert set(terms[:cycle]) == {30.0}
    assert terms[cycle] < 30
    assert (np.diff(terms) <= 0).all()
    assert eras == [0] * cycle + [1] * cycle + [2] * cycle


def test_adam_uses_every_window_once_in_an_epoch():
    model = adam(lorenz_states(points=83), batch=16, epochs=2, cycles=1)
    orders = []
    while not model.done:
        orders.append(model._order.flatten().tolist())
        for _ in range(model._batches):
            model.step()
    assert [sorted(order) for order in orders] == [list(range(64))] * 2
    assert orders[0] != orders[1]


def test_adam_does_not_care_for_units():
    units = torch.tensor([1024.0, 2.0**-14, 1.0], dtype=torch.float64)  # powers of two: the same rounding
    states = lorenz_states(points=120)
    plain, scaled = adam(states), adam(states * units)
    for _ in range(4):
        assert plain.step() == scaled.step()
    expected = plain.coefficients() * units.numpy() / QUADRATIC(units).numpy()[:, None]
    np.testing.assert_allclose(scaled.coefficients(), expected)


def test_the_seed_decides_the_numbers_and_nothing_else_does():
    states = lorenz_states(points=120)
    torch.manual_seed(1)
    first = adam(states).step()
    torch.manual_seed(2)
    before = torch.get_rng_state()
    assert adam(states).step() == first
    assert torch.equal(torch.get_rng_state(), before), "the global generator must be left alone"
    assert adam(states, seed=1).step() != first


def test_adam_refuses_a_batch_larger_than_the_record():
    with pytest.raises(ValueError, match=r"the batch \(32 windows\) is larger than the record \(31 windows\)"):
        adam(lorenz_states(points=50))
