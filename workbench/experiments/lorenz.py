"""Lorenz: the governing equations of a chaotic flow, discovered from one record.

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
from workbench.discovery.engine.projection import Projection
from workbench.discovery.engine.responses import Integrator
from workbench.discovery.neural.adam import Adam, EpochSchedule
from workbench.discovery.neural.adam_varpro import SolvedAdam
from workbench.experiments import discovery_base, protocol
from workbench.experiments.diagnose import judge
from workbench.experiments.discovery_base import CRITERION, Criterion, doubts_about, equations, simulated
from workbench.experiments.protocol import BACKEND, Backend, Model, setting
from workbench.experiments.report import Report
from workbench.symbolic.library import Library, Polynomials
from workbench.symbolic.parser import parse
from workbench.symbolic.recipe import LibrarySpec

name = "lorenz"
title = "Lorenz"
summary = "A chaotic flow of three variables: seven terms to be found among all polynomials of the library."

DIRECT = ("auto", "projection", "smoothing")
"""The modes without a network."""


class LorenzConfig(protocol.Config):
    """The settings of one Lorenz run. Time is dimensionless, as all of the Lorenz system is."""

    mode: Literal["auto", "projection", "smoothing", "adam"] = setting(
        "auto",
        "How to learn: projection solves for the coefficients directly, in a fraction of a second; smoothing goes on "
        "from there and corrects states and equations together, for noisy data; auto takes the better of the two for "
        "the noise it finds; adam trains a network that takes the noise off, for minutes.",
    )
    noise: float = setting(
        0.0, "Standard deviation of the noise on every point (the variables themselves vary by about 8).", ge=0, le=20
    )
    window: int = setting(
        0,
        "Sequence length: how many grid points are solved as one system; 0: chosen from the data. Smoothing begins "
        "with it and goes on to windows up to four times as long.",
        unit="grid points",
        ge=0,
        le=200_000,
    )
    backend: Backend = setting("auto", BACKEND)
    degree: int = setting(
        2, "Highest degree of the polynomials that the equations may be made of.", group="training", ge=1, le=5
    )
    formulas: str = setting(
        "",
        "More terms to choose from, as formulas with semicolons between them, such as sin(x); x*y*z; exp(-t).",
        group="training",
    )
    min_contribution: float = setting(
        0.002,
        "Terms that alone explain less than this share of how their variable changes within a window fall away, "
        "however significant they are; insignificant ones always do.",
        group="training",
        ge=0,
        lt=1,
    )
    criterion: Criterion = setting("information", CRITERION, group="training", modes=DIRECT)
    n_bootstrap: int = setting(
        200,
        "How many times windows are drawn anew to tell how sure each term is (bootstrap).",
        group="training",
        modes=DIRECT,
        ge=20,
        le=10_000,
    )
    coefficients: Literal["solved", "learned"] = setting(
        "solved",
        "Where adam has the coefficients from: solved for exactly at every step, or learned by a second network as in "
        "the published model, for hours (there: 3 derivatives, 10 cycles of 400 epochs, a learning rate of 5e-4).",
        group="training",
        modes=("adam",),
    )
    threshold: float = setting(
        0.1,
        "Learned terms that move their variable by less than this many standard deviations per unit of time fall away.",
        group="training",
        modes=("adam",),
        ge=0,
        lt=1,
    )
    batch: int = setting(512, "Windows per training step.", group="training", modes=("adam",), ge=1, le=100_000)
    learning_rate: float = setting(
        2e-3,
        "Step size of Adam; with solved coefficients it falls evenly to nothing.",
        group="training",
        modes=("adam",),
        gt=0,
        le=1,
    )
    cycles: int = setting(
        5,
        "How many cycles of training; small terms are removed for good between two of them.",
        group="training",
        modes=("adam",),
        ge=1,
        le=100,
    )
    epochs: int = setting(
        5,
        "Passes over all windows in each cycle; learned coefficients need hundreds.",
        group="training",
        modes=("adam",),
        ge=1,
        le=100_000,
    )
    hidden: int = setting(
        1024, "Width of the hidden layers of the networks.", group="training", modes=("adam",), ge=1, le=8192
    )
    method: Literal["qr", "cholesky"] = setting(
        "qr", "How each system is factored: qr is accurate, cholesky is the published way.", group="solver"
    )
    derivatives: int = setting(
        6,
        "How many derivatives the solver keeps at each grid point, the state itself included; more are more accurate.",
        group="solver",
        ge=2,
        le=8,
    )
    points: int = setting(10_000, "Length of the record.", group="data", unit="grid points", ge=10, le=200_000)
    step: float = setting(0.01, "Time between two grid points.", group="data", unit="time units", gt=0, le=0.1)
    stride: int = setting(
        1,
        "From the start of one window to that of the next; the other modes use every grid point once.",
        group="data",
        unit="grid points",
        modes=("adam",),
        ge=1,
        le=200_000,
    )

    mode_defaults = {"adam": {"derivatives": 4, "window": 50}}

    @field_validator("formulas")
    @classmethod
    def _can_be_read(cls, value: str) -> str:
        for text in _split(value):
            parse(text, lorenz.VARIABLES)
        return value

    @model_validator(mode="after")
    def _fits(self) -> "LorenzConfig":
        if self.mode == "adam" and self.window < 4:
            raise ValueError(f"the window ({self.window} grid points) is too short for adam: expected at least 4")
        if self.window:
            count = windows.count(self.points, self.window, self.stride)
            if self.mode == "adam" and self.batch > count:
                raise ValueError(f"the batch ({self.batch} windows) is larger than the record ({count} windows)")
        if self.mode != "adam" and 0 < self.window < 2 * self.derivatives:
            raise ValueError(
                f"the window ({self.window} grid points) is too short: expected 0 or twice the derivatives or more"
            )
        return self


Config = LorenzConfig


def _split(formulas: str) -> tuple[str, ...]:
    return tuple(text.strip() for text in formulas.split(";") if text.strip())


def data(config: LorenzConfig) -> xr.Dataset:
    """The record: `truth` and `data` over (time, variable)."""
    return lorenz.simulate(points=config.points, step=config.step, noise=config.noise, seed=config.seed)


def model(config: LorenzConfig, data: xr.Dataset) -> Model:
    """A fresh model, which has seen the noisy data only."""
    record = windows.tensor(data)
    library: Library = Polynomials(lorenz.VARIABLES, config.degree)
    if formulas := _split(config.formulas):
        library = LibrarySpec(degree=config.degree, expressions=formulas).library(lorenz.VARIABLES)
    if config.mode != "adam":
        return discovery_base.projection(config, data, library)
    integrator = Integrator(uniform_step(data), config.derivatives, config.backend, config.method)
    shared = ("window", "stride", "batch", "epochs", "cycles", "learning_rate", "threshold", "hidden", "seed")
    schedule = EpochSchedule(**{field: getattr(config, field) for field in shared})
    if config.coefficients == "learned":
        return Adam(record, library, integrator, schedule)
    return SolvedAdam(record, library, integrator, schedule, min_contribution=config.min_contribution)


def report(model: Model, data: xr.Dataset) -> Report:
    """Equations and coefficients beside the true ones, how sure they are, and a simulation beside the record."""
    library, estimate = model.library, model.coefficients()
    truth = true_coefficients(library)
    found = model.result() if isinstance(model, Projection) else None
    coefficients = discovery_base.coefficients(library, truth, estimate, found)
    trajectory = simulated(library, estimate, data)
    figures = metrics.coefficient_metrics(coefficients)
    figures["horizon"] = metrics.horizon(trajectory, exponent=lorenz.LYAPUNOV_EXPONENT)
    notes = ()
    if found is not None:
        figures["noise"] = float(np.sqrt(np.mean(found.noise**2)))
        trajectory["denoised"] = (
            ("time", "variable"),
            found.states[0][: trajectory.sizes["time"]],
            {"units": "1", "long_name": "states without the noise"},
        )
        notes = doubts_about(library, found, data)
    final = judge(library, estimate, trajectory, found, lorenz.LYAPUNOV_EXPONENT) if model.done else None
    both = equations(library, estimate), equations(library, truth)
    return Report(*both, coefficients, trajectory, figures, notes, judgement=final)


def true_coefficients(library: Library) -> np.ndarray:
    """The true Xi (candidate, variable); a term that the library lacks is left out."""
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
