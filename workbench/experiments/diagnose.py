"""A discovery judged for a person: the same for every experiment that finds equations."""

import numpy as np
import xarray as xr

from workbench import diagnostics
from workbench.diagnostics import Diagnostics, Discovered, Horizon
from workbench.discovery.engine.result import Discovery
from workbench.symbolic.library import Library

STARTS, STEPS, SETTLE = 50, 1000, 200
"""How the Lyapunov exponent is measured: see `diagnostics.lyapunov`."""


def judge(
    library: Library,
    coefficients: np.ndarray,
    trajectory: xr.Dataset,
    found: Discovery | None = None,
    exponent: float | None = None,
) -> Diagnostics:
    """Equations Xi (C, D) judged along a trajectory with `data` and `estimate`, and `truth` and `denoised` if known.

    found: what `Projection` found, with its front; without it there is none. exponent: the largest Lyapunov exponent,
    if it is known; else that of the equations is taken.
    """
    model = Discovered(library, coefficients)
    units = (*map(str, _units(trajectory)), *("" for _ in library.inputs[len(library.variables) :]))
    front, chosen = None, None
    if found is not None and len(found.errors):
        front, chosen = diagnostics.pareto(found.terms, found.errors), len(found.errors) - 1
    states, times = _along(library, trajectory, found)
    if len(states) < 3:
        return Diagnostics(library.inputs, units, front, chosen)
    step, starts = float(np.median(np.diff(times))), states if found is None else np.concatenate(found.states)
    starts = starts[np.isfinite(starts).all(axis=1)]
    with np.errstate(all="ignore"):
        left = diagnostics.residuals(model, times, states)
        rate = diagnostics.lyapunov(
            model, starts, step=step, time=float(times[0]), steps=STEPS, settle=SETTLE, most=STARTS
        )
    if exponent is None:
        exponent = rate.exponent if rate.chaotic else np.nan
    return Diagnostics(library.inputs, units, front, chosen, left, _horizon(trajectory, exponent), rate)


def _units(trajectory: xr.Dataset) -> list[str]:
    """Of every variable."""
    count = trajectory.sizes["variable"]
    if "unit" in trajectory.coords:
        return [str(unit) for unit in trajectory["unit"].values]
    return [str(trajectory["data"].attrs.get("units", "1"))] * count


def _along(library: Library, trajectory: xr.Dataset, found: Discovery | None) -> tuple[np.ndarray, np.ndarray]:
    """The states (N, S) that are judged, and their times: what was measured where that is all, else without the noise.

    What was measured says whether noise is all that is left over; order 2 also needs the derivatives.
    """
    states = trajectory["data"].values
    if found is not None and (library.order == 2 or not np.isfinite(states).all()):
        states = found.states[0][: trajectory.sizes["time"]]
    if states.shape[1] != len(library.inputs):
        return np.empty((0, len(library.inputs))), np.empty(0)
    there = np.isfinite(states).all(axis=1)
    return states[there], trajectory["time"].values[: len(states)][there]


def _horizon(trajectory: xr.Dataset, exponent: float) -> Horizon | None:
    """Against the truth, or else what was measured, without its noise if that is known."""
    beside = next((name for name in ("truth", "denoised", "data") if name in trajectory), None)
    if beside is None or "estimate" not in trajectory:
        return None
    known = trajectory[beside].values[:, : trajectory.sizes["variable"]]
    times, estimate = trajectory["time"].values, trajectory["estimate"].values
    begins = np.isfinite(estimate).all(axis=1)
    there = np.isfinite(known).all(axis=1) & (np.cumsum(begins) > 0)
    if there.sum() < 2:
        return None
    times, estimate = times[there], estimate[there]
    return diagnostics.horizon(times, estimate, known[there], exponent=None if np.isnan(exponent) else exponent)
