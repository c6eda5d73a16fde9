"""Diagnostics of discovered equations, shared by all experiments that discover equations."""

import numpy as np
import xarray as xr

from workbench import diagnostics
from workbench.diagnostics import Diagnostics, Discovered, Horizon
from workbench.discovery.engine.result import Discovery
from workbench.symbolic.library import Library

STARTS, STEPS, SETTLE = 50, 1000, 200
"""Initial states, steps and discarded steps of the Lyapunov exponent, see `diagnostics.lyapunov`."""


def diagnose(
    library: Library,
    coefficients: np.ndarray,
    trajectory: xr.Dataset,
    result: Discovery | None = None,
    exponent: float | None = None,
) -> Diagnostics:
    """Evaluate equations Xi (C, D) along a trajectory with `data` and `estimate`, and `truth` and `denoised` if known.

    result: the `Projection` result with its Pareto front; None: no front. exponent: the known largest Lyapunov
    exponent; None: that of the equations.
    """
    model = Discovered(library, coefficients)
    units = (*map(str, _units(trajectory)), *("" for _ in library.inputs[len(library.variables) :]))
    front, chosen = None, None
    if result is not None and len(result.errors):
        front, chosen = diagnostics.pareto(result.terms, result.errors), len(result.errors) - 1
    states, times = _states(library, trajectory, result)
    if len(states) < 3:
        return Diagnostics(library.inputs, units, front, chosen)
    step, starts = float(np.median(np.diff(times))), states if result is None else np.concatenate(result.states)
    starts = starts[np.isfinite(starts).all(axis=1)]
    with np.errstate(all="ignore"):
        residuals = diagnostics.residuals(model, times, states)
        lyapunov = diagnostics.lyapunov(
            model, starts, step=step, time=float(times[0]), steps=STEPS, settle=SETTLE, most=STARTS
        )
    if exponent is None:
        exponent = lyapunov.exponent if lyapunov.chaotic else np.nan
    return Diagnostics(library.inputs, units, front, chosen, residuals, _horizon(trajectory, exponent), lyapunov)


def _units(trajectory: xr.Dataset) -> list[str]:
    """Unit of each variable."""
    count = trajectory.sizes["variable"]
    if "unit" in trajectory.coords:
        return [str(unit) for unit in trajectory["unit"].values]
    return [str(trajectory["data"].attrs.get("units", "1"))] * count


def _states(library: Library, trajectory: xr.Dataset, result: Discovery | None) -> tuple[np.ndarray, np.ndarray]:
    """States (N, S) for the residuals, and their times: the measurements if complete, else the denoised states.

    Residuals of the measurements show whether only noise remains; order 2 also needs the derivatives.
    """
    states = trajectory["data"].values
    if result is not None and (library.order == 2 or not np.isfinite(states).all()):
        states = result.states[0][: trajectory.sizes["time"]]
    if states.shape[1] != len(library.inputs):
        return np.empty((0, len(library.inputs))), np.empty(0)
    finite = np.isfinite(states).all(axis=1)
    return states[finite], trajectory["time"].values[: len(states)][finite]


def _horizon(trajectory: xr.Dataset, exponent: float) -> Horizon | None:
    """Prediction horizon against the truth if known, else the denoised states if known, else the data."""
    name = next((name for name in ("truth", "denoised", "data") if name in trajectory), None)
    if name is None or "estimate" not in trajectory:
        return None
    reference = trajectory[name].values[:, : trajectory.sizes["variable"]]
    times, estimate = trajectory["time"].values, trajectory["estimate"].values
    started = np.cumsum(np.isfinite(estimate).all(axis=1)) > 0
    valid = np.isfinite(reference).all(axis=1) & started
    if valid.sum() < 2:
        return None
    exponent = None if np.isnan(exponent) else exponent
    return diagnostics.horizon(times[valid], estimate[valid], reference[valid], exponent=exponent)
