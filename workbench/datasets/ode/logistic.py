"""Curves of logistic growth, N' = r N (1 - N / K), with different r, K and N(0); dimensionless.

Published settings: r and K normal with mean 3 and standard deviation 0.5, N(0) around 0.05, 60 points on [0, 3], noise
1e-3.
Source: P.-F. Verhulst (1838), for the closed form; Pervez, Locatello, Gavves, "Mechanistic Neural Networks for
Scientific Machine Learning", ICML 2024, for the distributions.
"""

import numpy as np
import xarray as xr

from workbench.datasets.ode.dataset import simulated

RATE, CAPACITY, FIRST = (3.0, 0.5), (3.0, 0.5), (0.05, 0.05)
"""Mean and standard deviation of r, K and N(0)."""
MINIMUM = {"r": 0.5, "K": 0.5, "first": 0.001}
"""Lower bounds of the samples, which keep them positive."""


def exact(r: np.ndarray, K: np.ndarray, first: np.ndarray, time: np.ndarray) -> np.ndarray:
    """N (time, curve) = K N0 / (N0 + (K - N0) exp(-r t))."""
    return K * first / (first + (K - first) * np.exp(-r * time[:, None]))


def simulate(*, curves: int, points: int, end: float, noise: float, seed: int) -> xr.Dataset:
    """`truth` and `data` over (time, variable), one variable per curve, and `r`, `K` over (variable).

    noise: standard deviation of the normal noise on every point.
    """
    generator = np.random.default_rng(seed)
    parameters = {
        name: np.maximum(generator.normal(*moments, size=curves), MINIMUM[name])
        for name, moments in (("r", RATE), ("K", CAPACITY), ("first", FIRST))
    }
    time = np.linspace(0.0, end, points)
    truth = exact(**parameters, time=time)
    data = truth + noise * generator.standard_normal(truth.shape)
    arrays = {"truth": (truth, "population without noise"), "data": (data, f"population with noise of sd {noise:g}")}
    attributes = {"title": "Logistic growth", "source": "closed form", "noise": noise, "seed": seed}
    names = [f"N{i + 1}" for i in range(curves)]
    return simulated(time, names, arrays, attributes, label="curve").assign(
        r=("variable", parameters["r"], {"units": "1", "long_name": "growth rate"}),
        K=("variable", parameters["K"], {"units": "1", "long_name": "carrying capacity"}),
    )
