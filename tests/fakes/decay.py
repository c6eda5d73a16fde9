"""Fake experiment for the tests of the dashboard: one variable, one term, no true equations."""

import numpy as np
import xarray as xr

from tests.fakes.rossler import Approach, equations
from workbench.experiments import protocol
from workbench.experiments.protocol import setting
from workbench.experiments.report import Report

name = "decay"
title = "Decay"
summary = "One variable, one term, no true equations."


class Config(protocol.Config):
    rate: float = setting(0.5, "Decay rate.", unit="1/s", gt=0)
    steps: int = setting(4, "Training steps.", group="training", ge=1)
    delay: float = setting(0.0, "Duration of a step.", group="training", ge=0)
    fail_at: int = setting(0, "Step that fails; 0: none.", group="training", ge=0)
    nan_at: int = setting(0, "Step with a loss of NaN; 0: none.", group="training", ge=0)


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
