"""Six linear systems: closed forms and solver accuracy."""

import numpy as np
import pytest

from workbench.datasets.ode import linear as dataset
from workbench.experiments import linear

MEASURED = {  # largest error over the largest |exact|, K = 2, 3, 4, 5; h = 0.01, T = 1000
    "rc": (2.4e-6, 7.3e-7, 8.9e-12, 2.5e-12),
    "population": (1.7e-4, 2.0e-6, 3.4e-10, 3.0e-10),
    "language": (5.2e-6, 1.6e-6, 5.4e-11, 4.6e-12),
    "harmonic": (3.1e-2, 4.4e-4, 8.4e-8, 9.3e-9),
    "damped": (1.8e-2, 3.2e-4, 1.3e-7, 1.5e-8),
    "third": (5.8e-4, 1.4e-5, 1.2e-9, 1.4e-10),
}


@pytest.mark.parametrize("name", dataset.SYSTEMS)
def test_closed_form_solves_the_equation(name):
    system, step = dataset.SYSTEMS[name], 1e-3
    record = dataset.simulate(name, points=2000, step=step)
    y = record["truth"].values
    derivative = (y[2:] - y[:-2]) / (2 * step)
    right = y[1:-1] @ np.array(system.A).T + np.array(system.b)
    np.testing.assert_allclose(derivative, right, atol=1e-5 * np.abs(y).max())
    np.testing.assert_array_equal(y[0], system.start)


def test_known_closed_forms():
    time = dataset.simulate("rc", points=300, step=0.01)["time"].values
    rate = 1 / (1.2 * 2.31)
    expected = 0.7 * 1.2 + (10 - 0.7 * 1.2) * np.exp(-rate * time)
    np.testing.assert_allclose(dataset.exact(dataset.SYSTEMS["rc"], time)[:, 0], expected, rtol=1e-13)
    w = np.sqrt(2.1)
    expected = 0.4 * np.cos(w * time) - 0.03 / w * np.sin(w * time)
    np.testing.assert_allclose(dataset.exact(dataset.SYSTEMS["harmonic"], time)[:, 0], expected, atol=1e-13)


@pytest.mark.parametrize("method", ["qr", "cholesky"])
@pytest.mark.parametrize("name", dataset.SYSTEMS)
def test_solver_accuracy(name, method):
    config = linear.Config(system=name, method=method)
    record = linear.data(config)
    model = linear.model(config, record)
    while not model.done:
        model.step()
    for (K, error), measured in zip(model.errors.items(), MEASURED[name], strict=True):
        assert error < 1.1 * measured + 2e-12 + (5e-10 if method == "cholesky" else 0.0), K
        assert K > 3 or error > 0.9 * measured, "smaller than the discretisation allows"
    report = linear.report(model, record)
    assert list(report.metrics) == ["error_2", "error_3", "error_4", "error_5"]
    assert not report.equations
    assert len(report.true_equations) == record.sizes["variable"]


def test_equations_as_text():
    texts = [equation.text(2) for equation in linear.equations(dataset.SYSTEMS["damped"])]
    assert texts == ["y1' = 1.00 y2", "y2' = -4.50 y1 - 0.43 y2"]
    assert linear.equations(dataset.SYSTEMS["language"])[0].text(2) == "y' = -0.60 y + 0.32"


def test_restore_continues_exactly():
    config = linear.Config(system="third", points=200)
    record = linear.data(config)
    first, second = linear.model(config, record), linear.model(config, record)
    for _ in range(2):
        first.step()
    second.restore(first.state())
    assert second.errors == first.errors
    assert second.step() == first.step()
    np.testing.assert_array_equal(second.curve(), first.curve())
