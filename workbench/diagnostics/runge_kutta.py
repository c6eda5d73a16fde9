"""Many states taken through time together, by the classical method of fourth order."""

from collections.abc import Callable

import numpy as np


def advance(
    rates: Callable[[np.ndarray, np.ndarray], np.ndarray], time: np.ndarray, states: np.ndarray, step: np.ndarray
) -> np.ndarray:
    """The states (W, S) at `time` (W), one `step` (W) later. Source: Kutta (1901)."""
    half, h = time + step / 2, step[:, None]
    first = rates(time, states)
    second = rates(half, states + h / 2 * first)
    third = rates(half, states + h / 2 * second)
    fourth = rates(time + step, states + h * third)
    return states + h / 6 * (first + 2 * second + 2 * third + fourth)
