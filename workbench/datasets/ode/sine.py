"""The damped noisy sine, y = (sin(w x) + s n) exp(-c x): w = 2, c = 0.1, n normal noise of sd 1, s = 0.5.

Dimensionless. The curve without noise satisfies u'' + 2 c u' + (w^2 + c^2) u = 0.
Source: the sine example of "Scalable Mechanistic Neural Networks", ICLR 2025.
"""

import numpy as np
import xarray as xr

from workbench.datasets.ode.dataset import simulated

FREQUENCY, DAMPING = 2.0, 0.1
NOISE = 0.5


def simulate(*, points: int, end: float, noise: float, seed: int) -> xr.Dataset:
    """`truth` and `data` over (time, variable) at `points` evenly spaced times on [0, end]."""
    time = np.linspace(0.0, end, points)
    envelope = np.exp(-DAMPING * time)
    truth = np.sin(FREQUENCY * time) * envelope
    data = truth + noise * np.random.default_rng(seed).standard_normal(points) * envelope
    arrays = {
        "truth": (truth[:, None], "curve without noise"),
        "data": (data[:, None], f"curve with damped noise of initial sd {noise:g}"),
    }
    attributes = {"title": "Damped noisy sine", "source": "closed form", "noise": noise, "seed": seed}
    return simulated(time, ["u"], arrays, attributes)
