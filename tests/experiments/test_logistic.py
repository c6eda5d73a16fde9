"""Logistic growth: closed form and joint fit of many curves."""

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares

from workbench.datasets.ode import logistic as dataset
from workbench.discovery.engine.tangent import Rows
from workbench.experiments import logistic
from workbench.models.ode.logistic import LogisticFit


def trained(**settings: object) -> tuple[LogisticFit, object]:
    config = logistic.Config(**settings)
    record = logistic.data(config)
    model = logistic.model(config, record)
    while not model.done:
        model.step()
    return model, record


def test_closed_form_solves_the_equation():
    r, K, first = np.array([1.0, 3.0]), np.array([2.0, 5.0]), np.array([0.1, 4.0])
    time = np.linspace(0, 2, 2001)
    N = dataset.exact(r, K, first, time)
    np.testing.assert_allclose(N[0], first)
    derivative = (N[2:] - N[:-2]) / (2 * time[1])
    np.testing.assert_allclose(derivative, (r * N * (1 - N / K))[1:-1], atol=1e-5)


def test_curves_are_reproducible_and_positive():
    first, again, other = (dataset.simulate(curves=500, points=20, end=3.0, noise=0.01, seed=s) for s in (1, 1, 2))
    assert first.identical(again)
    assert not np.allclose(first["r"], other["r"])
    assert float(first["truth"].min()) > 0
    assert 2.9 < float(first["r"].mean()) < 3.1
    np.testing.assert_allclose((first["data"] - first["truth"]).std(), 0.01, rtol=0.05)


def test_joint_fit_of_five_thousand_curves():
    model, record = trained()
    figures = logistic.report(model, record).metrics
    assert figures["r_median"] < 1e-3
    assert figures["K_median"] < 1e-3
    assert figures["r_95"] < 0.01
    assert figures["K_95"] < 0.01


def test_fit_without_noise_is_exact():
    model, record = trained(curves=50, noise=0.0, derivatives=7)
    np.testing.assert_allclose(model.rate, record["r"], rtol=1e-5)
    np.testing.assert_allclose(model.capacity, record["K"], rtol=1e-4)


def test_fit_with_noise_matches_least_squares():
    """The minimum equals that of a least-squares fit of the closed form, started at the truth."""
    model, record = trained(curves=6, noise=0.05, points=40, end=5.0, derivatives=7)
    data, time = record["data"].values, record["time"].values
    for i in range(6):

        def residuals(parameters, i=i):
            return dataset.exact(*parameters[:, None], time)[:, 0] - data[:, i]

        start = [float(record[name][i]) for name in ("r", "K")] + [float(record["truth"][0, i])]
        fitted = least_squares(residuals, start, xtol=1e-12, ftol=1e-12)
        np.testing.assert_allclose([model.rate[i], model.capacity[i]], fitted.x[:2], rtol=5e-3)
        residual = model.curves()[:, i].numpy() - data[:, i]
        assert np.sum(residual**2) == pytest.approx(2 * fitted.cost, rel=0.01)


def test_restore_continues_exactly():
    config = logistic.Config(curves=20)
    record = logistic.data(config)
    one, two = logistic.model(config, record), logistic.model(config, record)
    one.step()
    two.restore(one.state())
    assert one.step() == two.step()
    np.testing.assert_array_equal(one.rate, two.rate)


def test_uninformative_curve_does_not_affect_the_others():
    record = dataset.simulate(curves=8, points=40, end=3.0, noise=0.0, seed=0)
    data = torch.from_numpy(record["data"].values.copy())
    data[:, 3] = 1.0
    model = LogisticFit(data, Rows(5), step=float(record["time"][1]))
    while not model.done:
        model.step()
    others = [i for i in range(8) if i != 3]
    np.testing.assert_allclose(model.rate[others], record["r"].values[others], rtol=1e-3)


def test_report_shows_few_curves_and_errors_of_all():
    model, record = trained(curves=30)
    report = logistic.report(model, record)
    assert report.trajectory.sizes["variable"] == 3
    assert report.parameters.sizes == {"parameter": 2, "curve": 30}
    assert report.coefficients["estimate"].shape == model.coefficients().shape
    (_, rate), (_, squared) = report.true_equations[0].terms[0][:2], report.true_equations[0].terms[1][:2]
    assert (rate, squared) == ("N_1", "N_1^2")
    assert report.true_equations[0].terms[0][0] == pytest.approx(float(record["r"][0]))
