"""Standard errors of coefficients by the covariance of the fit, and confidence intervals by bootstrap."""

from dataclasses import dataclass

import numpy as np

from workbench.discovery.engine.blocks import Block
from workbench.discovery.engine.selection import Criterion, Fit, eliminate

NORMAL_95 = 1.959964
"""Half-width, in standard deviations, of the central 95 % interval of a normal distribution."""


@dataclass(frozen=True)
class Spread:
    """standard_error (P): by the covariance of the fit. lower, upper (P): 95 % intervals by bootstrap.

    inclusion (P): fraction of the bootstrap samples in which a term is selected. The other fields are 0 for
    terms that are not in the fit.
    """

    standard_error: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    inclusion: np.ndarray


def bootstrap(
    block: Block, fit: Fit, totals: np.ndarray, criterion: Criterion, n_bootstrap: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lower and upper ends of 95 % intervals and the inclusion (P), from `n_bootstrap` resamples of the windows.

    The inclusion repeats the selection of terms on each sample. The intervals are the 2.5 and 97.5 percentiles of the
    terms of the fit, refitted to each sample. Source: Efron & Tibshirani, "An Introduction to the Bootstrap" (1993).
    """
    grams = block.grams
    counts = generator.multinomial(len(grams), np.full(len(grams), 1 / len(grams)), size=n_bootstrap)
    resampled = np.einsum("bw,wpq->bpq", counts.astype(float), grams)
    selected = eliminate(resampled, totals, criterion)
    terms = np.flatnonzero(fit.kept)
    lower, upper = np.zeros(len(fit.kept)), np.zeros(len(fit.kept))
    if len(terms):
        lengths = np.sqrt(np.einsum("bpp->bp", resampled)[:, terms])
        design = resampled[:, terms[:, None], terms] / (lengths[:, :, None] * lengths[:, None, :])
        right = (resampled[:, terms, -1] / lengths)[..., None]
        values = np.linalg.solve(design + 1e-13 * np.eye(len(terms)), right)[..., 0] / lengths
        lower[terms], upper[terms] = np.quantile(values, [0.025, 0.975], axis=0)
    return lower, upper, selected.mean(axis=0)


def spread(
    block: Block, fit: Fit, totals: np.ndarray, criterion: Criterion, n_bootstrap: int, generator: np.random.Generator
) -> Spread:
    """Standard errors and bootstrap intervals of the coefficients of a block."""
    lower, upper, inclusion = bootstrap(block, fit, totals, criterion, n_bootstrap, generator)
    return Spread(fit.deviations(criterion.samples), lower, upper, inclusion)
