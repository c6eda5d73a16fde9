"""Logistic growth: r and K of thousands of curves at once.

Source: the parameter inference of "Mechanistic Neural Networks for Scientific Machine Learning", ICML 2024.
"""

from typing import Literal

import numpy as np
import xarray as xr

from workbench.datasets import windows
from workbench.datasets.ode import logistic
from workbench.datasets.schema import uniform_step
from workbench.discovery.engine.tangent import Rows
from workbench.experiments import protocol
from workbench.experiments.equation import Equation
from workbench.experiments.protocol import BACKEND, Backend, Model, setting
from workbench.experiments.report import Report
from workbench.models.ode.logistic import REMEMBERED, LogisticFit

name = "logistic"
title = "Logistic growth"
summary = "Thousands of growing populations, each with a rate and a capacity of its own, all fitted in one go."


class LogisticConfig(protocol.Config):
    """The settings of one fit of many curves. Everything is dimensionless."""

    mode: Literal["joint"] = setting(
        "joint", "Gauss-Newton on every curve, all of them in one call of the solver per step."
    )
    curves: int = setting(5000, "How many curves, each with its own rate and capacity.", ge=REMEMBERED, le=50_000)
    noise: float = setting(
        0.001, "Standard deviation of the noise on every point (capacities are around 3).", ge=0, le=1
    )
    points: int = setting(
        60, "Sequence length: each curve is one system.", unit="grid points", group="data", ge=8, le=2000
    )
    end: float = setting(3.0, "Length of each curve.", unit="time units", group="data", gt=0, le=50)
    backend: Backend = setting("auto", BACKEND)
    method: Literal["qr", "cholesky"] = setting(
        "qr", "How each system is factored: qr is accurate, cholesky is the published way.", group="solver"
    )
    derivatives: int = setting(
        5,
        "How many derivatives the solver keeps at each grid point, the curve itself included.",
        group="solver",
        ge=2,
        le=8,
    )


Config = LogisticConfig


def data(config: LogisticConfig) -> xr.Dataset:
    """The curves: `truth` and `data` over (time, variable), `r` and `K` over (variable)."""
    chosen = {field: getattr(config, field) for field in ("curves", "points", "end", "noise", "seed")}
    return logistic.simulate(**chosen)


def model(config: LogisticConfig, data: xr.Dataset) -> Model:
    """A fresh model, which has seen the noisy curves only."""
    rows = Rows(config.derivatives, backend=config.backend, method=config.method)
    return LogisticFit(windows.tensor(data), rows, step=uniform_step(data))


def report(model: Model, data: xr.Dataset) -> Report:
    """Rates and capacities of all curves beside the true ones; equations and course of the first few."""
    rate, capacity = data["r"].values, data["K"].values
    parameters = xr.Dataset(
        {
            "estimate": (("parameter", "curve"), np.stack([model.rate, model.capacity])),
            "truth": (("parameter", "curve"), np.stack([rate, capacity])),
        },
        coords={"parameter": ["r", "K"], "curve": data["variable"].values},
    )
    first = data[["truth", "data"]].isel(variable=slice(REMEMBERED))
    about = {"units": "1", "long_name": "fitted curve"}
    trajectory = first.assign(estimate=(("time", "variable"), model.curves()[:, :REMEMBERED].numpy(), about))
    truth = np.stack([rate, -rate / capacity])[:, :REMEMBERED]
    coefficients = xr.Dataset(
        {
            "estimate": (("candidate", "variable"), model.coefficients(), {"long_name": "fitted coefficient"}),
            "truth": (("candidate", "variable"), truth, {"long_name": "true coefficient"}),
        },
        coords={"candidate": ["N", "N^2"], "variable": first["variable"].values},
    )
    shown = equations(model.coefficients()), equations(truth)
    return Report(*shown, coefficients, trajectory, errors(parameters), parameters=parameters)


def errors(parameters: xr.Dataset) -> dict[str, float]:
    """Relative errors over the curves, median and 95th percentile, of each parameter."""
    found = {}
    for name in parameters["parameter"].values:
        own = parameters.sel(parameter=name)
        error = np.abs(own["estimate"].values / own["truth"].values - 1)
        found |= {f"{name}_median": float(np.median(error)), f"{name}_95": float(np.quantile(error, 0.95))}
    return found


def equations(coefficients: np.ndarray) -> tuple[Equation, ...]:
    """N_i' = a N_i + b N_i^2 of the first curves."""
    made = []
    for i, (a, b) in enumerate(coefficients.T.tolist(), start=1):
        terms = ((a, f"N_{i}", f"N{i}"), (b, f"N_{i}^2", f"N{i}^2"))
        made.append(Equation(rf"\dot N_{i}", f"N{i}'", terms))
    return tuple(made)
