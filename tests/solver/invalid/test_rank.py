"""Rank deficiency: detected and named, without false alarms."""

from math import factorial

import pytest
import torch

from tests.solver.cases import both_row_modes, every_backend, every_linear_backend, every_method
from tests.solver.invalid.problems import randn, two_variables
from workbench.solver import LinearODE, RankDeficient, Weights, solve


@every_backend
@both_row_modes
@pytest.mark.parametrize("n_rows, method", [(0, "qr"), (1, "qr"), (2, "qr"), (0, "cholesky"), (1, "cholesky")])
def test_an_undetermined_variable_is_named(n_rows, central, method, backend):
    """K = 3 and no equation: derivatives from n_rows on are undetermined."""
    with pytest.raises(RankDeficient, match=r"batch index \(?1,?\)?.*derivative [012] of variable 1\b") as caught:
        solve(two_variables(n_rows, central), backend=backend, method=method)
    assert isinstance(caught.value, ValueError)


@every_backend
@every_method
@both_row_modes
@pytest.mark.parametrize("h", [1.0, 1e-2, 1e-4])
@pytest.mark.parametrize("n_steps", [2, 10, 100])
def test_missing_initial_value(n_steps, h, central, method, backend):
    """u' = f does not determine u itself."""
    coefficients = torch.tensor([[[[0, 1.0, 0]]]], dtype=torch.float64)
    none, steps = torch.zeros(0, 1, 1, dtype=torch.float64), torch.tensor([h], dtype=torch.float64)
    problem = LinearODE(coefficients, randn(1, 1), none, steps, central=central, n_steps=n_steps)
    with pytest.raises(RankDeficient, match=r"derivative 0 of variable 0\b"):
        solve(problem, backend=backend, method=method)


def integrated(order: int, n_given: int, h: float, n_steps: int, central: bool) -> LinearODE:
    """u^(order) = 1 with K = 4, and u, u', .. = 1 at 0 for the first n_given derivatives."""
    coefficients = torch.zeros(1, 1, 1, 4, dtype=torch.float64)
    coefficients[..., order] = 1
    one, initial = torch.ones(1, 1, dtype=torch.float64), torch.ones(1, 1, n_given, dtype=torch.float64)
    steps = torch.tensor([h], dtype=torch.float64)
    return LinearODE(coefficients, one, initial, steps, central=central, n_steps=n_steps, n_initial=1)


@every_backend
@both_row_modes
@pytest.mark.parametrize("h", [1.0, 0.1, 1e-3])
@pytest.mark.parametrize("n_steps", [5, 100])
@pytest.mark.parametrize("order, n_given", [(2, 0), (2, 1), (3, 1), (3, 2)])
def test_one_initial_value_too_few(order, n_given, n_steps, h, central, backend):
    """A common mistake: u'' = 1 with u(0) but without u'(0). Any solution would consist of rounding errors.

    Only "qr": with "cholesky" the squared pivot cannot always be distinguished from that of an ill-conditioned system.
    """
    with pytest.raises(RankDeficient, match=r"rank-deficient.*derivative [0-3] of variable 0\b"):
        solve(integrated(order, n_given, h, n_steps, central), backend=backend, method="qr")


@every_backend
def test_the_error_of_cholesky_recommends_qr(backend):
    with pytest.raises(RankDeficient, match=r"rank-deficient.*use method='qr'"):
        solve(integrated(2, 0, 1.0, 5, central=False), backend=backend, method="cholesky")


@every_backend
@every_method
@both_row_modes
@pytest.mark.parametrize("h", [1.0, 0.1, 1e-3])
@pytest.mark.parametrize("n_steps", [5, 100])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_just_enough_initial_values(order, n_steps, h, central, method, backend):
    """u is the polynomial with derivatives 1, 1, .. at 0."""
    u = solve(integrated(order, order, h, n_steps, central), backend=backend, method=method).u[:, 0, 0]
    t = h * torch.arange(n_steps, dtype=torch.float64)
    expected = sum(t**k / factorial(k) for k in range(order + 1))
    torch.testing.assert_close(u, expected, rtol=1e-9 if method == "qr" else 1e-4, atol=0)


@every_linear_backend
@both_row_modes
def test_no_false_alarm_for_a_long_record_with_small_steps(central, backend):
    """u'' + u = 0, u(0) = 1, u'(0) = 0 at h = 1e-4, T = 20,000 is well-posed: u = cos t."""
    coefficients = torch.tensor([[[[1.0, 0, 1]]]], dtype=torch.float64)
    initial = torch.tensor([[[1.0, 0.0]]], dtype=torch.float64)
    steps, zero = torch.tensor([1e-4], dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
    problem = LinearODE(coefficients, zero, initial, steps, central=central, n_steps=20_000)
    u = solve(problem, backend=backend).u[:, 0, 0]
    torch.testing.assert_close(u, torch.cos(1e-4 * torch.arange(20_000, dtype=torch.float64)), rtol=0, atol=1e-7)


@every_backend
@both_row_modes
@pytest.mark.parametrize("weight", [1e-6, 1e-9])
def test_no_false_alarm_for_a_small_weight(weight, central, backend):
    """u' = 1 and u(0) = 2 with a small weight: u = 2 + t, to the accuracy that the weight permits."""
    coefficients = torch.tensor([[[[0, 1.0, 0]]]], dtype=torch.float64)
    one, steps = torch.ones(1, 1, dtype=torch.float64), torch.tensor([0.1], dtype=torch.float64)
    problem = LinearODE(
        coefficients, one, 2 * one[None], steps, weights=Weights(initial=weight), central=central, n_steps=20
    )
    u = solve(problem, backend=backend).u[:, 0, 0]
    torch.testing.assert_close(u, 2 + 0.1 * torch.arange(20, dtype=torch.float64), rtol=0, atol=1e-14 / weight)
