"""Example file of hare and lynx populations over time, with missing values and a gap.

Simulated: hares' = 0.5 hares - 0.02 hares lynx, lynx' = -0.4 lynx + 0.01 hares lynx, noise of 1 %, a gap of three
months. Source of the equations: A. J. Lotka (1925), V. Volterra (1926).
"""

from functools import lru_cache

import numpy as np
import xarray as xr

from workbench.datasets.ode.reference import reference
from workbench.datasets.tabular.read import Source, read

NAME = "example"


def csv() -> str:
    """The content of the file."""
    times = 0.25 * np.arange(320)
    states = reference(
        lambda _, s: (0.5 * s[0] - 0.02 * s[0] * s[1], -0.4 * s[1] + 0.01 * s[0] * s[1]), (60, 20), times
    )
    generator = np.random.default_rng(7)
    noisy = states + 0.01 * states.std(axis=0) * generator.standard_normal(states.shape)
    lines = ["time [month],hares [1/km2],lynx [1/km2],station"]
    for row, (time, (hares, lynx)) in enumerate(zip(times, noisy, strict=True)):
        if not 150 <= row < 162:
            count = "" if row % 40 == 13 else f"{hares:.3f}"
            lines.append(f"{time:.2f},{count},{lynx:.3f},north")
    return "\n".join(lines) + "\n"


@lru_cache(maxsize=1)
def _record() -> xr.Dataset:
    return read([Source("example.csv", csv().encode())])


def record() -> xr.Dataset:
    """A copy of the record of the file."""
    return _record().copy(deep=True)
