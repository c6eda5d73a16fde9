"""Batched steps of the classical Runge-Kutta method of fourth order."""

from collections.abc import Callable

import numpy as np


def advance(
    rates: Callable[[np.ndarray, np.ndarray], np.ndarray], time: np.ndarray, states: np.ndarray, step: np.ndarray
) -> np.ndarray:
    """States (W, S) at `time` (W) advanced by one `step` (W). Source: Kutta (1901)."""
    half, h = time + step / 2, step[:, None]
    first = rates(time, states)
    second = rates(half, states + h / 2 * first)
    third = rates(half, states + h / 2 * second)
    fourth = rates(time + step, states + h * third)
    return states + h / 6 * (first + 2 * second + 2 * third + fourth)
