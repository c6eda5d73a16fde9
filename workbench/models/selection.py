"""Which terms an equation has: backward elimination by what a term explains and by how significant that is."""

from dataclasses import dataclass
from math import log

import numpy as np

from workbench.models.blocks import Block


@dataclass(frozen=True)
class Criterion:
    """When a term goes.

    share: if what only this term explains is less than that share of how its variable changes within a window, in the
    norm. Else if the extended Bayesian information criterion is lower without it: n log(1 + gain / rss) < log n +
    2 log C, for `samples` n that are independent and C = `candidates` to choose from.
    Source: Chen & Chen, "Extended Bayesian information criteria for model selection with large model spaces" (2008).
    """

    share: float
    samples: float
    candidates: int

    @property
    def penalty(self) -> float:
        """What a term costs."""
        return log(max(self.samples, 2.0)) + 2 * log(max(self.candidates, 1))

    def droppable(self, gains: np.ndarray, rss: np.ndarray, totals: np.ndarray) -> np.ndarray:
        """Which terms may go: gains (B, P) of squared residual rss (B, 1), totals (P) how much there is to explain."""
        with np.errstate(divide="ignore", over="ignore"):
            insignificant = self.samples * np.log1p(gains / np.maximum(rss, 1e-300)) < self.penalty
        return insignificant | (gains < self.share**2 * totals)


def eliminate(
    grams: np.ndarray, totals: np.ndarray, criterion: Criterion, rounds: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Terms kept (B, P) and their coefficients for B problems [candidates | data]^T [candidates | data] (B, P+1, P+1).

    As long as any term may go, the one that explains least goes, and the rest is fitted again; at most `rounds` times.
    """
    P = grams.shape[-1] - 1
    lengths = np.sqrt(np.maximum(np.einsum("bpp->bp", grams)[:, :P], 1e-300))
    scaled = grams[:, :P, :P] / (lengths[:, :, None] * lengths[:, None, :])
    # far below what noise or truncation leaves; candidates that are one and the same become a pair of weak ones
    inverse = np.linalg.inv(scaled + 1e-13 * np.eye(P))
    right = grams[:, :P, P] / lengths
    fit = np.einsum("bpq,bq->bp", inverse, right)
    rss = np.maximum(grams[:, P, P] - np.einsum("bp,bp->b", fit, right), 0.0)[:, None]
    kept, every = np.ones(fit.shape, dtype=bool), np.arange(len(grams))
    for _ in range(P if rounds is None else rounds):
        diagonal = np.where(kept, np.einsum("bpp->bp", inverse), 1.0)
        gains = np.where(kept, fit**2 / diagonal, np.inf)
        gains = np.where(kept & criterion.droppable(gains, rss, totals), gains, np.inf)
        weakest = gains.argmin(axis=1) if P else np.zeros(len(grams), dtype=int)
        going = np.isfinite(gains[every, weakest]) if P else np.zeros(len(grams), dtype=bool)
        if not going.any():
            break
        b, k = every[going], weakest[going]
        column = inverse[b, :, k]
        pivot = column[np.arange(len(b)), k][:, None]
        rss[b] += gains[b, k][:, None]
        fit[b] -= column * (fit[b, k][:, None] / pivot)
        inverse[b] -= column[:, :, None] * column[:, None, :] / pivot[..., None]
        kept[b, k] = False
    return kept, np.where(kept, fit, 0.0) / lengths


@dataclass(frozen=True)
class Fit:
    """Coefficients (P), 0 where not `kept` (P); rss: what they leave unexplained; covariance (P, P) per unit variance."""

    kept: np.ndarray
    values: np.ndarray
    rss: float
    covariance: np.ndarray

    def deviations(self, samples: float) -> np.ndarray:
        """Standard errors (P), where the residual holds `samples` independent errors."""
        variance = self.rss / max(samples - self.kept.sum(), 1.0)
        return np.sqrt(variance * np.diag(self.covariance))


def refit(block: Block, kept: np.ndarray) -> Fit:
    """The least-squares fit of the terms kept, by an orthogonal factorisation: accurate where the grams are not."""
    triangle = block.triangle
    terms = np.flatnonzero(kept)
    design, target = triangle[:, terms], triangle[:, -1]
    lengths = np.maximum(np.linalg.norm(design, axis=0), 1e-300)
    inverse = np.linalg.pinv(design / lengths)
    fit = inverse @ target
    values, covariance = np.zeros(len(kept)), np.zeros((len(kept), len(kept)))
    values[terms] = fit / lengths
    covariance[np.ix_(terms, terms)] = (inverse @ inverse.T) / (lengths[:, None] * lengths)
    return Fit(kept, values, float(np.sum((target - design @ values[terms]) ** 2)), covariance)
