"""A SYNTHETIC field with the schema of the real ones, for trying out and for tests: nothing in it was measured.

In every ocean cell y = rest + seasonal cycle + anomaly, where the anomaly solves a'' + c1 a' + c0 a = white noise with
constants that depend on latitude only, so that latitude bands can be told apart, and what is true is known.
"""

import numpy as np
import xarray as xr

TITLE = "SYNTHETIC field (made here, not measured)"
FAST, SLOW = 2.0, 12.0
"""The two rates of the anomaly, per year: a' + FAST a driven by noise that dies at rate SLOW; FAST doubles poleward."""


def field(*, years: int = 12, degrees: float = 5.0, seed: int = 0) -> xr.Dataset:
    """`sst` (time, lat, lon) monthly, `ocean` (lat, lon), `rate` (lat): the slower rate of the anomaly, per year.

    Land is a continent of a quarter of the longitudes between 50 N and 40 S.
    """
    generator = np.random.default_rng(seed)
    lat = np.arange(60.0, -60.1, -degrees)
    lon = np.arange(0.0, 360.0, degrees)
    dates = (np.datetime64("2000-01", "M") + np.arange(12 * years)).astype("datetime64[ns]")
    time = (dates - dates[0]) / np.timedelta64(1, "D") / 365.2425
    rate = FAST * (1 + (lat / 60.0) ** 2)
    seasonal = -8.0 * np.sin(np.deg2rad(lat)) * np.cos(2 * np.pi * (time[:, None] - 0.1))
    rest = 28.0 - 24.0 * np.sin(np.deg2rad(lat)) ** 2
    anomaly = _anomaly(time, rate, len(lon), generator)
    values = rest[:, None] + seasonal[..., None] + anomaly
    ocean = ~((lon[None] < 90) & (lat[:, None] <= 50) & (lat[:, None] >= -40))
    return xr.Dataset(
        {
            "sst": (
                ("time", "lat", "lon"),
                np.where(ocean, values, np.nan),
                {"units": "degC", "long_name": "synthetic temperature"},
            ),
            "ocean": (("lat", "lon"), ocean),
            "rate": ("lat", rate, {"units": "1/year"}),
        },
        coords={"time": dates, "lat": lat, "lon": lon},
        attrs={"title": TITLE, "cadence": "month", "seed": seed},
    )


def _anomaly(time: np.ndarray, rate: np.ndarray, width: int, generator: np.random.Generator) -> np.ndarray:
    """(time, lat, lon): smooth along longitudes, by an exact enough march in eighths of a month; sd about 0.5."""
    parts, size = 8, (len(rate), width)
    spin_up = 60
    a, force = np.zeros(size), np.zeros(size)
    steps = np.concatenate([np.full(spin_up, np.diff(time).mean()), np.diff(time, prepend=time[0])])
    kept = []
    for step in steps:
        h = step / parts
        for _ in range(parts if h else 0):
            noise = generator.standard_normal(size)
            noise = (noise + np.roll(noise, 1, 1) + np.roll(noise, -1, 1)) / np.sqrt(3)
            force += -SLOW * force * h + np.sqrt(2 * SLOW * h) * noise
            a += h * (-rate[:, None] * a + force)
        kept.append(a.copy())
    # the variance of a under a force of variance 1
    variance = 1 / (rate * (rate + SLOW))
    return np.array(kept[spin_up:]) * (0.5 / np.sqrt(variance))[:, None]
