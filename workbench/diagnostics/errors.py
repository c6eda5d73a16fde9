"""Simulation errors, prediction horizon and one-step residuals."""

from dataclasses import dataclass

import numpy as np

from workbench.diagnostics.model import Discovered
from workbench.diagnostics.runge_kutta import advance


@dataclass(frozen=True)
class SimulationErrors:
    """Errors of a simulation over the grid points that it covers, without the first.

    rmse (D): root mean square error in the unit of each variable. relative (D): the same over the standard deviation
    of the variable. total: root mean square of `relative`, NaN if no grid point is covered. covered: fraction of the
    grid points that the simulation covers.
    """

    rmse: np.ndarray
    relative: np.ndarray
    total: float
    covered: float


def simulation_errors(states: np.ndarray, data: np.ndarray) -> SimulationErrors:
    """Errors of simulated states (T, D), NaN where missing, against held-out data (T, D).

    Raises ValueError for different shapes.
    """
    states, data, scale = _validate(states, data)
    finite = np.isfinite(states[1:]).all(axis=1)
    if not finite.any():
        nan = np.full(data.shape[1], np.nan)
        return SimulationErrors(nan, nan, float("nan"), 0.0)
    rmse = np.sqrt(np.mean((states - data)[1:][finite] ** 2, axis=0))
    relative = rmse / scale
    return SimulationErrors(rmse, relative, float(np.sqrt(np.mean(relative**2))), float(finite.mean()))


@dataclass(frozen=True)
class Horizon:
    """Prediction horizon: `time`, and `lyapunov_times` if an exponent was given.

    whole: the error bound holds on the whole data set, so that the horizon is a lower bound. variable: index of the
    variable that exceeds the bound first, None if none does.
    """

    time: float
    lyapunov_times: float | None
    whole: bool
    variable: int | None


def horizon(
    times: np.ndarray, states: np.ndarray, data: np.ndarray, *, fraction: float = 0.1, exponent: float | None = None
) -> Horizon:
    """Time until states (T, D) first differ from data (T, D) by more than `fraction` of a standard deviation.

    A missing (NaN) state exceeds the bound. exponent: largest Lyapunov exponent per unit of time; without a positive
    one there are no Lyapunov times. Raises ValueError for different shapes.
    """
    states, data, scale = _validate(states, data)
    difference = np.where(np.isfinite(states), np.abs(states - data) / scale, np.inf)
    exceeded = (difference > fraction).any(axis=1)
    whole = not exceeded.any()
    last = len(data) - 1 if whole else int(exceeded.argmax())
    time = float(times[last] - times[0])
    lyapunov_times = time * exponent if exponent is not None and exponent > 0 else None
    return Horizon(time, lyapunov_times, whole, None if whole else int(difference[last].argmax()))


@dataclass(frozen=True)
class Residuals:
    """One-step residuals: values (N - 1, S) at times (N - 1), the end of each step.

    share (S): root mean square of the residuals over that of the change per step. correlation (S): lag-one
    autocorrelation; white measurement noise gives -0.5, a missing term a positive value. message: names the variables
    with a correlation above CORRELATED, else empty.
    """

    times: np.ndarray
    values: np.ndarray
    share: np.ndarray
    correlation: np.ndarray
    message: str


CORRELATED = 0.3
"""Lag-one autocorrelation above which a term seems to be missing."""


def residuals(model: Discovered, times: np.ndarray, states: np.ndarray, *, substeps: int = 4) -> Residuals:
    """u(t_{i+1}) - Phi(u(t_i)) along states (N, S) at times (N), where Phi is one step of the model.

    Each step consists of `substeps` of the classical Runge-Kutta method. Residuals are NaN where the model is
    undefined. Raises ValueError for fewer than 3 states or another number of times.
    """
    states, times = model.check(states), np.asarray(times, dtype=float)
    if len(states) < 3 or len(states) != len(times):
        raise ValueError(f"states: expected at least 3, one per time, found {len(states)} at {len(times)} times")
    predicted, step, start = states[:-1], np.diff(times) / substeps, times[:-1]
    for part in range(substeps):
        predicted = advance(model.rates, start + part * step, predicted, step)
    values = states[1:] - predicted
    change = np.sqrt(np.mean(np.diff(states, axis=0) ** 2, axis=0))
    share = np.sqrt(np.nanmean(values**2, axis=0)) / np.where(change > 0, change, 1.0)
    correlation = np.nansum(values[1:] * values[:-1], axis=0) / np.maximum(np.nansum(values**2, axis=0), 1e-300)
    # below 1e-4 residuals are rounding and truncation; a wrong equation also affects the other variables
    significant = (correlation > CORRELATED) & (share > max(1e-4, 0.2 * np.nanmax(share)))
    names = [name for name, flag in zip(model.library.inputs, significant, strict=True) if flag]
    message = f"the residuals of {', '.join(names)} are autocorrelated: a term seems to be missing" if names else ""
    return Residuals(times[1:], values, share, correlation, message)


def _validate(states: np.ndarray, data: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both arrays, and the standard deviation (D) of the data, 1 where they are constant."""
    states, data = np.asarray(states, dtype=float), np.asarray(data, dtype=float)
    if states.shape != data.shape or data.ndim != 2 or len(data) < 2:
        raise ValueError(
            f"states: expected the shape of the data {data.shape} with at least two times, found {states.shape}"
        )
    deviation = data.std(axis=0)
    return states, data, np.where(deviation > 0, deviation, 1.0)
