"""Lorenz system: discovery of the governing equations from one trajectory.

Source: section 5 of "Scalable Mechanistic Neural Networks", ICLR 2025.
"""

from typing import Literal

import numpy as np
import xarray as xr
from pydantic import field_validator, model_validator

from workbench.datasets import windows
from workbench.datasets.ode import lorenz
from workbench.datasets.schema import uniform_step
from workbench.diagnostics import metrics
from workbench.discovery.engine.responses import Integrator
from workbench.discovery.modes import DiscoveryModel
from workbench.discovery.neural.adam import Adam, EpochSchedule
from workbench.discovery.neural.adam_varpro import VarProAdam
from workbench.experiments import discovery_base, protocol
from workbench.experiments.diagnose import diagnose
from workbench.experiments.discovery_base import (
    CRITERION,
    DEGREE,
    MIN_CONTRIBUTION,
    MODE,
    MODES,
    N_BOOTSTRAP,
    WINDOW,
    Criterion,
    equations,
    simulate_equations,
)
from workbench.experiments.protocol import BACKEND, DERIVATIVES, METHOD, Backend, Model, setting
from workbench.experiments.report import Report
from workbench.symbolic.library import Library, LibrarySpec, Polynomials
from workbench.symbolic.parser import parse

name = "lorenz"
title = "Lorenz"
summary = "A chaotic system of three variables: seven terms, selected from a library of polynomials."


class LorenzConfig(protocol.Config):
    """Settings of one Lorenz run. All quantities are dimensionless."""

    mode: Literal["auto", "projection", "smoothing", "adam"] = setting(
        "auto", f"{MODE}; adam trains a denoising network, for minutes."
    )
    noise: float = setting(0.0, "Standard deviation of the noise (that of the variables is about 8).", ge=0, le=20)
    window: int = WINDOW
    backend: Backend = setting("auto", BACKEND)
    degree: int = setting(2, DEGREE, group="training", ge=1, le=5)
    formulas: str = setting(
        "", "Additional candidates, separated by semicolons, e.g. sin(x); x*y*z; exp(-t).", group="training"
    )
    min_contribution: float = setting(0.002, MIN_CONTRIBUTION, group="training", ge=0, lt=1)
    criterion: Criterion = setting("information", CRITERION, group="training", modes=MODES)
    n_bootstrap: int = setting(200, N_BOOTSTRAP, group="training", modes=MODES, ge=20, le=10_000)
    coefficients: Literal["solved", "learned"] = setting(
        "solved",
        "Coefficients with adam: solved exactly at every step, or learned by a second network as published, for hours "
        "(3 derivatives, 10 cycles of 400 epochs, learning rate 5e-4).",
        group="training",
        modes=("adam",),
    )
    threshold: float = setting(
        0.1,
        "Drop learned terms below this standardized coefficient, in standard deviations of the variable per time unit.",
        group="training",
        modes=("adam",),
        ge=0,
        lt=1,
    )
    batch: int = setting(512, "Windows per training step.", group="training", modes=("adam",), ge=1, le=100_000)
    learning_rate: float = setting(
        2e-3,
        "Learning rate of Adam; decays linearly to 0 with solved coefficients.",
        group="training",
        modes=("adam",),
        gt=0,
        le=1,
    )
    cycles: int = setting(
        5,
        "Training cycles; small terms are removed permanently between cycles.",
        group="training",
        modes=("adam",),
        ge=1,
        le=100,
    )
    epochs: int = setting(
        5,
        "Epochs per cycle; learned coefficients need hundreds.",
        group="training",
        modes=("adam",),
        ge=1,
        le=100_000,
    )
    hidden: int = setting(
        1024, "Width of the hidden layers of the networks.", group="training", modes=("adam",), ge=1, le=8192
    )
    method: Literal["qr", "cholesky"] = setting("qr", METHOD, group="solver")
    derivatives: int = setting(6, DERIVATIVES, group="solver", ge=2, le=8)
    points: int = setting(10_000, "Grid points of the data.", group="data", unit="grid points", ge=10, le=200_000)
    step: float = setting(0.01, "Step between grid points.", group="data", unit="time units", gt=0, le=0.1)
    stride: int = setting(
        1,
        "Offset between the starts of consecutive windows; the other modes use every grid point once.",
        group="data",
        unit="grid points",
        modes=("adam",),
        ge=1,
        le=200_000,
    )

    mode_defaults = {"adam": {"derivatives": 4, "window": 50}}

    @field_validator("formulas")
    @classmethod
    def _check_formulas(cls, value: str) -> str:
        for text in _split(value):
            parse(text, lorenz.VARIABLES)
        return value

    @model_validator(mode="after")
    def _check_window(self) -> "LorenzConfig":
        if self.mode == "adam" and self.window < 4:
            raise ValueError(f"the window ({self.window} grid points) is too short for adam: expected at least 4")
        if self.window:
            count = windows.count(self.points, self.window, self.stride)
            if self.mode == "adam" and self.batch > count:
                raise ValueError(f"the batch ({self.batch} windows) is larger than the record ({count} windows)")
        if self.mode != "adam":
            discovery_base.check_window(self.window, self.derivatives)
        return self


Config = LorenzConfig


def _split(formulas: str) -> tuple[str, ...]:
    return tuple(text.strip() for text in formulas.split(";") if text.strip())


def data(config: LorenzConfig) -> xr.Dataset:
    """Simulated data: `truth` and `data` over (time, variable)."""
    return lorenz.simulate(points=config.points, step=config.step, noise=config.noise, seed=config.seed)


def model(config: LorenzConfig, data: xr.Dataset) -> Model:
    """An untrained model of the noisy data."""
    library: Library = Polynomials(lorenz.VARIABLES, config.degree)
    if formulas := _split(config.formulas):
        library = LibrarySpec(degree=config.degree, expressions=formulas).library(lorenz.VARIABLES)
    if config.mode != "adam":
        return discovery_base.discovery_model(config, data, library)
    integrator = Integrator(uniform_step(data), config.derivatives, config.backend, config.method)
    shared = ("window", "stride", "batch", "epochs", "cycles", "learning_rate", "threshold", "hidden", "seed")
    schedule = EpochSchedule(**{field: getattr(config, field) for field in shared})
    if config.coefficients == "learned":
        return Adam(windows.tensor(data), library, integrator, schedule)
    return VarProAdam(windows.tensor(data), library, integrator, schedule, min_contribution=config.min_contribution)


def report(model: Model, data: xr.Dataset) -> Report:
    """Discovered and true equations, coefficients with intervals, a simulation and diagnostics."""
    library, estimate = model.library, model.coefficients()
    truth = true_coefficients(library)
    result = model.result() if isinstance(model, DiscoveryModel) else None
    coefficients = discovery_base.coefficient_dataset(
        library.names, library.variables, estimate, truth=truth, result=result
    )
    trajectory = simulate_equations(library, estimate, data)
    scores = metrics.coefficient_metrics(coefficients)
    scores["horizon"] = metrics.horizon(trajectory, exponent=lorenz.LYAPUNOV_EXPONENT)
    warnings = ()
    if result is not None:
        scores["noise"] = float(np.sqrt(np.mean(result.noise**2)))
        trajectory["denoised"] = (
            ("time", "variable"),
            result.states[0][: trajectory.sizes["time"]],
            {"units": "1", "long_name": "denoised states"},
        )
        warnings = discovery_base.warnings(library, result, data)
    final = diagnose(library, estimate, trajectory, result, lorenz.LYAPUNOV_EXPONENT) if model.done else None
    both = equations(library, estimate), equations(library, truth)
    return Report(*both, coefficients, trajectory, scores, warnings, diagnostics=final)


def true_coefficients(library: Library) -> np.ndarray:
    """The true Xi (candidate, variable), without terms that are not in the library."""
    terms = {
        ("x", "x"): -lorenz.SIGMA,
        ("y", "x"): lorenz.SIGMA,
        ("x", "y"): lorenz.RHO,
        ("y", "y"): -1.0,
        ("x z", "y"): -1.0,
        ("x y", "z"): 1.0,
        ("z", "z"): -lorenz.BETA,
    }
    return np.array([[terms.get((c, v), 0.0) for v in library.variables] for c in library.names])
