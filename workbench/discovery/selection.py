"""Search over supports: which candidates are terms of the equations, judged by the Laplace evidence."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from workbench.discovery.estimator import SOFT, JointEstimate, JointEstimator, NormalEquations
from workbench.discovery.evidence import criterion, support_penalty, term_penalties
from workbench.discovery.noise import NoiseShape, noise_shape
from workbench.discovery.quadratic import Quadratic

LEVELS = 8
"""Number of equation weights of the soft start, in geometric progression."""
HARD = 0.0007
"""Standard deviation of the Taylor rows, in noise levels, of the final search: with 0.002 the states absorb so much of
the misfit that similar terms, such as y and y z on the Lorenz attractor, are equally good."""
TRUNCATION = 0.1
"""Largest cost of the truncation errors of all Taylor rows together. A larger one favours supports with smoother
solutions: 1 loses the Lorenz equations in three of 15 records with 20 to 30 % noise, 0.1 in none."""
RESOLVED, LEAST_NOISE = 5.0, 1e-6
"""Least noise level, in units of the tolerance that truncation permits and in standard deviations of the variable."""
EVIDENT = 4.0
"""Least truncation error of soft states, in units of the tolerance, that is more than their softness."""
MOST_PARTS, FEW_POINTS, MOST_POINTS = 8, 6_000, 60_000
"""Largest number of grid points per measurement time, on average, that refinement gives, and bounds of all of them."""
TENTATIVE = 5
"""Gauss-Newton steps by which truncation errors are estimated."""
PROMISING = 10
"""Number of candidates of an equation, besides its terms, that remain candidates with nearly exact dynamics."""
TRIED = 8
"""Default number of supports near the best one that are fitted before it is accepted."""
MARGIN, HARD_MARGIN = 15.0, 8.0
"""Supports whose predicted criterion exceeds the best one by more than this are not fitted, in the first search and
with nearly exact dynamics."""
CARRIED, CLOSE = 6, 30.0
"""Supports that are fitted again when noise level, tolerance or grid change: the best ones, at most CARRIED of them,
whose criterion exceeds that of the best by less than CLOSE."""
WORK = 3e6
"""Grid points times coefficients of all fits, with soft and with nearly exact dynamics each, after which no other
supports are tried."""
SMALL = 1e9
"""Penalty of a term below the minimum contribution: it is dropped, however significant."""
HOPELESS = 50.0
"""A fit ends early if its cost exceeds that of the best support by more than this."""


@dataclass(frozen=True, eq=False)
class SupportFit:
    """Converged fit of one support (C, D): matrix (P, P) of the coefficients in the order of `np.nonzero`.

    criterion: -2 log evidence but for a constant of the record; lower is better.
    """

    support: np.ndarray
    estimate: JointEstimate
    matrix: np.ndarray
    criterion: float

    @property
    def coefficients(self) -> np.ndarray:
        """Standardised coefficients (P)."""
        return self.estimate.coefficients.numpy()[self.support]


class SupportSearch:
    """Fits of supports with soft dynamics, then moves to better ones near the best, and again with nearly exact ones.

    The quadratic model of the cost about the best fit predicts the criterion of other supports, see `Quadratic.moves`;
    those predicted best are fitted. `refine` repeats the best fits with less tolerance. Every visited support keeps its
    fit. free (C, D): the coefficients to estimate. min_contribution: least standardised coefficient, which is
    the share of a term in the derivative of its variable. tried: number of supports near the best one that are
    fitted before it is accepted.
    """

    def __init__(
        self, estimator: JointEstimator, free: np.ndarray, *, min_contribution: float = 0.0, tried: int = TRIED
    ) -> None:
        self.estimator, self.free, self.tried = estimator, free, tried
        self.tolerance, self.least = SOFT, estimator.tolerance
        self.min_contribution, self.work = min_contribution, 0.0
        self.penalties = np.broadcast_to(term_penalties(estimator.library)[:, None], free.shape)
        self.visited: dict[bytes, SupportFit] = {}

    @property
    def best(self) -> SupportFit:
        """The visited support with the lowest criterion."""
        return min(self.visited.values(), key=lambda fit: fit.criterion)

    def resume(self, support: np.ndarray, first: JointEstimate) -> JointEstimate:
        """Fit a support from smoothed states and coefficients that are known well."""
        return self._fit(support, first).estimate

    def start(self, support: np.ndarray, first: JointEstimate, weight: Tensor) -> Iterator[JointEstimate]:
        """Fit a support from smoothed states, with equation weights from `weight` (D) to the final one."""
        now, last = first, self.estimator.weight
        for level in range(LEVELS):
            weights = weight * (last / weight) ** (level / (LEVELS - 1))
            now, _ = self.estimator.fit(now, support, weights, steps=8, tolerance=0.5, ridge=1e-6)
            yield now
        self._fit(support, now)

    def improve(self) -> Iterator[JointEstimate]:
        """Move to better supports until `tried` of those predicted best are not better."""
        improved = True
        while improved:
            best, tried, improved = self.best, 0, False
            for support, coefficients in self._moves(best):
                if support.tobytes() in self.visited:
                    continue
                fit = self._fit(support, replace(best.estimate, coefficients=coefficients))
                yield fit.estimate
                tried += 1
                improved = fit.criterion < best.criterion - 1e-3
                if self.work > WORK:
                    return
                if improved or tried == self.tried:
                    break

    def refine(self, tolerance: float) -> Iterator[JointEstimate]:
        """Fit the best supports again with another tolerance, in noise levels, on a grid fine enough for it."""
        e, target = self.estimator, tolerance * self.estimator.sigma
        now, then = e.truncation(self.best.estimate.states), e.truncation(self._states(target))
        error = torch.maximum(then, now.where(now > EVIDENT * e.tolerance, 0.0))
        most = np.clip(MOST_PARTS * sum(map(len, e.grid.samples)), FEW_POINTS, MOST_POINTS)
        parts = divisions(error / target, e.derivatives, max(len(e.grid), most))
        # p parts have an error of p^-K each
        self.least = tolerated(error * parts[:, None] ** (0.5 - e.derivatives))
        self.tolerance, self.work = tolerance, 0.0
        yield from self.carry(e.refined(parts, torch.maximum(target, self.least)), parts)

    def screen(self, others: int = PROMISING) -> None:
        """Keep as candidates the terms of the best supports and, for each equation, the most promising others."""
        kept = np.any([fit.support for fit in self.close()], axis=0)
        absent = self.free & ~kept
        if not (absent.sum(axis=0) > others).any():
            return
        # of every candidate, the change by the best move to a support that has it
        change = np.full(self.free.sum(), np.inf)
        for move in reversed(self.model(self.best).moves(self.best.support[self.free])):
            change[move.support] = move.change
        rank = np.full(self.free.shape, np.inf)
        rank[self.free] = change
        rank = np.where(absent, rank, np.inf)
        for d, order in enumerate(rank.argsort(axis=0, kind="stable")[:others].T):
            kept[order, d] |= absent[order, d]
        self.free = kept

    def _states(self, tolerance: Tensor) -> Tensor:
        """States of the best fit on the present grid with another tolerance (D)."""
        other = replace(self.estimator, tolerance=tolerance)
        try:
            return other.fit(self.best.estimate, self.best.support, other.weight, steps=TENTATIVE)[0].states
        except FloatingPointError:
            return self.best.estimate.states

    def noise_change(self) -> float:
        """Largest relative change of the noise level of a variable by `reweigh`, in root mean square."""
        present = self.estimator.grid.present
        change = (self._noise() / self.estimator.noise - 1).where(present, 0.0)
        return float((change.square().sum(dim=0) / present.sum(dim=0)).sqrt().max())

    def reweigh(self) -> Iterator[JointEstimate]:
        """Estimate the noise level from the residuals of the best fit, and fit the best supports again."""
        e = replace(self.estimator, noise=self._noise())
        yield from self.carry(replace(e, tolerance=torch.maximum(self.tolerance * e.sigma, self.least)))

    @property
    def noise_shape(self) -> NoiseShape:
        """The shape of the noise by the residuals of the best fit."""
        states = self.best.estimate.states
        return noise_shape(self.estimator.misfit(states), states[..., 0])

    def _noise(self) -> Tensor:
        """Noise (T, D) by the residuals of the best fit, at least a level below which truncation errors dominate."""
        e, shape = self.estimator, self.noise_shape
        terms = int(self.best.support.sum())
        level = shape.level(e.misfit(self.best.estimate.states), e.parameters(terms))
        # soft dynamics absorb noise, nearly exact ones have truncation errors
        least = RESOLVED * self.least if self.tolerance == HARD else e.sigma
        level = torch.maximum(level, least)
        return shape.relative * level.clamp(min=LEAST_NOISE)

    def carry(self, estimator: JointEstimator, parts: Tensor | None = None) -> Iterator[JointEstimate]:
        """Continue with another estimator: the best supports are fitted again from their present states.

        parts (T - 1): the division of the grid by which that of the estimator was refined.
        """
        old, kept = self.estimator, self.visited
        carried, self.estimator, self.visited = self.close(), estimator, {}
        for fit in carried:
            states = fit.estimate.states if parts is None else old.grid.interpolated(fit.estimate.states, parts)
            try:
                yield self._fit(fit.support, replace(fit.estimate, states=states)).estimate
            except FloatingPointError:
                continue
        if not self.visited:
            self.estimator, self.visited = old, kept

    def close(self) -> list[SupportFit]:
        """The best fits, at most CARRIED, whose criterion is close to the lowest."""
        limit = self.best.criterion + CLOSE
        close = [fit for fit in self.visited.values() if fit.criterion <= limit]
        return sorted(close, key=lambda fit: fit.criterion)[: CARRIED if self.work <= WORK else 1]

    def _fit(self, support: np.ndarray, start: JointEstimate) -> SupportFit:
        key = support.tobytes()
        if key not in self.visited:
            coefficients = torch.where(torch.from_numpy(support), start.coefficients, self.estimator.known)
            limit = self.best.estimate.cost + HOPELESS if self.visited else np.inf
            start = replace(start, coefficients=coefficients)
            self.work += len(self.estimator.grid) * int(support.sum())
            try:
                estimate, normal = self.estimator.fit(
                    start, support, self.estimator.weight, limit=limit, tolerance=0.05
                )
                self.visited[key] = self._judged(support.copy(), estimate, normal)
            except FloatingPointError:
                if not self.visited:
                    raise
                self.visited[key] = SupportFit(support.copy(), start, np.zeros(2 * (support.sum(),)), np.inf)
        return self.visited[key]

    def judged(self, estimate: JointEstimate) -> SupportFit:
        """Matrix and criterion of an estimate that is not converged."""
        cost = self.estimator.cost(estimate.states, estimate.coefficients, self.estimator.weight)
        estimate = replace(estimate, cost=cost)
        support = (estimate.coefficients != 0).numpy() & self.free
        return self._judged(support, estimate, self.estimator.linearise(estimate, support, self.estimator.weight))

    def _judged(self, support: np.ndarray, estimate: JointEstimate, normal: NormalEquations) -> SupportFit:
        matrix, coefficients = normal.matrix.numpy(), estimate.coefficients.numpy()[support]
        small = np.abs(coefficients) < self.min_contribution
        penalty = support_penalty(self.estimator.library, support) + SMALL * small.sum()
        value = criterion(estimate.cost, matrix, coefficients, penalty)
        return SupportFit(support, estimate, matrix, value)

    def model(self, fit: SupportFit) -> Quadratic:
        """Quadratic model of the cost over all free coefficients, about a fit."""
        normal = self.estimator.linearise(fit.estimate, self.free, self.estimator.weight)
        equation, penalty = np.nonzero(self.free)[1], self.penalties[self.free]
        return Quadratic(normal.matrix.numpy(), normal.right.numpy(), equation, penalty)

    def _moves(self, fit: SupportFit) -> Iterator[tuple[np.ndarray, Tensor]]:
        """Supports (C, D) and predicted coefficients, by their predicted criterion, the best first."""
        for move in self.model(fit).moves(fit.support[self.free]):
            if move.change > (HARD_MARGIN if self.tolerance == HARD else MARGIN):
                return
            support, coefficients = np.zeros_like(fit.support), self.estimator.known.clone()
            support[self.free] = move.support
            coefficients[torch.from_numpy(self.free)] = torch.from_numpy(move.coefficients)
            yield support, coefficients


def tolerated(error: Tensor) -> Tensor:
    """Tolerance (D) at which truncation errors (T - 1, D) of both Taylor rows of every step cost TRUNCATION."""
    return (2 * error.square().sum(dim=0) / TRUNCATION).sqrt()


def divisions(error: Tensor, derivatives: int, points: int) -> Tensor:
    """Numbers of parts (T - 1) of the steps of a grid for which truncation errors cost TRUNCATION.

    error (T - 1, D): in units of the tolerance. Dividing a step into p parts divides its cost 2 e^2 by p^(2K - 1); the
    fewest grid points in all have p proportional to e^(1/K). About `points` in all at most.
    """
    local = error.amax(dim=1).clamp(1e-12, 1e12)
    # the error of a step is uncertain, not that of a neighbourhood
    local = torch.nn.functional.max_pool1d(local[None], 3, stride=1, padding=1)[0]
    share = local ** (1 / derivatives)
    power = 2 * derivatives - 1
    factor = (2 * (local.square() * share**-power).sum() / TRUNCATION) ** (1 / power)
    parts = factor * share
    parts = parts * min(1.0, points / float(parts.clamp(min=1.0).sum()))
    return parts.ceil().clamp(min=1).long()
