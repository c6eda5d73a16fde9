"""Many models of one record: which of them are not beaten in both error and number of terms."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Front:
    """terms (M), errors (M) of the models in the order given; NaN errors are of models that failed.

    front: the models that no other beats, fewest terms first; knee: the one of them after which more terms gain little.
    """

    terms: np.ndarray
    errors: np.ndarray
    front: tuple[int, ...]
    knee: int


def pareto(terms: Sequence[int], errors: Sequence[float]) -> Front:
    """The Pareto front of `errors` (0 or more) against numbers of `terms`.

    The knee is the point farthest below the line between the ends of the front, both axes scaled to it, errors by
    their logarithm; with fewer than three points, the one of least error.
    Raises ValueError if the two differ in length, an error is negative, or no model has one.
    """
    terms, errors = np.asarray(terms, dtype=int), np.asarray(errors, dtype=float)
    if terms.shape != errors.shape or terms.ndim != 1:
        raise ValueError(f"errors: expected one per number of terms, found {errors.shape} for {terms.shape}")
    if (errors < 0).any() or not np.isfinite(errors).any():
        raise ValueError("errors: expected numbers of 0 or more, at least one of them finite")
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
