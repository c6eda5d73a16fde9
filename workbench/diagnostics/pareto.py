"""Pareto front of the models of one data set in error and number of terms."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Front:
    """terms (M), errors (M) of the models in their given order; the error of a failed model is NaN.

    front: indices of the Pareto-optimal models, fewest terms first. knee: index of the model on the front beyond which
    more terms reduce the error little.
    """

    terms: np.ndarray
    errors: np.ndarray
    front: tuple[int, ...]
    knee: int


def pareto(terms: Sequence[int], errors: Sequence[float]) -> Front:
    """The Pareto front of nonnegative `errors` (M) against numbers of `terms` (M).

    The knee is the point of the front farthest below the line between its ends, with both axes scaled to [0, 1] and
    errors on a logarithmic scale; with fewer than three points, the point of least error.
    Raises ValueError for different lengths, a negative error or no finite error.
    """
    terms, errors = np.asarray(terms, dtype=int), np.asarray(errors, dtype=float)
    if terms.shape != errors.shape or terms.ndim != 1:
        raise ValueError(f"errors: expected one per number of terms, found {errors.shape} for {terms.shape}")
    if (errors < 0).any() or not np.isfinite(errors).any():
        raise ValueError("errors: expected nonnegative numbers, at least one of them finite")
    front, least = [], np.inf
    for index in np.lexsort((errors, terms)).tolist():
        if errors[index] < least:
            front.append(index)
            least = errors[index]
    return Front(terms, errors, tuple(front), _knee(terms[front], errors[front], front))


def _knee(terms: np.ndarray, errors: np.ndarray, front: list[int]) -> int:
    if len(front) < 3:
        return front[-1]
    across = (terms - terms[0]) / (terms[-1] - terms[0])
    heights = np.log10(np.maximum(errors, errors.max() * 1e-12))
    down = (heights[0] - heights) / (heights[0] - heights[-1])
    return front[int(np.argmax(down - across))]
