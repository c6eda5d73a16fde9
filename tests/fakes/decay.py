"""A second experiment for the tests of the dashboard: one variable, one term, no known truth."""

import numpy as np
import xarray as xr

from tests.fakes.rossler import Approach, equations
from workbench.experiments import protocol
from workbench.experiments.protocol import setting
from workbench.experiments.report import Report

name = "decay"
title = "Decay"
summary = "One variable, one term, no known truth."


class Config(protocol.Config):
    rate: float = setting(0.5, "Rate of the decay.", unit="1/s", gt=0)
    steps: int = setting(4, "Steps of learning.", group="training", ge=1)
    delay: float = setting(0.0, "Time that one step takes.", group="training", ge=0)
    fail_at: int = setting(0, "The step that fails; 0: none.", group="training", ge=0)
    nan_at: int = setting(0, "The step whose loss is NaN; 0: none.", group="training", ge=0)


def data(config: Config) -> xr.Dataset:
    times = np.linspace(0, 10, 200)
    values = np.exp(-config.rate * times)[:, None]
    both = {name: (("time", "variable"), values) for name in ("truth", "data")}
    return xr.Dataset(both, coords={"time": ("time", times, {"units": "s"}), "variable": ["y"]})


def model(config: Config, data: xr.Dataset) -> Approach:
    return Approach(config, np.array([[-config.rate]]))


def report(model: Approach, data: xr.Dataset) -> Report:
    estimate = np.exp(float(model.values[0, 0]) * data.time.values)[:, None]
    values = xr.Dataset(
        {"estimate": (("candidate", "variable"), model.values)}, coords={"candidate": ["y"], "variable": ["y"]}
    )
    return Report(
        equations=equations(model.values, ("y",), "y"),
        coefficients=values,
        trajectory=data.assign(estimate=(("time", "variable"), estimate)),
    )
