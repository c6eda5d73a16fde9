"""Search over supports in a quadratic model, and the evidence."""

from itertools import combinations

import numpy as np
import pytest

from workbench.discovery.evidence import PRIOR, SPARSITY, criterion, probabilities, support_penalty, term_penalties
from workbench.discovery.quadratic import Quadratic, covariance_of
from workbench.symbolic.expr import complexity
from workbench.symbolic.library import LibrarySpec, Polynomials
from workbench.symbolic.parser import parse


def regression(seed: int, terms: tuple[int, ...], P: int = 8) -> tuple[Quadratic, np.ndarray]:
    """Two equations with P / 2 correlated candidates each, and the true support."""
    generator = np.random.default_rng(seed)
    columns = generator.standard_normal((200, P)) + 0.7 * generator.standard_normal((200, 1))
    data = columns[:, terms] @ np.full(len(terms), 0.5) + 0.5 * generator.standard_normal(200)
    present = np.zeros(P, dtype=bool)
    present[list(terms)] = True
    weight = 1 / 0.5**2
    model = Quadratic(weight * columns.T @ columns, weight * columns.T @ data, np.arange(P) % 2, np.full(P, 2.0))
    return model, present


def test_changes_are_differences_of_the_criterion():
    model, present = regression(0, (1, 4, 6))

    def value(support):
        own = model.matrix[np.ix_(support, support)]
        xi = np.linalg.solve(own + np.eye(support.sum()) / PRIOR**2, model.right[support])
        cost = xi @ own @ xi - 2 * model.right[support] @ xi
        return criterion(cost, own, xi, model.penalty[support].sum())

    for move in model.moves(present)[:20]:
        assert move.change == pytest.approx(value(move.support) - value(present), abs=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_moves_from_any_support_lead_to_the_best_one(seed):
    model, present = regression(seed, (1, 4, 6))
    every = [np.isin(np.arange(8), chosen) for n in range(1, 9) for chosen in combinations(range(8), n)]
    best = min(every, key=lambda support: model._fit(support)[0])
    for start in (np.ones(8, dtype=bool), ~present):
        support = start
        while (move := model.moves(support)[0]).change < 0:
            support = move.support
        assert (support == best).all()


def test_changes_of_an_elimination_are_differences_of_the_criterion():
    model, _ = regression(0, (1, 4, 6))
    support = np.ones(8, dtype=bool)
    for index, change, increase in model._eliminated(support.copy(), support.copy(), model.penalty):
        before = model._fit(support)[0]
        support[index] = False
        assert change == pytest.approx(model._fit(support)[0] - before, rel=1e-6, abs=1e-6)
        assert increase >= 0
        if support.sum() == 1:
            break


def test_the_path_ends_with_no_term_and_its_cost_increases():
    model, _ = regression(1, (0, 2))
    terms, costs = model.path()
    assert terms.tolist() == list(range(8, -1, -1))
    assert (np.diff(costs) >= -1e-9).all()
    assert costs[-1] == 0


def test_one_of_two_equal_candidates_is_kept():
    model, _ = regression(2, (1, 4))
    index = np.array([*range(8), 1])
    twice = Quadratic(
        model.matrix[np.ix_(index, index)], model.right[index], model.equation[index], model.penalty[index]
    )
    support = np.ones(9, dtype=bool)
    while (move := twice.moves(support)[0]).change < 0:
        support = move.support
    assert support[[1, 8]].sum() == 1
    assert np.isfinite(covariance_of(twice.matrix)).all()


def test_penalties_count_the_candidates_of_equal_complexity():
    library = Polynomials(("x", "y", "z"), 2)
    expected = 2 * np.log([1, 3, 3, 3, *[6] * 6]) + SPARSITY
    np.testing.assert_allclose(term_penalties(library), expected)
    support = np.zeros((10, 3), dtype=bool)
    support[[1, 2], 0] = True
    assert support_penalty(library, support) == pytest.approx(2 * (2 * np.log(3) + 2 * np.log(2)))
    support[5, 1] = True
    assert support_penalty(library, support) == pytest.approx(4 * np.log(3) + 2 * np.log(6) + 6 * np.log(3))
    assert LibrarySpec(degree=1, frequencies=(2.0,)).library(("x",)).complexities == (0, 1, 2, 2)


@pytest.mark.parametrize(
    "text,count", [("3", 0), ("x", 1), ("x^2*y", 3), ("sin(2*x)", 2), ("x/(1 + x)", 2), ("sqrt(x)", 2), ("x^-1", 2)]
)
def test_complexity_counts_variables_and_functions(text, count):
    assert complexity(parse(text, ("x", "y"))) == count


def test_probabilities_are_those_of_the_evidence():
    np.testing.assert_allclose(probabilities(np.array([10.0, 10.0 + 2 * np.log(3)])), [0.75, 0.25])
