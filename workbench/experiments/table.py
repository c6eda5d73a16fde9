"""Discovery of equations from the user's own data in CSV, Parquet, HDF5 or NetCDF files.

Sampling, gaps, noise level and polynomial degree are estimated from the data.
"""

import re
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
import xarray as xr
from pydantic import field_validator

from workbench import diagnostics
from workbench.datasets import schema, tabular, windows
from workbench.datasets.tabular import example
from workbench.diagnostics.identifiability import collinearity, few_oscillations, short_record, uncertain_terms
from workbench.discovery.data import Trajectory
from workbench.discovery.engine.preparation import Settings
from workbench.discovery.engine.result import Discovery
from workbench.discovery.search import DegreeSearch, default_degrees
from workbench.experiments import protocol
from workbench.experiments.diagnose import diagnose
from workbench.experiments.discovery_base import (
    DENOISE,
    MIN_CONTRIBUTION,
    MODE,
    N_BOOTSTRAP,
    SHOWN,
    coefficient_dataset,
    equations,
    evidence_warnings,
)
from workbench.experiments.protocol import BACKEND, DERIVATIVES, METHOD, Backend, Model, setting
from workbench.experiments.report import Report
from workbench.symbolic.library import Polynomials
from workbench.symbolic.units import coefficient_units

name = "table"
title = "Your own data"
summary = "Equations of the time series in a CSV, Parquet, HDF5 or NetCDF file, with its names and units."

MOST_VARIABLES = 20
"""Largest number of variables of a discovery."""
NOISY = 0.25
"""Ratio of noise level to standard deviation from which on there is a warning."""
UNCERTAIN = 0.05
"""Relative standard error of a coefficient from which on the collinearity of its equation is reported."""
LARGE_RESIDUAL = 1.5
"""Ratio of residual to noise level from which on there is a warning."""


class TableConfig(protocol.Config):
    """Settings of one run on a table. Units are those of the table."""

    mode: Literal["auto", "projection", "smoothing"] = setting("auto", f"{MODE}.")
    degree: int = setting(
        0,
        "Highest degree of the polynomials in the library; 0: the lowest that explains the data.",
        ge=0,
        le=5,
    )
    window: int = setting(
        0,
        "Sequence length: grid points solved as one system by projection; 0: chosen from the data. Smoothing solves "
        "the whole data set as one system.",
        unit="grid points",
        ge=0,
        le=200_000,
    )
    backend: Backend = setting("auto", BACKEND)
    min_contribution: float = setting(0.002, MIN_CONTRIBUTION, group="training", ge=0, lt=1)
    n_bootstrap: int = setting(200, N_BOOTSTRAP, group="training", ge=20, le=10_000)
    method: Literal["qr", "cholesky"] = setting("qr", METHOD, group="solver")
    derivatives: int = setting(6, DERIVATIVES, group="solver", ge=2, le=8)
    record: str = setting(example.NAME, "Table: example, or the name returned when a file was read.", group="data")
    columns: str = setting("", "Variables of the equations, separated by commas; empty: all.", group="data")

    @field_validator("record")
    @classmethod
    def _check_name(cls, value: str) -> str:
        # a name, not a path: a URL must not open files
        if not re.fullmatch(r"[a-z0-9-]{1,60}", value):
            raise ValueError("expected example, or the name returned when a file was read")
        return value


Config = TableConfig


def keep(sources: Sequence[tabular.Source]) -> str:
    """Read and store files; returns the value of `record`. Raises ValueError naming row and column."""
    return tabular.keep(tabular.read(sources))


def data(config: TableConfig) -> xr.Dataset:
    """The table: `data` over (time, variable), NaN for missing values; trajectories are concatenated."""
    record = example.record() if config.record == example.NAME else tabular.kept(config.record)
    variables = [str(label) for label in record["variable"].values]
    selected = [name for name in re.split(r"[,\s]+", config.columns) if name]
    if unknown := [name for name in selected if name not in variables]:
        raise ValueError(f"columns: unknown variable {unknown[0]}; expected some of {', '.join(variables)}")
    record = record.sel(variable=selected) if selected else record
    if record.sizes["variable"] > MOST_VARIABLES:
        raise ValueError(
            f"columns: expected at most {MOST_VARIABLES} variables, found {len(variables)}; "
            f"select some of {', '.join(variables[:30])}"
        )
    return record


def model(config: TableConfig, data: xr.Dataset) -> Model:
    """An untrained model of all trajectories."""
    parts = [Trajectory(windows.times(part), windows.tensor(part)) for part in schema.trajectories(data)]
    variables = [str(label) for label in data["variable"].values]
    points = sum(int(torch.isfinite(part.values[:, 0]).sum()) for part in parts)
    degrees = (config.degree,) if config.degree else default_degrees(len(variables), points)
    shared = ("window", "min_contribution", "n_bootstrap", "derivatives", "backend", "method", "seed")
    settings = Settings(denoise=DENOISE[config.mode], **{field: getattr(config, field) for field in shared})
    return DegreeSearch(parts, variables, degrees, settings)


def report(model: DegreeSearch, data: xr.Dataset) -> Report:
    """Equations with the names and coefficients with the units of the table, a simulation, warnings, diagnostics."""
    library, result = model.library, model.result()
    variable_units = dict(zip(library.variables, map(str, data["unit"].values), strict=True))
    units = coefficient_units(library, variable_units, str(data["time"].attrs["units"]))
    coefficients = coefficient_dataset(library.names, library.variables, result.coefficients, result=result, unit=units)
    noise_ratio = result.noise / data["data"].std("time").values
    scores = {
        "degree": float(model.degree),
        "noise_share": float(noise_ratio.max()),
        "left_over": float(model.residual_ratio().max()),
    }
    trajectory = simulate_equations(library, result, schema.trajectories(data)[0])
    final = diagnose(library, result.coefficients, trajectory, result) if model.done else None
    shown = equations(library, result.coefficients)
    return Report(shown, (), coefficients, trajectory, scores, warnings(model, result, noise_ratio), diagnostics=final)


def simulate_equations(library: Polynomials, result: Discovery, data: xr.Dataset) -> xr.Dataset:
    """The first SHOWN grid points with `denoised` and `estimate`, simulated from the first denoised state."""
    shown = data.isel(time=slice(SHOWN))
    states = result.states[0][: shown.sizes["time"]]
    finite = np.flatnonzero(np.isfinite(states).all(axis=1))
    estimate = np.full(states.shape, np.nan)
    if len(finite):
        begin = int(finite[0])
        limit = 20 * float(np.nanmax(np.abs(shown["data"].values)))
        times = shown["time"].values[begin:]
        vector_field = library.right_hand_side(result.coefficients)
        estimate[begin:] = (
            diagnostics.simulate_bounded(vector_field, states[begin], times, limit=limit)
            if len(times) > 1
            else states[begin:]
        )
    over, attributes = ("time", "variable"), {"units": "1"}
    return shown.assign(
        denoised=(over, states, {**attributes, "long_name": "denoised states"}),
        estimate=(over, estimate, {**attributes, "long_name": "simulation of the discovered equations"}),
    )


def warnings(model: DegreeSearch, result: Discovery, noise_ratio: np.ndarray) -> tuple[str, ...]:
    """The reason for an early stop, if any, and warnings about noise level, residuals and identifiability.

    noise_ratio (D): noise level over the standard deviation of each variable.
    """
    library, names = model.library, model.library.variables
    messages = [result.message] if result.message else []
    worst = int(np.argmax(noise_ratio))
    if noise_ratio[worst] > NOISY:
        messages.append(
            f"noise is {noise_ratio[worst]:.0%} of the standard deviation of {names[worst]}; at most {NOISY:.0%} "
            f"recommended"
        )
    residual = model.residual_ratio()
    worst = int(np.argmax(residual))
    if model.done and residual[worst] > LARGE_RESIDUAL:
        messages.append(
            f"the residual is {residual[worst]:.2g} times the noise level of {names[worst]}: the equations may lack an "
            f"unmeasured variable, an external forcing, or a non-polynomial term"
        )
    states = np.concatenate(result.states)
    states = states[np.isfinite(states).all(axis=1)]
    checks = [
        *evidence_warnings(library, result),
        short_record(len(states), int(result.coefficients.any(axis=1).sum())),
        uncertain_terms(result.lower, result.upper, library.names, names),
    ]
    if len(result.states) == 1 and len(states) >= 5:
        checks.append(few_oscillations(states, names))
    messages += [check.message for check in checks if check.message]
    return (*messages, *_collinear_terms(library, result, states))


def _collinear_terms(library: Polynomials, result: Discovery, states: np.ndarray) -> list[str]:
    """Collinear terms of equations with uncertain coefficients."""
    messages = []
    for column, variable in enumerate(library.variables):
        selected = np.flatnonzero(result.coefficients[:, column])
        if len(states) <= len(selected) or not len(selected):
            continue
        bound = UNCERTAIN * np.abs(result.coefficients[selected, column])
        uncertain = result.standard_error[selected, column] > bound
        names = [library.names[index] for index in selected]
        message = collinearity(library(states)[:, selected], names).message
        if message and uncertain.any():
            messages.append(f"in the equation of {variable}: {message}")
    return messages
