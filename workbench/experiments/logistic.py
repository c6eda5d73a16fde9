"""Logistic growth: joint estimation of r and K for thousands of curves.

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
from workbench.experiments.discovery_base import coefficient_dataset
from workbench.experiments.equation import Equation
from workbench.experiments.protocol import BACKEND, DERIVATIVES, METHOD, Backend, Model, setting
from workbench.experiments.report import Report
from workbench.models.ode.logistic import SHOWN, LogisticFit

name = "logistic"
title = "Logistic growth"
summary = "Rates and capacities of thousands of growing populations, fitted jointly."


class LogisticConfig(protocol.Config):
    """Settings of one fit of many curves. All quantities are dimensionless."""

    mode: Literal["joint"] = setting("joint", "Gauss-Newton for all curves, with one solver call per step.")
    curves: int = setting(5000, "Number of curves, each with its own rate and capacity.", ge=SHOWN, le=50_000)
    noise: float = setting(0.001, "Standard deviation of the noise (capacities are about 3).", ge=0, le=1)
    points: int = setting(
        60,
        "Sequence length: grid points of a curve, solved as one system.",
        unit="grid points",
        group="data",
        ge=8,
        le=2000,
    )
    end: float = setting(3.0, "Length of each curve.", unit="time units", group="data", gt=0, le=50)
    backend: Backend = setting("auto", BACKEND)
    method: Literal["qr", "cholesky"] = setting("qr", METHOD, group="solver")
    derivatives: int = setting(5, DERIVATIVES, group="solver", ge=2, le=8)


Config = LogisticConfig


def data(config: LogisticConfig) -> xr.Dataset:
    """Simulated curves: `truth` and `data` over (time, variable), `r` and `K` over (variable)."""
    settings = {field: getattr(config, field) for field in ("curves", "points", "end", "noise", "seed")}
    return logistic.simulate(**settings)


def model(config: LogisticConfig, data: xr.Dataset) -> Model:
    """An untrained model of the noisy curves."""
    rows = Rows(config.derivatives, backend=config.backend, method=config.method)
    return LogisticFit(windows.tensor(data), rows, step=uniform_step(data))


def report(model: Model, data: xr.Dataset) -> Report:
    """Estimated and true parameters of all curves; equations and fits of the first few."""
    rate, capacity = data["r"].values, data["K"].values
    parameters = xr.Dataset(
        {
            "estimate": (("parameter", "curve"), np.stack([model.rate, model.capacity])),
            "truth": (("parameter", "curve"), np.stack([rate, capacity])),
        },
        coords={"parameter": ["r", "K"], "curve": data["variable"].values},
    )
    first = data[["truth", "data"]].isel(variable=slice(SHOWN))
    attributes = {"units": "1", "long_name": "fitted curve"}
    trajectory = first.assign(estimate=(("time", "variable"), model.curves()[:, :SHOWN].numpy(), attributes))
    truth = np.stack([rate, -rate / capacity])[:, :SHOWN]
    coefficients = coefficient_dataset(
        ("N", "N^2"), first["variable"].values, model.coefficients(), truth=truth, kind="fitted"
    )
    shown = equations(model.coefficients()), equations(truth)
    return Report(*shown, coefficients, trajectory, errors(parameters), parameters=parameters)


def errors(parameters: xr.Dataset) -> dict[str, float]:
    """Median and 95th percentile over the curves of the relative error of each parameter."""
    result = {}
    for name in parameters["parameter"].values:
        values = parameters.sel(parameter=name)
        error = np.abs(values["estimate"].values / values["truth"].values - 1)
        result |= {f"{name}_median": float(np.median(error)), f"{name}_95": float(np.quantile(error, 0.95))}
    return result


def equations(coefficients: np.ndarray) -> tuple[Equation, ...]:
    """N_i' = a N_i + b N_i^2 for each column (a, b)."""
    result = []
    for i, (a, b) in enumerate(coefficients.T.tolist(), start=1):
        terms = ((a, f"N_{i}", f"N{i}"), (b, f"N_{i}^2", f"N{i}^2"))
        result.append(Equation(rf"\dot N_{i}", f"N{i}'", terms))
    return tuple(result)
