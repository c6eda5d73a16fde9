"""Selection of terms by backward elimination, exchange and cross-validation."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log

import numpy as np

from workbench.discovery.engine.blocks import Block


@dataclass(frozen=True)
class Criterion:
    """Criterion for dropping a term.

    min_contribution: a term is dropped if its contribution is less than this fraction of the change of its variable
    within a window, in the norm. It is also dropped if the extended Bayesian information criterion decreases:
    n log(1 + gain / rss) < log n + 2 log C, for n = `samples` independent samples and C = `candidates`.
    cv_folds: with 2 or more, cross-validation over that many groups of windows is used, see `cross_validated`.
    Source: Chen & Chen, "Extended Bayesian information criteria for model selection with large model spaces" (2008).
    """

    min_contribution: float
    samples: float
    candidates: int
    cv_folds: int = 0

    @property
    def penalty(self) -> float:
        """Penalty per term."""
        return log(max(self.samples, 2.0)) + 2 * log(max(self.candidates, 1))

    def droppable(self, gains: np.ndarray, rss: np.ndarray, totals: np.ndarray) -> np.ndarray:
        """Which terms may be dropped, by their gains (..., P) in rss (..., 1), and the squared change totals (P)."""
        with np.errstate(over="ignore", invalid="ignore"):
            insignificant = self.samples * np.log1p(np.maximum(gains, 0) / np.maximum(rss, 1e-300)) < self.penalty
        return insignificant | (gains < self.min_contribution**2 * totals)

    def value(self, rss: float, terms: int) -> float:
        """Value of the criterion; lower is better."""
        return self.samples * log(max(rss, 1e-300)) + self.penalty * terms


@dataclass(frozen=True)
class Fit:
    """Coefficients (P), 0 where not `kept` (P); rss: residual sum of squares; covariance (P, P) for unit variance."""

    kept: np.ndarray
    values: np.ndarray
    rss: float
    covariance: np.ndarray

    @property
    def gains(self) -> np.ndarray:
        """Increase of the squared residual without each term (P), infinite for dropped terms."""
        return np.where(self.kept, self.values**2 / np.where(self.kept, np.diag(self.covariance), 1.0), np.inf)

    def deviations(self, samples: float) -> np.ndarray:
        """Standard errors (P) for `samples` independent residuals."""
        variance = self.rss / max(samples - self.kept.sum(), 1.0)
        return np.sqrt(variance * np.diag(self.covariance))


def fit(block: Block, kept: np.ndarray) -> Fit:
    """Least-squares fit of the kept terms by an orthogonal factorisation, which is more accurate than Gram matrices."""
    terms = np.flatnonzero(kept)
    columns = block.triangle[:, [*terms, -1]]
    lengths = np.maximum(np.linalg.norm(columns, axis=0), 1e-300)
    triangle = np.linalg.qr(columns / lengths, mode="r")
    lengths, own = lengths[:-1], triangle[:-1, :-1]
    # a linearly dependent candidate has a diagonal of about 1e-14 by rounding
    own = own + np.diag(np.where(np.abs(np.diag(own)) < 1e-14, 1e-14, 0.0))
    inverse = np.linalg.inv(own) / lengths[:, None]
    size = np.linalg.norm(block.triangle[:, -1])
    values, covariance = np.zeros(len(kept)), np.zeros((len(kept), len(kept)))
    values[terms] = inverse @ triangle[:-1, -1] * size
    covariance[np.ix_(terms, terms)] = inverse @ inverse.T
    return Fit(kept, values, float((triangle[-1, -1] * size) ** 2), covariance)


def backward(
    block: Block, totals: np.ndarray, criterion: Criterion, *, kept: np.ndarray | None = None, rounds: int | None = None
) -> Fit:
    """Backward elimination: drop the droppable term with the smallest gain and refit, at most `rounds` times.

    totals (P): see `Criterion.droppable`. kept (P): initial terms; None: all.
    """
    kept = np.ones(len(block.labels), dtype=bool) if kept is None else kept
    found, left = fit(block, kept), len(kept) if rounds is None else rounds
    while left and found.kept.any():
        gains = found.gains
        droppable = found.kept & criterion.droppable(gains, np.array([found.rss]), totals)
        if not droppable.any():
            break
        kept = found.kept.copy()
        kept[np.where(droppable, gains, np.inf).argmin()] = False
        found, left = fit(block, kept), left - 1
    return found


def exchanged(block: Block, totals: np.ndarray, criterion: Criterion, found: Fit) -> Fit:
    """Improve the terms of `found` by adding each absent term and eliminating backward again.

    It corrects the selection of a nearly dependent term instead of the true ones. The best such set is taken until none
    has a lower criterion.
    """
    while True:
        value = criterion.value(found.rss, int(found.kept.sum()))
        others = []
        for absent in np.flatnonzero(~found.kept):
            kept = found.kept.copy()
            kept[absent] = True
            others.append(backward(block, totals, criterion, kept=kept))
        values = [criterion.value(other.rss, int(other.kept.sum())) for other in others]
        if not values or not min(values) < value - 1e-9 * abs(value):
            return found
        found = others[int(np.argmin(values))]


def descent(blocks: Sequence[Block], sizes: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of terms and squared residuals (P + 1) as the term with the smallest gain is dropped repeatedly.

    sizes: factors that make the residuals of the blocks comparable.
    """
    fits = [fit(block, np.ones(len(block.labels), dtype=bool)) for block in blocks]
    terms, rss = [], []
    while True:
        terms.append(sum(int(found.kept.sum()) for found in fits))
        rss.append(sum(found.rss * size**2 for found, size in zip(fits, sizes, strict=True)))
        gains = [found.gains * size**2 for found, size in zip(fits, sizes, strict=True)]
        least = min(range(len(fits)), key=lambda index: gains[index].min(initial=np.inf))
        if not fits[least].kept.any():
            return np.array(terms), np.array(rss)
        kept = fits[least].kept.copy()
        kept[gains[least].argmin()] = False
        fits[least] = fit(blocks[least], kept)


def cross_validated(block: Block, totals: np.ndarray, criterion: Criterion) -> Fit:
    """The smallest model of backward elimination that predicts held-out windows as well as the best one.

    The windows form `cv_folds` groups; every model is fitted to all groups but one and evaluated on that one, with
    initial values projected out. A model is as good as the best if its error is larger by at most two standard errors
    of the difference. Terms below `min_contribution` are always dropped.
    Source: Hastie, Tibshirani, Friedman, "The Elements of Statistical Learning" (2009), 7.10.
    """
    cv_folds = min(criterion.cv_folds, len(block.triangles))
    if cv_folds < 2:
        return backward(block, totals, criterion)
    start = backward(block, totals, replace(criterion, samples=np.inf))
    way = [start]
    while way[-1].kept.any():
        way.append(backward(block, totals, replace(criterion, min_contribution=np.inf), kept=way[-1].kept, rounds=1))
    group = np.arange(len(block.triangles)) % cv_folds
    others = [Block(block.labels, block.triangles[group != own]) for own in range(cv_folds)]
    grams = [block.grams[group == own].sum(axis=0) for own in range(cv_folds)]
    errors = np.array([[_left_out(*pair, found.kept) for pair in zip(others, grams, strict=True)] for found in way])
    worse = errors - errors[errors.sum(axis=1).argmin()]
    good = worse.sum(axis=1) <= 2 * worse.std(axis=1, ddof=1) * np.sqrt(cv_folds)
    return way[int(np.flatnonzero(good)[-1])]


def _left_out(others: Block, gram: np.ndarray, kept: np.ndarray) -> float:
    """Squared error of the fit to `others` on windows with Gram matrix `gram` of [candidates | data]."""
    ahead = np.append(-fit(others, kept).values, 1.0)
    return float(ahead @ gram @ ahead)


def eliminate(grams: np.ndarray, totals: np.ndarray, criterion: Criterion) -> np.ndarray:
    """Terms (B, P) that `backward` keeps, for B Gram matrices of [candidates | data] (B, P + 1, P + 1).

    Batched and less accurate than `backward`, for hundreds of bootstrap samples.
    """
    P, every = grams.shape[-1] - 1, np.arange(len(grams))
    kept = np.ones((len(grams), P), dtype=bool)
    if not P:
        return kept
    lengths = np.sqrt(np.maximum(np.einsum("bpp->bp", grams)[:, :P], 1e-300))
    scaled = grams[:, :P, :P] / (lengths[:, :, None] * lengths[:, None, :])
    # far below noise and truncation; identical candidates become a pair of weak ones
    inverse = np.linalg.inv(scaled + 1e-13 * np.eye(P))
    right = grams[:, :P, P] / lengths
    values = np.einsum("bpq,bq->bp", inverse, right)
    rss = np.maximum(grams[:, P, P] - np.einsum("bp,bp->b", values, right), 0.0)[:, None]
    for _ in range(P):
        gains = values**2 / np.where(kept, np.abs(np.einsum("bpp->bp", inverse)), 1.0)
        gains = np.where(kept & criterion.droppable(gains, rss, totals), gains, np.inf)
        weakest = gains.argmin(axis=1)
        going = np.isfinite(gains[every, weakest])
        if not going.any():
            break
        b, k = every[going], weakest[going]
        column = inverse[b, :, k]
        pivot = column[np.arange(len(b)), k][:, None]
        rss[b] += gains[b, k][:, None]
        values[b] -= column * (values[b, k][:, None] / pivot)
        inverse[b] -= column[:, :, None] * column[:, None, :] / pivot[..., None]
        kept[b, k] = False
    return kept
