"""Damped sine: fits of constant and time-varying coefficients."""

import numpy as np
import pytest
import torch

from workbench.datasets.ode import sine as dataset
from workbench.experiments import sine
from workbench.models.ode.oscillator import ConstantODEFit, Solver

SOLVER = Solver(7, "auto", "qr")


def trained(**settings: object) -> tuple[object, object]:
    config = sine.Config(**settings)
    record = sine.data(config)
    model = sine.model(config, record)
    while not model.done:
        model.step()
    return model, record


def curve(frequency: float, damping: float, phase: float = 0.0, points: int = 400, step: float = 0.1) -> torch.Tensor:
    time = step * torch.arange(points, dtype=torch.float64)
    return torch.sin(frequency * time + phase) * torch.exp(-damping * time)


def test_data_match_the_data_card():
    record = dataset.simulate(points=500, end=50.0, noise=0.5, seed=3)
    time, clean = record["time"].values, record["truth"].values[:, 0]
    np.testing.assert_allclose(clean, np.sin(2 * time) * np.exp(-0.1 * time), atol=1e-15)
    noise = (record["data"].values[:, 0] - clean) * np.exp(0.1 * time)
    assert 0.45 < noise.std() < 0.55
    assert abs(noise[:250].std() - noise[250:].std()) < 0.1


def test_frequency_and_damping_of_a_clean_curve():
    model, record = trained(noise=0.0, derivatives=7)
    assert model.frequency == pytest.approx(2.0, abs=1e-5)
    assert model.damping == pytest.approx(0.1, abs=1e-5)
    report = sine.report(model, record)
    assert report.metrics["clean_rmse"] < 1e-5
    np.testing.assert_allclose(report.coefficients["estimate"], report.coefficients["truth"], atol=1e-4)
    assert report.equations[0].text(3) == report.true_equations[0].text(3) == "u'' = -4.010 u - 0.200 u'"


def test_frequency_and_damping_of_noisy_curves():
    """Median relative errors over ten seeds: at most 0.5 % and 10 %."""
    models = [trained(seed=seed)[0] for seed in range(10)]
    assert np.median([abs(m.frequency / 2 - 1) for m in models]) < 0.005
    assert np.median([abs(m.damping / 0.1 - 1) for m in models]) < 0.1


@pytest.mark.parametrize(
    "frequency,damping,phase", [(0.5, 0.02, 1.0), (7.0, 0.3, -0.5), (1.234, 0.0, 2.0), (3.0, -0.02, 0.3)]
)
def test_other_frequencies_and_dampings(frequency, damping, phase):
    """Faster, slower, undamped and growing oscillations."""
    model = ConstantODEFit(curve(frequency, damping, phase, points=1000, step=0.03), SOLVER, step=0.03)
    while not model.done:
        model.step()
    assert model.frequency == pytest.approx(frequency, rel=1e-5)
    assert model.damping == pytest.approx(damping, abs=1e-5)


def test_overdamped_motion_has_zero_frequency():
    time = 0.1 * torch.arange(200, dtype=torch.float64)
    model = ConstantODEFit(torch.exp(-time) - torch.exp(-3 * time), SOLVER, step=0.1)
    while not model.done:
        model.step()
    assert model.frequency == 0.0
    np.testing.assert_allclose(model.coefficients()[:, 0], [-3.0, -4.0], rtol=1e-3)


def test_sensitivities_match_autograd():
    model = ConstantODEFit(curve(2.0, 0.1, 0.4, points=80, step=0.02), SOLVER, step=0.02)
    expected = torch.autograd.functional.jacobian(lambda values: model._solution(values)[:, 0], model._parameters)
    u = model._solution(model._parameters)
    torch.testing.assert_close(model._sensitivities(u), expected, rtol=1e-6, atol=1e-8)


def test_published_fit_overfits_the_noise():
    model, record = trained(mode="varying", seed=1)
    data, clean = record["data"].values[:, 0], record["truth"].values[:, 0]
    fit = model.curve().detach().numpy()
    assert np.square(fit - data).sum() < 0.9 * np.square(clean - data).sum()
    report = sine.report(model, record)
    assert report.coefficients is None
    assert report.metrics["clean_rmse"] > 0.02


@pytest.mark.parametrize("mode,after", [("constant", 3), ("varying", 20), ("varying", 0)])
def test_restore_continues_exactly(mode, after):
    config = sine.Config(mode=mode, epochs=40)
    record = sine.data(config)
    first, second = sine.model(config, record), sine.model(config.model_copy(update={"seed": 9}), record)
    for _ in range(after):
        first.step()
    second.restore(first.state())
    for _ in range(4):
        assert second.step() == first.step()
    torch.testing.assert_close(second.curve(), first.curve(), rtol=0, atol=0)
