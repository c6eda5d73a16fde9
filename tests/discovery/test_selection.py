"""Selection of terms: backward elimination, exchange, cross-validation."""

import numpy as np
import pytest
import torch

from tests.discovery.discoveries import QUADRATIC, TRUE, lorenz_trajectory
from workbench.discovery.engine import blocks
from workbench.discovery.engine.preparation import Settings
from workbench.discovery.engine.selection import (
    Criterion,
    backward,
    cross_validated,
    descent,
    eliminate,
    exchanged,
    fit,
)
from workbench.discovery.modes import discover


def problem(seed: int, windows: int = 4) -> tuple[blocks.Block, np.ndarray]:
    """A problem with eight candidates, three of which are in the data."""
    generator = torch.Generator().manual_seed(seed)
    columns = torch.randn(400, 8, dtype=torch.float64, generator=generator)
    noise = 0.1 * torch.randn(400, 1, dtype=torch.float64, generator=generator)
    data = columns[:, [1, 4, 6]] @ torch.tensor([[1.0], [-2.0], [0.5]]).double() + noise
    first = torch.ones(400, 1, dtype=torch.float64)
    rows = torch.cat([first, columns, data], dim=1).reshape(windows, -1, 10)
    labels = np.array([(c, 0) for c in range(8)])
    return blocks.Block(labels, blocks._triangle(rows)), np.full(8, float(data.square().sum()))


@pytest.mark.parametrize("seed", range(5))
def test_single_and_batched_selection_find_the_true_terms(seed):
    block, totals = problem(seed)
    criterion = Criterion(0.001, 396, 8)
    chosen = exchanged(block, totals, criterion, backward(block, totals, criterion))
    assert np.flatnonzero(chosen.kept).tolist() == [1, 4, 6]
    assert chosen.values[[1, 4, 6]] == pytest.approx([1, -2, 0.5], abs=0.03)
    grams = np.stack([block.grams.sum(axis=0), 3 * block.grams.sum(axis=0)])
    np.testing.assert_array_equal(eliminate(grams, 3 * totals, criterion), [chosen.kept] * 2)


def test_the_criterion_is_the_extended_bayesian_information_criterion():
    """A term is dropped if n log(1 + gain / rss) < log n + 2 log C."""
    criterion, limit = Criterion(0.0, 400, 8), np.expm1((np.log(400) + 2 * np.log(8)) / 400)
    gains = limit * np.array([0.99, 1.01])
    assert criterion.droppable(gains, np.array([1.0]), np.ones(2)).tolist() == [True, False]
    assert criterion.value(2.0, 3) == pytest.approx(400 * np.log(2) + 3 * (np.log(400) + 2 * np.log(8)))


def test_standard_errors_equal_those_of_least_squares():
    """sqrt(rss / (n - P) (X^T X)^-1), for n = 12 independent samples."""
    block, _ = problem(0)
    terms = np.isin(np.arange(8), [1, 4, 6])
    result, gram = fit(block, terms), block.triangle[:, :-1].T @ block.triangle[:, :-1]
    expected = np.sqrt(result.rss / (12 - 3) * np.diag(np.linalg.inv(gram[np.ix_(terms, terms)])))
    np.testing.assert_allclose(result.deviations(12.0)[terms], expected, rtol=1e-9)


def test_the_minimum_contribution_drops_small_significant_terms():
    block, totals = problem(0)
    chosen = backward(block, totals, Criterion(0.3, 396, 8))
    assert np.flatnonzero(chosen.kept).tolist() == [1, 4]


@pytest.mark.parametrize("seed", range(5))
def test_cross_validation_finds_the_terms_and_needs_several_windows(seed):
    block, totals = problem(seed, windows=20)
    chosen = cross_validated(block, totals, Criterion(0.001, 380, 8, cv_folds=10))
    assert np.flatnonzero(chosen.kept).tolist() == [1, 4, 6]
    one = blocks.Block(block.labels, block.triangles[:1])
    alone = Criterion(0.001, 396, 8, cv_folds=4)
    np.testing.assert_array_equal(cross_validated(one, totals, alone).kept, backward(one, totals, alone).kept)


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_discovery_by_cross_validation(noise):
    result = discover([lorenz_trajectory(noise)], QUADRATIC, Settings(cv_folds=5, n_bootstrap=20))
    assert ((result.coefficients != 0) == TRUE).all()


def test_a_single_fold_raises_an_error():
    with pytest.raises(ValueError, match="cv_folds: expected 0 or at least 2, found 1"):
        discover([lorenz_trajectory(points=200)], QUADRATIC, Settings(cv_folds=1))


def test_the_descent_drops_the_term_with_the_smallest_gain_of_all_equations():
    block, _ = problem(0)
    terms, rss = descent([block, block], [1.0, 3.0])
    assert terms.tolist() == list(range(16, -1, -1))
    assert (np.diff(rss) >= -1e-9 * rss[0]).all()
    # six true terms: those of the equation with the larger residuals are dropped last
    assert rss[10] < 1.2 * rss[0]
    assert rss[-1] == pytest.approx(10 * float(block.triangle[:, -1] @ block.triangle[:, -1]))
