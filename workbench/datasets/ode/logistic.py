"""Many curves of logistic growth, N' = r N (1 - N / K), each with its own r, K and first value; dimensionless.

As published: r and K normal around 3 with standard deviation 0.5, N(0) around 0.05, 60 points on [0, 3], noise 1e-3.
Source: P.-F. Verhulst (1838), for the closed form; Pervez, Locatello, Gavves, "Mechanistic Neural Networks for
Scientific Machine Learning", ICML 2024, for the distributions.
"""

import numpy as np
import xarray as xr

from workbench.datasets.schema import check

RATE, CAPACITY, FIRST = (3.0, 0.5), (3.0, 0.5), (0.05, 0.05)
"""Mean and standard deviation of r, K and N(0)."""
LEAST = {"r": 0.5, "K": 0.5, "first": 0.001}
"""Smaller draws are replaced by these: none is negative."""


def exact(r: np.ndarray, K: np.ndarray, first: np.ndarray, time: np.ndarray) -> np.ndarray:
    """N (time, curve) = K N0 / (N0 + (K - N0) exp(-r t))."""
    return K * first / (first + (K - first) * np.exp(-r * time[:, None]))


def simulate(*, curves: int, points: int, end: float, noise: float, seed: int) -> xr.Dataset:
    """`truth` and `data` over (time, variable), a variable per curve, and `r`, `K` over (variable).

    noise: the standard deviation of the normal noise on every point.
    """
    generator = np.random.default_rng(seed)
    drawn = {
        name: np.maximum(generator.normal(*about, size=curves), LEAST[name])
        for name, about in (("r", RATE), ("K", CAPACITY), ("first", FIRST))
    }
    time = np.linspace(0.0, end, points)
    truth = exact(**drawn, time=time)
    data = truth + noise * generator.standard_normal(truth.shape)
    over, unit = ("time", "variable"), {"units": "1"}
    return check(
        xr.Dataset(
            {
                "truth": (over, truth, {**unit, "long_name": "population without noise"}),
                "data": (over, data, {**unit, "long_name": f"population with noise of sd {noise:g}"}),
                "r": ("variable", drawn["r"], {**unit, "long_name": "growth rate"}),
                "K": ("variable", drawn["K"], {**unit, "long_name": "carrying capacity"}),
            },
            coords={
                "time": ("time", time, {**unit, "long_name": "time"}),
                "variable": ("variable", [f"N{i + 1}" for i in range(curves)], {"long_name": "curve"}),
            },
            attrs={"title": "Logistic growth", "source": "closed form", "noise": noise, "seed": seed},
        )
    )
