"""Accuracy of the solver on linear systems with closed forms, by number of derivatives.

Source: the standalone example of "Scalable Mechanistic Neural Networks", ICLR 2025.
"""

from typing import Literal

import numpy as np
import torch
import xarray as xr

from workbench.datasets import windows
from workbench.datasets.ode import linear
from workbench.datasets.schema import uniform_step
from workbench.experiments import protocol
from workbench.experiments.equation import Equation
from workbench.experiments.protocol import BACKEND, METHOD, Backend, Model, setting
from workbench.experiments.report import Report
from workbench.models.ode.validation import Validation

name = "linear"
title = "Linear systems"
summary = "Accuracy of the solver on six systems with closed forms, by number of derivatives; no training."


class LinearConfig(protocol.Config):
    """Settings of one check. All quantities are dimensionless."""

    mode: Literal["check"] = setting("check", "Solve with 2, 3, 4 and 5 derivatives and compare with the closed form.")
    system: Literal["rc", "population", "language", "harmonic", "damped", "third"] = setting(
        "harmonic", "Linear system of one, two or three coupled variables."
    )
    points: int = setting(
        1000, "Sequence length: grid points of the data, solved as one system.", unit="grid points", ge=2, le=200_000
    )
    step: float = setting(0.01, "Step between grid points.", unit="time units", gt=0, le=1)
    backend: Backend = setting("auto", BACKEND)
    method: Literal["qr", "cholesky"] = setting("qr", METHOD)


Config = LinearConfig


def data(config: LinearConfig) -> xr.Dataset:
    """The closed form as `truth` and `data` over (time, variable)."""
    return linear.simulate(config.system, points=config.points, step=config.step)


def model(config: LinearConfig, data: xr.Dataset) -> Model:
    """The solver, given the equation and the initial state."""
    system = linear.SYSTEMS[config.system]
    A, b = torch.tensor(system.A, dtype=torch.float64), torch.tensor(system.b, dtype=torch.float64)
    exact = windows.tensor(data, "truth")
    return Validation(exact, A, b, step=uniform_step(data), backend=config.backend, method=config.method)


def report(model: Model, data: xr.Dataset) -> Report:
    """The last solution, the closed form, and the error for each number of derivatives."""
    attributes = {"units": "1", "long_name": "solution of the linear ODE", "short_name": "solver"}
    trajectory = data.assign(estimate=(("time", "variable"), model.curve().numpy(), attributes))
    trajectory.attrs["caption"] = "Solution from the initial state, and closed form."
    errors = {f"error_{K}": error for K, error in model.errors.items()}
    title = data.attrs["title"]
    (system,) = (system for system in linear.SYSTEMS.values() if system.title == title)
    return Report((), equations(system), trajectory=trajectory, metrics=errors)


def equations(system: linear.LinearSystem) -> tuple[Equation, ...]:
    """y' = A y + b, with the nonzero terms."""
    result = []
    for variable, row, constant in zip(system.variables, np.array(system.A), system.b, strict=True):
        terms = [*zip(row.tolist(), system.variables, strict=True), (constant, "1")]
        nonzero = tuple((value, _latex(name), name) for value, name in terms if value != 0)
        result.append(Equation(rf"\dot {_latex(variable)}", f"{variable}'", nonzero))
    return tuple(result)


def _latex(variable: str) -> str:
    """LaTeX of a variable: y1 -> y_1."""
    return variable if len(variable) == 1 else f"{variable[0]}_{variable[1:]}"
