"""Damped noisy sine: one curve fitted by a linear ODE with constant or time-varying coefficients.

Source: the sine example of "Scalable Mechanistic Neural Networks", ICLR 2025.
"""

from typing import Literal

import numpy as np
import xarray as xr

from workbench.datasets import windows
from workbench.datasets.ode import sine
from workbench.datasets.schema import uniform_step
from workbench.experiments import protocol
from workbench.experiments.discovery_base import coefficient_dataset
from workbench.experiments.equation import Equation
from workbench.experiments.protocol import BACKEND, DERIVATIVES, METHOD, Backend, Model, setting
from workbench.experiments.report import Report
from workbench.models.ode.oscillator import ConstantODEFit, Solver, TimeVaryingODEFit

name = "sine"
title = "Damped sine"
summary = "Frequency and damping of a noisy curve from a linear ODE, or a pointwise fit as published."

CANDIDATES = ("u", "u'")
LATEX = ("u", r"\dot u")


class SineConfig(protocol.Config):
    """Settings of one run on the damped sine. All quantities are dimensionless."""

    mode: Literal["constant", "varying"] = setting(
        "constant",
        "Training mode: constant fits frequency and damping of one oscillator; varying fits coefficients and steps at "
        "every grid point, as published.",
    )
    noise: float = setting(
        sine.NOISE, "Standard deviation of the noise at time 0; it decays with the curve.", ge=0, le=5
    )
    points: int = setting(
        500, "Sequence length: grid points of the data, solved as one system.", unit="grid points", ge=20, le=200_000
    )
    end: float = setting(50.0, "Length of the data.", unit="time units", group="data", gt=0, le=10_000)
    backend: Backend = setting("auto", BACKEND)
    method: Literal["qr", "cholesky"] = setting("qr", METHOD, group="solver")
    derivatives: int = setting(6, DERIVATIVES, group="solver", ge=3, le=8)
    epochs: int = setting(
        500, "Epochs of Adam, one step each.", group="training", modes=("varying",), ge=1, le=1_000_000
    )
    learning_rate: float = setting(0.01, "Learning rate of Adam.", group="training", modes=("varying",), gt=0, le=1)

    mode_defaults = {"varying": {"derivatives": 3}}


Config = SineConfig


def data(config: SineConfig) -> xr.Dataset:
    """Simulated data: `truth` and `data` over (time, variable)."""
    return sine.simulate(points=config.points, end=config.end, noise=config.noise, seed=config.seed)


def model(config: SineConfig, data: xr.Dataset) -> Model:
    """An untrained model of the noisy data."""
    record = windows.tensor(data)[:, 0]
    solver = Solver(config.derivatives, config.backend, config.method)
    step = uniform_step(data)
    if config.mode == "constant":
        return ConstantODEFit(record, solver, step=step)
    # the published initial value of the learned steps, within the range of the sigmoid
    start = min(step, 0.9)
    return TimeVaryingODEFit(
        record, solver, step=start, steps=config.epochs, rate=config.learning_rate, seed=config.seed
    )


def report(model: Model, data: xr.Dataset) -> Report:
    """The fitted curve and its errors; for constant coefficients also the equation, frequency and damping."""
    curve = model.curve().detach().numpy()[:, None]
    attributes = {"units": "1", "long_name": "solution of the learned ODE"}
    trajectory = data.assign(estimate=(("time", "variable"), curve, attributes))
    error, noise = curve - data["truth"].values, data["data"].values - data["truth"].values
    metrics = {"clean_rmse": float(np.sqrt(np.mean(error**2))), "noise_rms": float(np.sqrt(np.mean(noise**2)))}
    estimate = model.coefficients()
    if estimate is None:
        return Report(trajectory=trajectory, metrics=metrics)
    truth = np.array([[-(sine.FREQUENCY**2 + sine.DAMPING**2)], [-2 * sine.DAMPING]])
    coefficients = coefficient_dataset(CANDIDATES, ("u",), estimate, truth=truth, kind="fitted")
    metrics |= {"frequency": model.frequency, "damping": model.damping}
    return Report((equation(estimate),), (equation(truth),), coefficients, trajectory, metrics)


def equation(coefficients: np.ndarray) -> Equation:
    """u'' = Xi_0 u + Xi_1 u'."""
    terms = zip(coefficients[:, 0].tolist(), LATEX, CANDIDATES, strict=True)
    return Equation(r"\ddot u", "u''", tuple(terms))
