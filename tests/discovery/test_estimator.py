"""The joint estimate of states and coefficients."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.discovery.discoveries import QUADRATIC, TRUE, TRUTH, lorenz_trajectory, noisy_trajectory
from workbench.datasets.ode import reference
from workbench.discovery.engine.preparation import Settings
from workbench.discovery.estimator import JointEstimate, solve_symmetric
from workbench.discovery.selection import TRUNCATION, divisions, tolerated
from workbench.discovery.starting import prepare, sparse_supports
from workbench.symbolic.library import LibrarySpec


@pytest.fixture(scope="module")
def start():
    return prepare([lorenz_trajectory(0.5, points=300)], QUADRATIC, Settings())


def converged(start, free):
    e = start.estimator
    weight = e.grid.steps.median() / e.tolerance
    coefficients = torch.where(torch.from_numpy(free), start.first.coefficients, 0.0)
    first = JointEstimate(start.first.states, coefficients, np.inf)
    return *e.fit(first, free, weight, steps=60, tolerance=1e-9), weight


def test_the_fit_is_a_minimum_in_states_and_coefficients(start):
    estimate, _, weight = converged(start, TRUE)
    e, generator = start.estimator, torch.Generator().manual_seed(0)
    free = torch.from_numpy(TRUE)
    for size in (1e-4, 1e-3):
        for _ in range(5):
            change = size * torch.randn(estimate.states.shape, generator=generator, dtype=torch.float64)
            other = size * torch.randn(free.shape, generator=generator, dtype=torch.float64) * free
            cost = e.cost(estimate.states + change, estimate.coefficients + other, weight)
            assert cost > estimate.cost


def test_the_normal_equations_are_the_curvature_of_the_cost(start):
    """The cost, minimised over the states, changes by d^T S d when the coefficients change by d."""
    estimate, normal, weight = converged(start, TRUE)
    e, none = start.estimator, np.zeros_like(TRUE)
    free = torch.from_numpy(TRUE)
    # several standard errors, where the change is far above the tolerance of the fit
    change = 3 * np.linalg.cholesky(np.linalg.inv(normal.matrix.numpy())) @ np.ones(7) / np.sqrt(7)
    moved = estimate.coefficients.clone()
    moved[free] += torch.from_numpy(change)
    fixed, _ = e.fit(JointEstimate(estimate.states, moved, np.inf), none, weight, steps=60, tolerance=1e-9)
    assert fixed.cost - estimate.cost == pytest.approx(change @ normal.matrix.numpy() @ change, rel=0.1)


def test_nearly_exact_dynamics_give_the_coefficients_in_physical_units(start):
    soft, _, _ = converged(start, TRUE)
    parts = torch.full((len(start.estimator.grid) - 1,), 5)
    fine = start.estimator.refined(parts, start.estimator.tolerance / 20)
    states = start.estimator.grid.interpolated(soft.states, parts)
    first = JointEstimate(states, soft.coefficients, np.inf)
    hard, _, _ = converged(replace(start, estimator=fine, first=first), TRUE)
    coefficients = hard.coefficients.numpy() * fine.scales.units(1).numpy()
    np.testing.assert_allclose(coefficients, TRUTH, rtol=0.05, atol=0.2)


def test_the_jacobian_is_the_derivative_of_the_rates():
    times = 0.02 * np.arange(200)
    states = reference.reference(lambda t, s: (s[1], -4 * np.sin(s[0])), (2.0, 0), times)[:, :1]
    library = LibrarySpec(degree=2, frequencies=(1.0,), order=2).library(("q",))
    start = prepare([noisy_trajectory(times, states, 0.05)], library, Settings())
    e, u, Xi = start.estimator, start.first.states, start.first.coefficients
    jacobian = e.jacobian(u, Xi)
    for k in range(2):
        change = torch.zeros_like(u)
        change[..., k] = 1e-6
        numeric = (e.rates(u + change, Xi) - e.rates(u - change, Xi)) / 2e-6
        torch.testing.assert_close(jacobian[:, :, 0, k], numeric, rtol=1e-5, atol=1e-6)


def test_singular_systems_have_a_solution_of_minimum_norm():
    matrix = torch.ones(2, 2, dtype=torch.float64)
    solution = solve_symmetric(matrix, torch.full((2,), 2.0, dtype=torch.float64))
    torch.testing.assert_close(solution, torch.ones(2, dtype=torch.float64))


# start and refinement


def test_smoothed_states_suggest_the_true_terms():
    supports = sparse_supports(prepare([lorenz_trajectory(0.1, points=600)], QUADRATIC, Settings()))
    assert any((support == TRUE).all() for support in supports)


def test_few_points_suggest_all_free_candidates():
    fixed = np.full(TRUE.shape, np.nan)
    fixed[0] = 0.0
    start = prepare([lorenz_trajectory(0.1, points=6)], QUADRATIC, Settings(fixed_coefficients=fixed))
    (support,) = sparse_supports(start)
    assert (support == start.free).all()
    assert not support[0].any()


@pytest.mark.parametrize("size", [1e-6, 1.0, 30.0])
def test_divided_steps_cost_what_is_tolerated(size):
    """With p parts a step costs 2 e^2 p^(1 - 2 K); steps with small errors are not divided."""
    K, error = 4, size * torch.tensor([1.0, 1.0, 1.0, 1e-3, 1e-3, 1e-3, 1e-3]).double()[:, None]
    parts = divisions(error, K, 10_000)
    remaining = error * parts[:, None] ** (0.5 - K)
    assert float(2 * remaining.square().sum()) <= TRUNCATION
    assert float(tolerated(remaining)) <= 1
    assert parts[0] >= parts[-1]
    alike = (2 * error.square().sum() / TRUNCATION) ** (1 / (2 * K - 1))
    assert parts.sum() <= len(parts) * alike.ceil().clamp(min=1)
    if size > 1:
        assert parts.sum() < 0.9 * len(parts) * alike


def test_the_number_of_parts_is_bounded():
    parts = divisions(torch.full((1000, 1), 1e6, dtype=torch.float64), 4, 3000)
    assert 3000 <= parts.sum() <= 4000
