"""Laplace evidence of a support, and the odds of several."""

from collections import Counter

import numpy as np

from workbench.symbolic.library import Library

PRIOR = 30.0
"""Standard deviation of the prior of a standardised coefficient; results are the same from 10 to 100."""
SPARSITY = 2.0
"""Typical size of 2 log(m + 1), see `support_penalty`, where penalties of terms are added."""


def term_penalties(library: Library) -> np.ndarray:
    """-2 log prior probability (C) that a term is this candidate: 2 log n + SPARSITY, see `support_penalty`."""
    sizes = Counter(library.complexities)
    return np.array([2 * np.log(sizes[complexity]) for complexity in library.complexities]) + SPARSITY


def support_penalty(library: Library, support: np.ndarray) -> float:
    """-2 log prior probability of a support (C, D), but for a constant.

    2 log n + 2 log(m + 1) per term, for n candidates of its complexity and m the highest complexity of all terms. All
    highest complexities are equally likely; so are, for every term, the complexities up to it and the candidates of one
    complexity. A product of two variables thus needs more evidence than a variable, of which there are fewer, and terms
    of degree 3 more than those of degree 2.
    """
    terms = support.sum(axis=1)
    highest = max((c for c, count in zip(library.complexities, terms, strict=True) if count), default=0)
    return float(terms @ (term_penalties(library) - SPARSITY) + terms.sum() * 2 * np.log(highest + 1))


def criterion(cost: float, matrix: np.ndarray, coefficients: np.ndarray, penalty: float = 0.0) -> float:
    """-2 log evidence by Laplace's approximation, but for a constant; lower is better.

    cost + log det(I + p^2 S) + |xi|^2 / p^2 + penalty, for the prior N(0, p^2) of every coefficient. matrix S (P, P)
    and coefficients xi (P) are standardised. penalty: see `support_penalty`.
    Source: MacKay, "Bayesian interpolation" (1992).
    """
    _, logdet = np.linalg.slogdet(np.eye(len(matrix)) + PRIOR**2 * matrix)
    return float(cost + logdet + (coefficients**2).sum() / PRIOR**2 + penalty)


def probabilities(criteria: np.ndarray) -> np.ndarray:
    """Posterior probabilities (M) of M models with these criteria, equally likely a priori."""
    weights = np.exp(-(criteria - criteria.min()) / 2)
    return weights / weights.sum()
