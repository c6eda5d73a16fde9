"""Polynomial library, integrator and smoother of the solver, and the network models."""

from itertools import product

import numpy as np
import pytest
import torch

from workbench.datasets import windows
from workbench.datasets.ode import lorenz
from workbench.discovery import smoothing
from workbench.discovery.data import Segment
from workbench.discovery.engine.responses import Integrator
from workbench.discovery.neural.adam import Adam, EpochSchedule
from workbench.discovery.neural.adam_varpro import VarProAdam
from workbench.experiments.lorenz import true_coefficients
from workbench.solver import LinearODE, Weights, solve
from workbench.symbolic.library import Polynomials

QUADRATIC = Polynomials(("x", "y", "z"), 2)
TRUTH = true_coefficients(QUADRATIC)


def lorenz_states(noise: float = 0.0, seed: int = 0, points: int = 10_000) -> torch.Tensor:
    return windows.tensor(lorenz.simulate(points=points, step=0.01, noise=noise, seed=seed))


def segment_of(states: torch.Tensor) -> Segment:
    return Segment(0, 0.01 * torch.arange(len(states), dtype=torch.float64), states)


def rmse(model: Adam) -> float:
    return float(np.sqrt(np.mean((model.coefficients() - TRUTH)[TRUTH != 0] ** 2)))


# the library


@pytest.mark.parametrize("degree", range(6))
def test_the_library_contains_every_monomial_once(degree):
    library = Polynomials(("x", "y"), degree)
    x = torch.tensor([[2.0, 3.0], [-1.0, 0.5]], dtype=torch.float64)
    exponents = [(i, j) for i, j in product(range(degree + 1), repeat=2) if i + j <= degree]
    expected = np.array([[a**i * b**j for i, j in exponents] for a, b in x.tolist()])
    np.testing.assert_allclose(np.sort(library(x).numpy()), np.sort(expected))
    assert len(set(library.names)) == len(library) == len(exponents)


def test_names_of_candidates_are_their_formulas():
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


def test_invalid_libraries_raise_an_error():
    with pytest.raises(ValueError, match="degree"):
        Polynomials(("x",), -1)
    with pytest.raises(ValueError, match="distinct names"):
        Polynomials(("x", "x"), 2)


# the solver as integrator and smoother


@pytest.mark.parametrize("backend,method", [("auto", "qr"), ("banded", "cholesky"), ("dense", "qr")])
def test_the_integrator_matches_closed_forms(backend, method):
    time = 0.01 * torch.arange(60, dtype=torch.float64)
    rates = torch.tensor([[1.0], [5.0]], dtype=torch.float64)
    u = Integrator(0.01, 5, backend, method)(torch.cos(rates * time), torch.tensor([0.0, 3.0], dtype=torch.float64))
    expected = torch.tensor([[0.0], [3.0]]) + torch.sin(rates * time) / rates
    torch.testing.assert_close(u, expected, rtol=0, atol=1e-6)


def test_smoothing_removes_most_of_the_noise():
    noise = 0.5
    truth, noisy = lorenz_states(points=2000), lorenz_states(noise, points=2000)
    states, stiffness = smoothing.smooth(segment_of(noisy), Integrator(1.0, 5))
    assert ((states[..., 0] - truth).std(dim=0) < 0.45 * noise).all()
    assert (stiffness > 1).all()


def test_smoothing_keeps_noise_free_data_and_gives_their_derivative():
    truth = lorenz_states(points=1000)
    states, _ = smoothing.smooth(segment_of(truth), Integrator(1.0, 5))
    assert (states[..., 0] - truth).abs().max() < 1e-6
    rates = QUADRATIC(truth) @ torch.from_numpy(TRUTH)
    assert (states[..., 1] - rates).abs().max() < 2e-3 * rates.abs().max()


@pytest.mark.parametrize("points", [4, 50, 128, 129, 300])
def test_smoothing_of_segments_of_any_length(points):
    clean = lorenz_states(points=points)
    states, _ = smoothing.smooth(segment_of(clean), Integrator(1.0, 5))
    assert (states[..., 0] - clean).abs().max() < 0.01


def test_smoothing_interpolates_missing_values_on_uneven_times():
    clean = lorenz_states(points=600)
    measured = torch.rand(600, generator=torch.Generator().manual_seed(0)) < 0.7
    measured[[0, -1]] = True
    data = clean[measured].clone()
    data[::5, 1] = torch.nan
    segment = Segment(0, 0.01 * torch.arange(600, dtype=torch.float64)[measured], data)
    states, _ = smoothing.smooth(segment, Integrator(1.0, 5))
    assert (states[..., 0] - clean[measured]).abs().max() < 0.05


def test_the_leave_one_out_error_equals_that_of_refitting():
    data = torch.randn(12, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).cumsum(0)
    stiffness = torch.tensor([0.3, 4.0], dtype=torch.float64)
    result = smoothing.leave_one_out(data[None, None], stiffness, Integrator(0.1, 3))
    coefficients = torch.zeros(1, 1, 1, 3, dtype=torch.float64)
    for value, weight in zip(result[:, 0], stiffness, strict=True):
        errors = []
        for t in range(12):
            present = torch.ones(12, 1, 1, dtype=torch.float64)
            present[t] = 0
            rows = Weights(equation=0.0, initial=present, taylor=float(weight))
            step = torch.full((11,), 0.1, dtype=torch.float64)
            u = solve(LinearODE(coefficients, data.new_zeros(1, 1), data[:, None, None], step, weights=rows)).u
            errors.append(u[t, 0, 0] - data[t])
        torch.testing.assert_close(value, torch.stack(errors).square().mean())


# Adam


def adam(states: torch.Tensor, **changes: object) -> Adam:
    settings = {"window": 20, "stride": 1, "batch": 32, "epochs": 2, "cycles": 2, "hidden": 32, "seed": 0}
    settings |= {"learning_rate": 1e-3, "threshold": 0.1} | changes
    return Adam(states, QUADRATIC, Integrator(0.01, 3), EpochSchedule(**settings))


def test_adam_reduces_loss_and_coefficient_error():
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


def test_adam_masks_small_terms_permanently_from_the_second_cycle_on():
    model = adam(lorenz_states(points=120), cycles=3, threshold=0.12)
    terms, stages = [], []
    while not model.done:
        terms.append(model.step()["terms"])
        stages.append(model.stage)
        assert (model.coefficients() != 0).sum() == terms[-1]
    cycle = model.total_steps // 3
    assert set(terms[:cycle]) == {30.0}
    assert terms[cycle] < 30
    assert (np.diff(terms) <= 0).all()
    assert stages == [0] * cycle + [1] * cycle + [2] * cycle


def test_adam_uses_each_window_once_per_epoch():
    model = adam(lorenz_states(points=83), batch=16, epochs=2, cycles=1)
    orders = []
    while not model.done:
        orders.append(model._order.flatten().tolist())
        for _ in range(model._batches):
            model.step()
    assert [sorted(order) for order in orders] == [list(range(64))] * 2
    assert orders[0] != orders[1]


def test_adam_does_not_depend_on_units():
    units = torch.tensor([1024.0, 2.0**-14, 1.0], dtype=torch.float64)  # powers of two keep the rounding
    states = lorenz_states(points=120)
    plain, scaled = adam(states), adam(states * units)
    for _ in range(4):
        assert plain.step() == scaled.step()
    expected = plain.coefficients() * units.numpy() / QUADRATIC(units).numpy()[:, None]
    np.testing.assert_allclose(scaled.coefficients(), expected)


def test_the_seed_alone_determines_the_numbers():
    states = lorenz_states(points=120)
    torch.manual_seed(1)
    first = adam(states).step()
    torch.manual_seed(2)
    before = torch.get_rng_state()
    assert adam(states).step() == first
    assert torch.equal(torch.get_rng_state(), before), "the global generator must not change"
    assert adam(states, seed=1).step() != first


def test_adam_with_variable_projection_has_the_coefficients_after_one_step():
    states = lorenz_states(points=2000)
    settings = {"window": 50, "stride": 10, "batch": 64, "epochs": 1, "cycles": 2, "hidden": 32, "seed": 0}
    schedule = EpochSchedule(**settings, learning_rate=1e-4, threshold=0.1)
    model = VarProAdam(states, QUADRATIC, Integrator(0.01, 4), schedule, min_contribution=0.002)
    model.step()
    assert rmse(model) < 0.02
    while not model.done:
        metrics = model.step()
    assert metrics["terms"] == 7
    assert ((model.coefficients() != 0) == (TRUTH != 0)).all()


def test_a_batch_larger_than_the_data_raises_an_error():
    with pytest.raises(ValueError, match=r"the batch \(32 windows\) is larger than the record \(31 windows\)"):
        adam(lorenz_states(points=50))
