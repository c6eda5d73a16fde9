"""Lorenz: the governing equations of a chaotic flow, discovered from one record.

Source: section 5 of "Scalable Mechanistic Neural Networks", ICLR 2025.
"""

from typing import Literal

import numpy as np
import xarray as xr
from pydantic import model_validator

from workbench import metrics
from workbench.datasets import lorenz, simulate, windows
from workbench.datasets.schema import uniform_step
from workbench.experiments import protocol
from workbench.experiments.protocol import BACKEND, Backend, Equation, Model, Report, setting
from workbench.models.adam import Adam, Schedule
from workbench.models.discovery import Projection
from workbench.models.library import Polynomials
from workbench.models.responses import Integrator

name = "lorenz"
title = "Lorenz"
summary = "A chaotic flow of three variables: seven terms to be found among all polynomials of the library."

SHOWN = 2000
"""Grid points over which discovered equations are simulated."""


class Config(protocol.Config):
    """The settings of one Lorenz run. Time is dimensionless, as all of the Lorenz system is."""

    mode: Literal["projection", "adam"] = setting(
        "projection",
        "How to learn: projection solves for the coefficients directly, in a fraction of a second; adam trains the two "
        "networks of the published model, for hours.",
    )
    noise: float = setting(
        0.0, "Standard deviation of the noise on every point (the variables themselves vary by about 8).", ge=0, le=20
    )
    window: int = setting(
        50, "Sequence length: how many grid points are solved as one system.", unit="grid points", ge=4, le=200_000
    )
    backend: Backend = setting("auto", BACKEND)
    degree: int = setting(
        2, "Highest degree of the polynomials that the equations may be made of.", group="training", ge=1, le=5
    )
    threshold: float = setting(
        0.02,
        "Which terms fall away. Projection: those that alone explain less than this share of how their variable "
        "changes; adam: those that move it by less than this many standard deviations per unit of time.",
        group="training",
        ge=0,
        lt=1,
    )
    batch: int = setting(512, "Windows per training step.", group="training", modes=("adam",), ge=1, le=100_000)
    learning_rate: float = setting(5e-4, "Step size of Adam.", group="training", modes=("adam",), gt=0, le=1)
    cycles: int = setting(
        10,
        "How many cycles of training; small terms are removed for good between two of them.",
        group="training",
        modes=("adam",),
        ge=1,
        le=100,
    )
    epochs: int = setting(
        400, "Passes over all windows in each cycle.", group="training", modes=("adam",), ge=1, le=100_000
    )
    hidden: int = setting(
        1024, "Width of the hidden layers of the networks.", group="training", modes=("adam",), ge=1, le=8192
    )
    method: Literal["qr", "cholesky"] = setting(
        "qr", "How each system is factored: qr is accurate, cholesky is the published way.", group="solver"
    )
    derivatives: int = setting(
        5,
        "How many derivatives the solver keeps at each grid point, the state itself included; more are more accurate.",
        group="solver",
        ge=2,
        le=8,
    )
    points: int = setting(10_000, "Length of the record.", group="data", unit="grid points", ge=10, le=200_000)
    step: float = setting(0.01, "Time between two grid points.", group="data", unit="time units", gt=0, le=0.1)
    stride: int = setting(
        0,
        "From the start of one window to that of the next; 0: half a window.",
        group="data",
        unit="grid points",
        ge=0,
        le=200_000,
    )

    mode_defaults = {"adam": {"derivatives": 3, "stride": 1, "threshold": 0.1}}

    @model_validator(mode="after")
    def _fits(self) -> "Config":
        count = windows.count(self.points, self.window, self.spacing)
        if self.mode == "adam" and self.batch > count:
            raise ValueError(f"the batch ({self.batch} windows) is larger than the record ({count} windows)")
        return self

    @property
    def spacing(self) -> int:
        """The stride in grid points."""
        return self.stride or self.window // 2


def data(config: Config) -> xr.Dataset:
    """The record: `truth` and `data` over (time, variable)."""
    return lorenz.simulate(points=config.points, step=config.step, noise=config.noise, seed=config.seed)


def model(config: Config, data: xr.Dataset) -> Model:
    """A fresh model, which has seen the noisy data only."""
    record = windows.tensor(data)
    library = Polynomials(tuple(str(label) for label in data["variable"].values), config.degree)
    integrator = Integrator(uniform_step(data), config.derivatives, config.backend, config.method)
    if config.mode == "projection":
        return Projection(
            record, library, integrator, window=config.window, stride=config.spacing, threshold=config.threshold
        )
    shared = ("window", "batch", "epochs", "cycles", "learning_rate", "threshold", "hidden", "seed")
    schedule = Schedule(stride=config.spacing, **{field: getattr(config, field) for field in shared})
    return Adam(record, library, integrator, schedule)


def report(model: Model, data: xr.Dataset) -> Report:
    """Equations and coefficients beside the true ones, and a simulation from the first state beside the record."""
    library, estimate = model.library, model.coefficients()
    truth = true_coefficients(library)
    coefficients = xr.Dataset(
        {
            "estimate": (("candidate", "variable"), estimate, {"long_name": "discovered coefficient"}),
            "truth": (("candidate", "variable"), truth, {"long_name": "true coefficient"}),
        },
        coords={"candidate": list(library.names), "variable": list(library.variables)},
    )
    trajectory = simulated(library, estimate, data)
    found = metrics.coefficient_metrics(coefficients)
    found["horizon"] = metrics.horizon(trajectory, exponent=lorenz.LYAPUNOV_EXPONENT)
    return Report(equations(library, estimate), equations(library, truth), coefficients, trajectory, found)


def true_coefficients(library: Polynomials) -> np.ndarray:
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


def equations(library: Polynomials, coefficients: np.ndarray) -> tuple[Equation, ...]:
    """One equation per variable, terms in the order of the library, zeros left out."""
    made = []
    for variable, column in zip(library.variables, coefficients.T, strict=True):
        terms = zip(column.tolist(), library.latex, library.names, strict=True)
        made.append(Equation(rf"\dot {variable}", f"{variable}'", tuple(term for term in terms if term[0] != 0)))
    return tuple(made)


def simulated(library: Polynomials, coefficients: np.ndarray, data: xr.Dataset) -> xr.Dataset:
    """The first part of the record with `estimate`: u' = Theta(u) Xi from the first true state, NaN after a blow-up."""
    shown = data.isel(time=slice(SHOWN))
    states = simulate.guarded(
        library.right_hand_side(coefficients),
        shown["truth"].values[0],
        shown["time"].values,
        limit=20 * float(np.abs(shown["truth"].values).max()),
    )
    attributes = {"units": "1", "long_name": "simulation of the discovered equations"}
    return shown.assign(estimate=(("time", "variable"), states, attributes))
