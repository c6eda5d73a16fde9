"""The damped noisy sine, y = (sin(w x) + s n) exp(-c x): w = 2, c = 0.1, n normal noise of sd 1, s = 0.5.

Everything is dimensionless. The clean curve obeys u'' + 2 c u' + (w^2 + c^2) u = 0.
Source: the sine example of "Scalable Mechanistic Neural Networks", ICLR 2025.
"""

import numpy as np
import xarray as xr

from workbench.datasets.schema import check

FREQUENCY, DAMPING = 2.0, 0.1
NOISE = 0.5


def simulate(*, points: int, end: float, noise: float, seed: int) -> xr.Dataset:
    """`truth` and `data` over (time, variable), `points` of them, evenly spaced on [0, end]."""
    time = np.linspace(0.0, end, points)
    envelope = np.exp(-DAMPING * time)
    truth = np.sin(FREQUENCY * time) * envelope
    data = truth + noise * np.random.default_rng(seed).standard_normal(points) * envelope
    attributes = {"units": "1"}
    named = {
        "truth": (truth, "curve without noise"),
        "data": (data, f"curve with noise of sd {noise:g}, damped as it is"),
    }
    return check(
        xr.Dataset(
            {
                name: (("time", "variable"), values[:, None], {**attributes, "long_name": words})
                for name, (values, words) in named.items()
            },
            coords={
                "time": ("time", time, {**attributes, "long_name": "time"}),
                "variable": ("variable", ["u"], {"long_name": "variable"}),
            },
            attrs={"title": "Damped noisy sine", "source": "closed form", "noise": noise, "seed": seed},
        )
    )
