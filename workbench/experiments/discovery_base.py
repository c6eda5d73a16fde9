"""What experiments that discover equations share: settings, the model, and a report beside the truth."""

from typing import Any, Literal

import numpy as np
import xarray as xr
from pydantic import model_validator

from workbench import diagnostics
from workbench.datasets import windows
from workbench.datasets.ode import reference
from workbench.discovery.data import Trajectory
from workbench.discovery.engine.preparation import Settings
from workbench.discovery.engine.projection import Projection
from workbench.discovery.engine.result import Discovery
from workbench.experiments import protocol
from workbench.experiments.equation import Equation
from workbench.experiments.protocol import BACKEND, Backend, setting
from workbench.symbolic import expr, printers
from workbench.symbolic.library import Candidate, Library

SHOWN = 2000
"""Grid points over which discovered equations are simulated."""
DENOISE = {"auto": None, "projection": False, "smoothing": True}
FOLDS = 10
"""Groups of windows for cross-validation."""
Criterion = Literal["information", "cross-validation"]
CRITERION = (
    "What decides which terms stay: an information criterion (BIC), or how well windows that were left out are "
    "foretold."
)
DIRECT = tuple(DENOISE)
"""The modes that discover equations."""


class DiscoveryConfig(protocol.Config):
    """The settings of one discovery in a simulated record; a subclass sets what fits its system."""

    mode: Literal["auto", "projection", "smoothing"] = setting(
        "auto",
        "How to learn: projection solves for the coefficients directly, in about a second; smoothing goes on from "
        "there and corrects states and equations together, for noisy data; auto takes the better of the two for the "
        "noise it finds.",
    )
    noise: float = setting(
        0.0,
        "Standard deviation of the noise on every point, over that of its variable.",
        unit="%",
        ge=0,
        le=50,
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
        2,
        "Highest degree of the polynomials that the equations may be made of.",
        group="training",
        modes=DIRECT,
        ge=0,
        le=5,
    )
    min_contribution: float = setting(
        0.002,
        "Terms that alone explain less than this share of how their variable changes within a window fall away, "
        "however significant they are; insignificant ones always do.",
        group="training",
        modes=DIRECT,
        ge=0,
        lt=1,
    )
    criterion: Criterion = setting("information", CRITERION, group="training")
    n_bootstrap: int = setting(
        200,
        "How many times windows are drawn anew to tell how sure each term is (bootstrap).",
        group="training",
        modes=DIRECT,
        ge=20,
        le=10_000,
    )
    method: Literal["qr", "cholesky"] = setting(
        "qr", "How each system is factored: qr is accurate, cholesky is the published way.", group="solver"
    )
    derivatives: int = setting(
        6,
        "How many derivatives the solver keeps at each grid point, the state itself included; more are more accurate.",
        group="solver",
        ge=3,
        le=8,
    )
    points: int = setting(5000, "Length of the record.", group="data", unit="grid points", ge=20, le=200_000)
    step: float = setting(0.01, "Time between two grid points.", group="data", unit="time units", gt=0, le=1)

    @model_validator(mode="after")
    def _fits(self) -> "DiscoveryConfig":
        if self.window:
            windows.count(self.points, self.window, 1)
        if 0 < self.window < 2 * self.derivatives:
            raise ValueError(
                f"the window ({self.window} grid points) is too short: expected 0 or twice the derivatives or more"
            )
        return self


def projection(config: Any, data: xr.Dataset, library: Library) -> Projection:
    """A fresh model, which sees `data` only; `config` has the fields of `DiscoveryConfig` that say how to learn."""
    shared = ("window", "min_contribution", "n_bootstrap", "derivatives", "backend", "method", "seed")
    cv_folds = FOLDS if config.criterion == "cross-validation" else 0
    settings = Settings(
        denoise=DENOISE[config.mode], cv_folds=cv_folds, **{name: getattr(config, name) for name in shared}
    )
    return Projection([Trajectory(windows.times(data), windows.tensor(data))], library, settings)


def coefficients(library: Library, truth: np.ndarray, estimate: np.ndarray, found: Discovery | None) -> xr.Dataset:
    """`estimate` and `truth` over (candidate, variable); of a discovery also the interval and the inclusion."""
    over = ("candidate", "variable")
    columns = {
        "estimate": (over, estimate, {"long_name": "discovered coefficient"}),
        "truth": (over, truth, {"long_name": "true coefficient"}),
    }
    if found is not None:
        columns["lower"] = (over, found.lower, {"long_name": "lower end of the 95 % interval"})
        columns["upper"] = (over, found.upper, {"long_name": "upper end of the 95 % interval"})
        columns["inclusion"] = (over, found.inclusion, {"long_name": "inclusion probability"})
    return xr.Dataset(columns, coords={"candidate": list(library.names), "variable": list(library.variables)})


def doubts_about(library: Library, found: Discovery, data: xr.Dataset) -> tuple[str, ...]:
    """What stopped the discovery early, and why the record may not decide, in words; nothing if nothing is in doubt."""
    kept = np.flatnonzero(found.coefficients.any(axis=1))
    names = [library.names[index] for index in kept]
    there = np.isfinite(found.states[0]).all(axis=1)
    values = library(found.states[0][there], data["time"].values[there])[:, kept]
    interval = (found.lower[kept], found.upper[kept])
    found_doubts = diagnostics.doubts(values, names, data["data"].values, library.variables, interval) if names else ()
    return (*((found.message,) if found.message else ()), *(doubt.message for doubt in found_doubts))


def equations(library: Library, coefficients: np.ndarray) -> tuple[Equation, ...]:
    """One equation per variable, terms in the order of the library, zeros left out."""
    made = []
    primes = "'" * library.order
    for variable, column in zip(library.variables, coefficients.T, strict=True):
        name = printers.latex(expr.name(variable))
        kept = [
            (value, *_factor(candidate))
            for value, candidate in zip(column.tolist(), library.candidates, strict=True)
            if value != 0
        ]
        made.append(Equation(printers.rate(name, library.order), f"{variable}{primes}", tuple(kept)))
    return tuple(made)


def _factor(candidate: Candidate) -> tuple[str, str]:
    """A candidate behind a number, in LaTeX and as plain text: a sum stands in parentheses."""
    if candidate.node.operation in ("add", "subtract", "negate"):
        return rf"\left({candidate.latex}\right)", f"({candidate.name})"
    return candidate.latex, candidate.name


def simulated(
    library: Library, coefficients: np.ndarray, data: xr.Dataset, rates: np.ndarray | None = None
) -> xr.Dataset:
    """The first part of the record with `estimate`: the equations from the first true state, NaN after a blow-up.

    rates (D): for order 2, the derivatives of the first state.
    """
    shown = data[[name for name in ("truth", "data") if name in data]].isel(time=slice(SHOWN))
    start = shown["truth"].values[0]
    states = reference.guarded(
        library.right_hand_side(coefficients),
        start if rates is None else np.concatenate([start, rates]),
        shown["time"].values,
        limit=20 * float(np.abs(shown["truth"].values).max()),
    )
    attributes = {"units": data["truth"].attrs["units"], "long_name": "simulation of the discovered equations"}
    return shown.assign(estimate=(("time", "variable"), states[:, : len(start)], attributes))
