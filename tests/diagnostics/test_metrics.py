"""Metrics against values computed by hand."""

import numpy as np
import pytest
import xarray as xr

from workbench.diagnostics import metrics


def coefficients(estimate: list[float], truth: list[float]) -> xr.Dataset:
    columns = {"estimate": estimate, "truth": truth}
    return xr.Dataset({name: (("variable", "candidate"), [values]) for name, values in columns.items()})


def test_coefficient_errors_are_over_the_true_terms():
    result = metrics.coefficient_metrics(coefficients([2.0, 0.0, 7.0, 0.0], [1.0, 2.0, 0.0, 0.0]))
    assert result == {
        "rmse": pytest.approx(np.sqrt((1 + 4) / 2)),
        "max_error": pytest.approx(2.0),
        "precision": pytest.approx(1 / 2),
        "recall": pytest.approx(1 / 2),
    }
    assert all(type(value) is float for value in result.values())


def test_no_discovered_terms_give_precision_one_and_recall_zero():
    result = metrics.coefficient_metrics(coefficients([0.0, 0.0], [1.0, 0.0]))
    assert (result["precision"], result["recall"]) == (1.0, 0.0)


def trajectory(difference: np.ndarray) -> xr.Dataset:
    """Two variables with standard deviations 1 and 10; the estimate differs by `difference` in the second."""
    truth = np.stack([np.tile([-1.0, 1.0], 5), np.tile([-10.0, 10.0], 5)], axis=1)
    estimate = truth + np.stack([np.zeros(10), difference], axis=1)
    both = {"truth": truth, "estimate": estimate}
    return xr.Dataset(
        {name: (("time", "variable"), values) for name, values in both.items()},
        coords={"time": 2.0 + 0.5 * np.arange(10)},
    )


@pytest.mark.parametrize(
    "difference,points",
    [
        (np.zeros(10), 9),
        (np.where(np.arange(10) >= 4, 1.1, 0.9), 4),
        (np.where(np.arange(10) >= 6, np.nan, 0.0), 6),
        (np.where(np.arange(10) == 3, -5.0, 0.0), 3),
        (np.full(10, 5.0), 0),
    ],
)
def test_the_horizon_is_the_first_time_beyond_the_tolerance(difference, points):
    assert metrics.horizon(trajectory(difference), exponent=0.9) == pytest.approx(points * 0.5 * 0.9)
