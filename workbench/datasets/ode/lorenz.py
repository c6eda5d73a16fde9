"""The Lorenz system, x' = sigma (y - x), y' = x (rho - z) - y, z' = x y - beta z; sigma = 10, rho = 28, beta = 8/3.

Dimensionless. Source: E. N. Lorenz, "Deterministic Nonperiodic Flow", J. Atmos. Sci. 20 (1963).
"""

from functools import lru_cache

import numpy as np
import xarray as xr

from workbench.datasets.ode.dataset import simulated
from workbench.datasets.ode.reference import reference

SIGMA, RHO, BETA = 10.0, 28.0, 8.0 / 3.0
VARIABLES = ("x", "y", "z")
START = (1.0, 1.0, 1.0)
LYAPUNOV_EXPONENT = 0.906
"""Largest Lyapunov exponent, per unit of time. Source: J. C. Sprott, "Chaos and Time-Series Analysis" (2003)."""


def rhs(time: float, state: np.ndarray) -> tuple[float, float, float]:
    """(x', y', z') at `state`."""
    x, y, z = state.tolist()
    return SIGMA * (y - x), x * (RHO - z) - y, x * y - BETA * z


def simulate(*, points: int, step: float, noise: float, seed: int) -> xr.Dataset:
    """A record from (1, 1, 1): `truth` by DOP853 and `data` = truth + N(0, noise^2), over (time, variable)."""
    truth = _truth(points, step)
    data = truth + noise * np.random.default_rng(seed).standard_normal(truth.shape) if noise else truth.copy()
    arrays = {"truth": (truth.copy(), "state without noise"), "data": (data, f"state with noise of sd {noise:g}")}
    attributes = {"title": "Lorenz system", "source": "scipy DOP853", "noise": noise, "seed": seed}
    return simulated(step * np.arange(points), VARIABLES, arrays, attributes)


@lru_cache(maxsize=4)
def _truth(points: int, step: float) -> np.ndarray:
    """Read-only states (time, variable), cached because they take longer than the discovery."""
    states = reference(rhs, START, step * np.arange(points))
    states.flags.writeable = False
    return states
