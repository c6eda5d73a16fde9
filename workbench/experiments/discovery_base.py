"""Settings, model and parts of the report shared by experiments that discover equations."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import xarray as xr
from pydantic import model_validator

from workbench import diagnostics
from workbench.datasets import windows
from workbench.diagnostics.identifiability import coarse_sampling, other_models
from workbench.discovery.data import Trajectory
from workbench.discovery.engine.preparation import Settings
from workbench.discovery.engine.result import Discovery
from workbench.discovery.modes import DiscoveryModel
from workbench.experiments import protocol
from workbench.experiments.equation import Equation
from workbench.experiments.protocol import BACKEND, DERIVATIVES, METHOD, Backend, setting
from workbench.symbolic import expr, printers
from workbench.symbolic.library import Candidate, Library

SHOWN = 2000
"""Grid points over which discovered equations are simulated."""
DENOISE = {"auto": None, "projection": False, "smoothing": True}
CV_FOLDS = 10
"""Groups of windows for cross-validation."""
Criterion = Literal["information", "cross-validation"]
MODES = tuple(DENOISE)
"""The modes that discover equations without a network."""

MODE = (
    "Training mode: projection solves for the coefficients directly, within seconds; smoothing estimates states and "
    "equations jointly from the whole data set and selects the terms by evidence; auto uses projection for complete "
    "data without noise, else smoothing"
)
CRITERION = "Selection criterion of the terms: information criterion (BIC) or cross-validation on held-out windows."
DEGREE = "Highest degree of the polynomials in the library."
MIN_CONTRIBUTION = (
    "Drop terms that explain less than this share of the change of their variable within a window, even if "
    "significant; insignificant terms are always dropped."
)
N_BOOTSTRAP = "Bootstrap resamples of the windows for intervals and inclusion probabilities."
WINDOW = setting(
    0,
    "Sequence length: grid points solved as one system by projection; 0: chosen from the data. Smoothing solves the "
    "whole data set as one system.",
    unit="grid points",
    ge=0,
    le=200_000,
)


class DiscoveryConfig(protocol.Config):
    """Settings of a discovery from simulated data; subclasses change defaults and bounds for their system."""

    mode: Literal["auto", "projection", "smoothing"] = setting("auto", f"{MODE}.")
    noise: float = setting(
        0.0,
        "Standard deviation of the noise, relative to that of its variable.",
        unit="%",
        ge=0,
        le=50,
    )
    window: int = WINDOW
    backend: Backend = setting("auto", BACKEND)
    degree: int = setting(2, DEGREE, group="training", modes=MODES, ge=0, le=5)
    min_contribution: float = setting(0.002, MIN_CONTRIBUTION, group="training", modes=MODES, ge=0, lt=1)
    criterion: Criterion = setting("information", CRITERION, group="training")
    n_bootstrap: int = setting(200, N_BOOTSTRAP, group="training", modes=MODES, ge=20, le=10_000)
    method: Literal["qr", "cholesky"] = setting("qr", METHOD, group="solver")
    derivatives: int = setting(6, DERIVATIVES, group="solver", ge=3, le=8)
    points: int = setting(5000, "Grid points of the data.", group="data", unit="grid points", ge=20, le=200_000)
    step: float = setting(0.01, "Step between grid points.", group="data", unit="time units", gt=0, le=1)

    @model_validator(mode="after")
    def _check_window(self) -> "DiscoveryConfig":
        if self.window:
            windows.count(self.points, self.window, 1)
        check_window(self.window, self.derivatives)
        return self


def check_window(window: int, derivatives: int) -> None:
    """Raise ValueError for a window shorter than twice the derivatives; 0 is valid."""
    if 0 < window < 2 * derivatives:
        raise ValueError(
            f"the window ({window} grid points) is too short: expected 0 or at least twice the derivatives"
        )


def discovery_model(config: Any, data: xr.Dataset, library: Library) -> DiscoveryModel:
    """An untrained model of the variable `data`; `config` has the training and solver fields of `DiscoveryConfig`."""
    shared = ("window", "min_contribution", "n_bootstrap", "derivatives", "backend", "method", "seed")
    cv_folds = CV_FOLDS if config.criterion == "cross-validation" else 0
    settings = Settings(
        denoise=DENOISE[config.mode], cv_folds=cv_folds, **{name: getattr(config, name) for name in shared}
    )
    return DiscoveryModel([Trajectory(windows.times(data), windows.tensor(data))], library, settings)


def coefficient_dataset(
    candidates: Sequence[str],
    variables: Sequence[str],
    estimate: np.ndarray,
    *,
    truth: np.ndarray | None = None,
    result: Any = None,
    unit: np.ndarray | None = None,
    kind: str = "discovered",
) -> xr.Dataset:
    """Coefficients over (candidate, variable), as in `Report.coefficients`.

    result: adds its `lower`, `upper` and `inclusion`. kind: "discovered" or "fitted", for the name of the estimate.
    """
    columns = {
        "estimate": (estimate, f"{kind} coefficient"),
        "truth": (truth, "true coefficient"),
    }
    if result is not None:
        columns |= {
            "lower": (result.lower, "lower end of the 95 % interval"),
            "upper": (result.upper, "upper end of the 95 % interval"),
            "inclusion": (result.inclusion, "inclusion probability"),
        }
    columns["unit"] = (unit, "unit of the coefficient")
    shape = (len(candidates), len(variables))
    return xr.Dataset(
        {
            name: (("candidate", "variable"), np.reshape(values, shape), {"long_name": long_name})
            for name, (values, long_name) in columns.items()
            if values is not None
        },
        coords={"candidate": list(candidates), "variable": list(variables)},
    )


def warnings(library: Library, result: Discovery, data: xr.Dataset) -> tuple[str, ...]:
    """The reason for an early stop, if any, and the identifiability warnings; empty if there are none."""
    selected = np.flatnonzero(result.coefficients.any(axis=1))
    names = [library.names[index] for index in selected]
    finite = np.isfinite(result.states[0]).all(axis=1)
    values = library(result.states[0][finite], data["time"].values[finite])[:, selected]
    interval, states = (result.lower[selected], result.upper[selected]), data["data"].values
    checks = diagnostics.identifiability_warnings(values, names, states, library.variables, interval) if names else ()
    checks = (*checks, *evidence_warnings(library, result))
    return (*((result.message,) if result.message else ()), *(check.message for check in checks))


def evidence_warnings(library: Library, result: Discovery) -> tuple[diagnostics.IdentifiabilityWarning, ...]:
    """Warnings about other models that are about as probable, and about coarse sampling."""
    models = [(other.coefficients, other.probability) for other in result.alternatives]
    checks = [other_models(models, library.names, library.variables)]
    if result.alternatives:
        checks.append(coarse_sampling(result.residual, result.noise, library.variables))
    return tuple(check for check in checks if check.message)


def equations(library: Library, coefficients: np.ndarray) -> tuple[Equation, ...]:
    """One equation per variable, with the nonzero terms in the order of the library."""
    result = []
    primes = "'" * library.order
    for variable, column in zip(library.variables, coefficients.T, strict=True):
        name = printers.latex(expr.name(variable))
        terms = [
            (value, *_factor(candidate))
            for value, candidate in zip(column.tolist(), library.candidates, strict=True)
            if value != 0
        ]
        result.append(Equation(printers.rate(name, library.order), f"{variable}{primes}", tuple(terms)))
    return tuple(result)


def _factor(candidate: Candidate) -> tuple[str, str]:
    """LaTeX and plain text of a candidate as a factor: sums in parentheses."""
    if candidate.node.operation in ("add", "subtract", "negate"):
        return rf"\left({candidate.latex}\right)", f"({candidate.name})"
    return candidate.latex, candidate.name


def simulate_equations(
    library: Library, coefficients: np.ndarray, data: xr.Dataset, rates: np.ndarray | None = None
) -> xr.Dataset:
    """The first SHOWN grid points with `estimate`, simulated from the first true state; NaN after divergence.

    rates (D): for order 2, the derivatives of the first state.
    """
    shown = data[[name for name in ("truth", "data") if name in data]].isel(time=slice(SHOWN))
    start = shown["truth"].values[0]
    states = diagnostics.simulate_bounded(
        library.right_hand_side(coefficients),
        start if rates is None else np.concatenate([start, rates]),
        shown["time"].values,
        limit=20 * float(np.abs(shown["truth"].values).max()),
    )
    attributes = {"units": data["truth"].attrs["units"], "long_name": "simulation of the discovered equations"}
    return shown.assign(estimate=(("time", "variable"), states[:, : len(start)], attributes))
