"""Maps of the fitted ODEs: damping, oscillation, seasonal forcing and skill."""

from math import pi

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from workbench.models.sst.forecaster import SeasonalForecaster

OSCILLATES = 0.5
"""Probability of an oscillation from which on the period of a cell is shown."""


def annual_forcing(model: SeasonalForecaster) -> tuple[Tensor, Tensor]:
    """Complex forcing F (m, D) of x' + ... = Re(F e^{2 pi i t}), in degC per year, and the mean (m, D).

    The measured annual cycle Re(S e^{2 pi i t}) is the steady response of the ODE to it: F = S (c0 + i w c1 - w^2) / c1
    for second order, F = S (c0 + i w) for first order.
    """
    seasonal = model.seasonal()
    cycle = torch.complex(seasonal[:, 1], -seasonal[:, 1 + model.plan.harmonics])
    w = 2 * pi
    ratios = []
    for index in model.forecaster.chosen.tolist():
        ode = model.odes[index]
        ratios.append(complex(ode.c0, w) if ode.c1 is None else complex(ode.c0 - w**2, w * ode.c1) / ode.c1)
    return torch.tensor(ratios, dtype=torch.complex128)[:, None] * cycle, seasonal[:, 0]


def direct_maps(model: SeasonalForecaster, data: xr.Dataset, skill: dict[int, np.ndarray]) -> xr.Dataset:
    """Posterior means over (lat, lon) of the properties of the ODEs, and skill per lead; NaN outside the cells."""
    weights = model.forecaster.weights
    odes = [model.odes[index] for index in model.forecaster.chosen.tolist()]

    def expected(values: list[float], weights: Tensor = weights) -> np.ndarray:
        return (weights * torch.tensor(values, dtype=torch.float64)[:, None]).sum(0).numpy()

    oscillates = torch.tensor([float(ode.frequency > 0) for ode in odes], dtype=torch.float64)[:, None]
    oscillating = (weights * oscillates).sum(0)
    conditional = weights * oscillates / oscillating.clamp(min=1e-12)
    period = expected([2 * pi / ode.frequency if ode.frequency else 0.0 for ode in odes], conditional)
    forcing = (weights * annual_forcing(model)[0]).sum(0).numpy()
    month = (-np.angle(forcing) / (2 * pi) % 1) * 12
    share = np.log([ode.share for ode in odes]).tolist()
    columns = {
        "damping": (expected([ode.damping for ode in odes]), "1/year", "damping of anomalies"),
        "period": (np.where(oscillating.numpy() >= OSCILLATES, period, np.nan), "year", "period, if oscillating"),
        "oscillating": (oscillating.numpy(), "1", "probability of an oscillation"),
        "slow": (np.exp(expected(share)), "1", "slow variance over fast variance"),
        "amplitude": (np.abs(forcing), "degC/year", "amplitude of the annual forcing"),
        "phase": (month, "months from 1 January", "time of the maximum of the annual forcing"),
    }
    cadence = data.attrs["cadence"]
    for lead, values in skill.items():
        columns[f"skill_{lead}"] = (values, "1", f"skill against climatology, {lead} {cadence}s ahead")
    return place_on_map(data, columns)


def place_on_map(data: xr.Dataset, columns: dict[str, tuple[np.ndarray, str, str]]) -> xr.Dataset:
    """Maps over (lat, lon) of columns (values, units, long_name) over the cells, with the mask `ocean`."""
    shape = data["ocean"].shape
    maps = {"ocean": (("lat", "lon"), data["ocean"].values, {"long_name": "ocean"})}
    for name, (values, units, long_name) in columns.items():
        flat = np.full(shape[0] * shape[1], np.nan)
        flat[data["place"].values] = values
        maps[name] = (("lat", "lon"), flat.reshape(shape), {"units": units, "long_name": long_name})
    return xr.Dataset(maps, coords={"lat": data["lat"], "lon": data["lon"]})
