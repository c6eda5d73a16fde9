"""Synthetic field of sea-surface temperature with known ODEs and the schema of the published fields.

In every ocean cell y = mean + seasonal cycle + anomaly. The anomaly solves a'' + c1 a' + c0 a = white noise with
coefficients that depend on latitude only, which makes latitude bands identifiable.
"""

import numpy as np
import xarray as xr

TITLE = "SYNTHETIC field (simulated, not measured)"
SLOW, FAST = 2.0, 12.0
"""Rates of the anomaly per year: a' + SLOW a is driven by noise of decay rate FAST; SLOW doubles at 60 degrees."""


def field(*, years: int = 12, degrees: float = 5.0, seed: int = 0) -> xr.Dataset:
    """Monthly `sst` (time, lat, lon), `ocean` (lat, lon) and `rate` (lat), the slower rate of the anomaly per year.

    A continent covers a quarter of the longitudes between 50 N and 40 S.
    """
    generator = np.random.default_rng(seed)
    lat = np.arange(60.0, -60.1, -degrees)
    lon = np.arange(0.0, 360.0, degrees)
    dates = (np.datetime64("2000-01", "M") + np.arange(12 * years)).astype("datetime64[ns]")
    time = (dates - dates[0]) / np.timedelta64(1, "D") / 365.2425
    rate = SLOW * (1 + (lat / 60.0) ** 2)
    seasonal = -8.0 * np.sin(np.deg2rad(lat)) * np.cos(2 * np.pi * (time[:, None] - 0.1))
    mean = 28.0 - 24.0 * np.sin(np.deg2rad(lat)) ** 2
    anomaly = _anomaly(time, rate, len(lon), generator)
    values = mean[:, None] + seasonal[..., None] + anomaly
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
    """Anomaly (time, lat, lon), smooth along longitude, sd about 0.5; Euler-Maruyama in eighths of a month."""
    substeps, size = 8, (len(rate), width)
    spin_up = 60
    a, force = np.zeros(size), np.zeros(size)
    steps = np.concatenate([np.full(spin_up, np.diff(time).mean()), np.diff(time, prepend=time[0])])
    states = []
    for step in steps:
        h = step / substeps
        for _ in range(substeps if h else 0):
            noise = generator.standard_normal(size)
            noise = (noise + np.roll(noise, 1, 1) + np.roll(noise, -1, 1)) / np.sqrt(3)
            force += -FAST * force * h + np.sqrt(2 * FAST * h) * noise
            a += h * (-rate[:, None] * a + force)
        states.append(a.copy())
    # variance of a for a force of unit variance
    variance = 1 / (rate * (rate + FAST))
    return np.array(states[spin_up:]) * (0.5 / np.sqrt(variance))[:, None]
