"""Search over supports in a quadratic model of the cost, without further fits."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np

from workbench.discovery.evidence import PRIOR

MOST_ADDED = 12
"""Largest number of terms of one equation in a forward selection."""
MOST_SUBSETS = 5000
"""Largest number of subsets of one size of the candidates of one equation that are all compared."""
EXCHANGES = 4
"""Number of absent terms tried in place of each present one."""


def covariance_of(matrix: np.ndarray) -> np.ndarray:
    """Posterior covariance (S + I / p^2)^-1 (P, P) of standardised coefficients; dependent candidates share theirs.

    Where rounding makes S indefinite, the variance is that of the prior.
    """
    regular = matrix + np.eye(len(matrix)) / PRIOR**2
    scale = 1 / np.sqrt(np.maximum(np.diag(regular), 1 / PRIOR**2))
    inverse = np.linalg.inv(regular * scale[:, None] * scale + 1e-14 * np.eye(len(matrix))) * scale[:, None] * scale
    variance = np.diag(inverse)
    np.fill_diagonal(inverse, np.where(variance > 0, variance, PRIOR**2))
    return inverse


@dataclass(frozen=True, eq=False)
class Move:
    """A support (P) of a quadratic model, its coefficients (P), and its criterion relative to the present support."""

    support: np.ndarray
    coefficients: np.ndarray
    change: float


@dataclass(frozen=True, eq=False)
class Quadratic:
    """The cost xi^T S xi - 2 g^T xi of P coefficients. matrix: S (P, P). right: g (P).

    equation (P): index of the equation of each coefficient. penalty (P): see `evidence.term_penalties`.
    """

    matrix: np.ndarray
    right: np.ndarray
    equation: np.ndarray
    penalty: np.ndarray

    def moves(self, present: np.ndarray) -> list[Move]:
        """Supports (P) near the present one, by their predicted criterion, the best first.

        One term more, one less, one exchanged; for each equation, and for all of them, the best support on the way of a
        backward elimination of all candidates; for each equation that of a forward selection from none, and the best
        supports of few terms, which stepwise selection misses among nearly dependent candidates.
        """
        supports = {present.tobytes(): present}
        neighbours = self._neighbours(present)
        everything = np.ones_like(present)
        parts = [self.equation == d for d in np.unique(self.equation)]
        selected = [self._backward(present | own, own) for own in (*parts, everything)]
        selected += [self._forward(present & ~own, own) for own in parts]
        selected += [support for own in parts for support in self._small(present & ~own, own)]
        supports |= {support.tobytes(): support for support in (*neighbours, *selected) if support.any()}
        values = {key: self._fit(support) for key, support in supports.items()}
        origin = values[present.tobytes()][0]
        found = [Move(supports[key], xi, value - origin) for key, (value, xi) in values.items()]
        return sorted((move for move in found if move.support is not present), key=lambda move: move.change)

    def sparse(self) -> np.ndarray:
        """The best support (P) of one equation by stepwise selection and among those of few terms; may be empty."""
        everything = np.ones(len(self.right), dtype=bool)
        nothing = ~everything
        stepwise = [self._backward(everything, everything), self._forward(nothing, everything)]
        found = stepwise + self._small(nothing, everything)
        best = min(found, key=lambda support: self._fit(support)[0])
        return best if self._fit(best)[0] < 0 else nothing

    def _fit(self, support: np.ndarray) -> tuple[float, np.ndarray]:
        """Criterion, but for a constant, and coefficients (P) of a support."""
        A = np.flatnonzero(support)
        own, right = self.matrix[np.ix_(A, A)], self.right[A]
        xi = np.zeros(len(support))
        xi[A] = covariance_of(own) @ right
        _, logdet = np.linalg.slogdet(np.eye(len(A)) + PRIOR**2 * own)
        penalty = self.penalty[A].sum()
        return float(-right @ xi[A] + logdet + penalty), xi

    def _added(self, support: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Absent terms (B), and the change of the criterion (B) if one is added."""
        A, B = np.flatnonzero(support), np.flatnonzero(~support)
        cross = self.matrix[np.ix_(A, B)]
        solved = covariance_of(self.matrix[np.ix_(A, A)]) @ cross
        diagonal = self.matrix[B, B]
        curvature = np.maximum(diagonal - (cross * solved).sum(axis=0), 0.0) + 1 / PRIOR**2
        gradient = self.right[B] - solved.T @ self.right[A]
        return B, np.log1p(PRIOR**2 * curvature) - gradient**2 / curvature + self.penalty[B]

    def _neighbours(self, present: np.ndarray) -> list[np.ndarray]:
        """Supports with one term more, less or exchanged, those of the best exchanges only."""
        found = []
        for b in np.flatnonzero(~present):
            found.append(_changed(present, int(b), True))
        for a in np.flatnonzero(present):
            without = _changed(present, int(a), False)
            found.append(without)
            absent, changes = self._added(without)
            for b in absent[np.argsort(changes, kind="stable")[:EXCHANGES]]:
                if b != a:
                    found.append(_changed(without, int(b), True))
        return found

    def path(self) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of terms, and costs but for a constant, as the least significant term is dropped repeatedly."""
        P = len(self.right)
        everything = np.ones(P, dtype=bool)
        increases = [increase for _, _, increase in self._eliminated(everything, everything, np.zeros(P))]
        # of no terms, the cost is 0
        return np.arange(P, -1, -1), np.cumsum([0.0, *increases]) - np.sum(increases)

    def _backward(self, support: np.ndarray, own: np.ndarray) -> np.ndarray:
        """The best support on the way as terms of `own` (P) are dropped one by one."""
        best, present, total, least = support, support.copy(), 0.0, 0.0
        for index, change, _ in self._eliminated(support, own, self.penalty):
            present[index] = False
            total += change
            if total < least and present.any():
                best, least = present.copy(), total
        return best

    def _eliminated(
        self, support: np.ndarray, own: np.ndarray, penalty: np.ndarray
    ) -> Iterator[tuple[int, float, float]]:
        """Terms of `own` (P) in the order in which they are dropped, and the changes of criterion and cost.

        The covariance of the remaining terms is that of all of them conditional on 0 for the dropped one.
        """
        A = np.flatnonzero(support)
        covariance = covariance_of(self.matrix[np.ix_(A, A)])
        xi, left = covariance @ self.right[A], own[A]
        while left.any():
            variance = np.diag(covariance)
            variance = np.where(variance > 0, variance, PRIOR**2)  # 0 or less by rounding
            increase = xi**2 / variance
            change = increase - np.log(PRIOR**2 / variance) - penalty[A]
            candidates = np.flatnonzero(left)
            k = int(candidates[change[candidates].argmin()])
            yield int(A[k]), float(change[k]), float(increase[k])
            column = covariance[:, k] / variance[k]
            xi, covariance = xi - column * xi[k], covariance - np.outer(column, covariance[k])
            left[k], xi[k] = False, 0.0
            covariance[k], covariance[:, k] = 0.0, 0.0

    def _forward(self, support: np.ndarray, own: np.ndarray) -> np.ndarray:
        """The best support on the way as terms of `own` (P) are added one by one."""
        best, total, least = support, 0.0, np.inf
        for _ in range(min(int(own.sum()), MOST_ADDED)):
            absent, changes = self._added(support)
            changes = np.where(own[absent], changes, np.inf)
            support = _changed(support, int(absent[changes.argmin()]), True)
            total += float(changes.min())
            if total < least:
                best, least = support, total
        return best

    def _small(self, others: np.ndarray, own: np.ndarray) -> list[np.ndarray]:
        """The best support of each small number of terms of `own` (P), added to the terms of `others` (P)."""
        A, B = np.flatnonzero(others), np.flatnonzero(own)
        solved = covariance_of(self.matrix[np.ix_(A, A)]) @ self.matrix[np.ix_(A, B)]
        matrix = self.matrix[np.ix_(B, B)] - self.matrix[np.ix_(B, A)] @ solved + np.eye(len(B)) / PRIOR**2
        diagonal = np.maximum(np.diag(matrix), 1 / PRIOR**2)
        scale = 1 / np.sqrt(diagonal)
        matrix = matrix * scale[:, None] * scale + 1e-12 * np.eye(len(B))
        right = (self.right[B] - solved.T @ self.right[A]) * scale
        penalty = self.penalty[B] + np.log(PRIOR**2 * diagonal)
        found = []
        for size in range(1, len(B) + 1):
            if comb(len(B), size) > MOST_SUBSETS:
                break
            subsets = np.array(list(combinations(range(len(B)), size)))
            blocks, rights = matrix[subsets[:, :, None], subsets[:, None, :]], right[subsets]
            gains = (rights * np.linalg.solve(blocks, rights[..., None])[..., 0]).sum(axis=1)
            values = np.linalg.slogdet(blocks)[1] - gains + penalty[subsets].sum(axis=1)
            support = others.copy()
            support[B[subsets[values.argmin()]]] = True
            found.append(support)
        return found


def _changed(support: np.ndarray, index: int, value: bool) -> np.ndarray:
    changed = support.copy()
    changed[index] = value
    return changed
