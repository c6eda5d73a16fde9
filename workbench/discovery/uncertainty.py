"""How sure coefficients are: the covariance of the fit, and what other windows would have given."""

from dataclasses import dataclass

import numpy as np

from workbench.discovery.engine.blocks import Block
from workbench.discovery.engine.selection import Criterion, Fit, eliminate

NORMAL_95 = 1.959964
"""Standard deviations to either side that hold 95 % of a normal distribution."""


@dataclass(frozen=True)
class Spread:
    """deviation (P): standard errors by the covariance of the fit; lower, upper (P): 95 % intervals by bootstrap.

    inclusion (P): in what share of the bootstrap samples a term was kept. 0 where a term was not kept, inclusion apart.
    """

    deviation: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    inclusion: np.ndarray


def bootstrap(
    block: Block, fit: Fit, totals: np.ndarray, criterion: Criterion, n_bootstrap: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lower and upper ends of 95 % intervals and the inclusion (P), from `n_bootstrap` resamples of the windows.

    In each sample terms are selected anew, which tells the inclusion; the interval is of the terms of the fit, fitted
    to each sample: its 2.5 and 97.5 percentiles. Source: Efron & Tibshirani, "An Introduction to the Bootstrap" (1993).
    """
    grams = block.grams
    counts = generator.multinomial(len(grams), np.full(len(grams), 1 / len(grams)), size=n_bootstrap)
    drawn = np.einsum("bw,wpq->bpq", counts.astype(float), grams)
    kept = eliminate(drawn, totals, criterion)
    terms = np.flatnonzero(fit.kept)
    lower, upper = np.zeros(len(fit.kept)), np.zeros(len(fit.kept))
    if len(terms):
        lengths = np.sqrt(np.einsum("bpp->bp", drawn)[:, terms])
        design = drawn[:, terms[:, None], terms] / (lengths[:, :, None] * lengths[:, None, :])
        right = (drawn[:, terms, -1] / lengths)[..., None]
        values = np.linalg.solve(design + 1e-13 * np.eye(len(terms)), right)[..., 0] / lengths
        lower[terms], upper[terms] = np.quantile(values, [0.025, 0.975], axis=0)
    return lower, upper, kept.mean(axis=0)


def spread(
    block: Block, fit: Fit, totals: np.ndarray, criterion: Criterion, n_bootstrap: int, generator: np.random.Generator
) -> Spread:
    """Both kinds for the coefficients of a block."""
    lower, upper, inclusion = bootstrap(block, fit, totals, criterion, n_bootstrap, generator)
    return Spread(fit.deviations(criterion.samples), lower, upper, inclusion)
