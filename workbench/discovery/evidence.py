"""Laplace evidence of a support, and the odds of several."""

from collections import Counter

import numpy as np

from workbench.symbolic.library import Library

PRIOR = 30.0
"""Standard deviation of the prior of a standardised coefficient; results are the same from 10 to 100."""
SPARSITY = 2.0
"""Penalty of every term, so that one of several dependent candidates is kept."""


def term_penalties(library: Library) -> np.ndarray:
    """-2 log prior odds (C) that this candidate is a term.

    2 log n + SPARSITY for n candidates of equal complexity: all complexities are equally likely, and all candidates of
    one complexity. A product of two variables thus needs more evidence than a variable, of which there are fewer.
    """
    sizes = Counter(library.complexities)
    return np.array([2 * np.log(sizes[complexity]) for complexity in library.complexities]) + SPARSITY


def criterion(cost: float, matrix: np.ndarray, coefficients: np.ndarray, penalty: float = 0.0) -> float:
    """-2 log evidence by Laplace's approximation, but for a constant; lower is better.

    cost + log det(I + p^2 S) + |xi|^2 / p^2 + penalty, for the prior N(0, p^2) of every coefficient. matrix S (P, P)
    and coefficients xi (P) are standardised. penalty: sum of `term_penalties` of the terms.
    Source: MacKay, "Bayesian interpolation" (1992).
    """
    _, logdet = np.linalg.slogdet(np.eye(len(matrix)) + PRIOR**2 * matrix)
    return float(cost + logdet + (coefficients**2).sum() / PRIOR**2 + penalty)


def probabilities(criteria: np.ndarray) -> np.ndarray:
    """Posterior probabilities (M) of M models with these criteria, equally likely a priori."""
    weights = np.exp(-(criteria - criteria.min()) / 2)
    return weights / weights.sum()
