"""What a model says beside what was measured: errors, how far it foretells, and what it leaves over."""

from dataclasses import dataclass

import numpy as np

from workbench.diagnostics.model import Discovered
from workbench.diagnostics.runge_kutta import advance


@dataclass(frozen=True)
class SimulationErrors:
    """Errors of states against data, over the time that the simulation covers.

    rmse (D): in the unit of each variable; relative (D): over its standard deviation; total: the root mean square of
    those, NaN if nothing is covered. covered: the share of the times, the first one left out, as it is given.
    """

    rmse: np.ndarray
    relative: np.ndarray
    total: float
    covered: float


def simulation_errors(states: np.ndarray, data: np.ndarray) -> SimulationErrors:
    """Simulated states (T, D), NaN where there are none, against data (T, D) that were held out. Raises ValueError."""
    states, data, deviation = _compared(states, data)
    there = np.isfinite(states[1:]).all(axis=1)
    if not there.any():
        none = np.full(data.shape[1], np.nan)
        return SimulationErrors(none, none, float("nan"), 0.0)
    rmse = np.sqrt(np.mean((states - data)[1:][there] ** 2, axis=0))
    relative = rmse / deviation
    return SimulationErrors(rmse, relative, float(np.sqrt(np.mean(relative**2))), float(there.mean()))


@dataclass(frozen=True)
class Horizon:
    """How long a model foretells: `time`, and `lyapunov_times` if an exponent was given.

    whole: it never went astray, so that the true horizon is longer. variable: the column that went first, None if none.
    """

    time: float
    lyapunov_times: float | None
    whole: bool
    variable: int | None


def horizon(
    times: np.ndarray, states: np.ndarray, data: np.ndarray, *, fraction: float = 0.1, exponent: float | None = None
) -> Horizon:
    """Time until states (T, D) first differ from data (T, D) by more than `fraction` of a standard deviation.

    A missing (NaN) state counts as different. exponent: the largest Lyapunov exponent, per unit of time; one that is
    not positive gives no Lyapunov times. Raises ValueError for shapes that differ.
    """
    states, data, deviation = _compared(states, data)
    difference = np.where(np.isfinite(states), np.abs(states - data) / deviation, np.inf)
    astray = (difference > fraction).any(axis=1)
    whole = not astray.any()
    last = len(data) - 1 if whole else int(astray.argmax())
    time = float(times[last] - times[0])
    lyapunov_times = time * exponent if exponent is not None and exponent > 0 else None
    return Horizon(time, lyapunov_times, whole, None if whole else int(difference[last].argmax()))


@dataclass(frozen=True)
class Residuals:
    """What a model leaves over from one grid point to the next: values (N - 1, S) at times (N - 1), those of arrival.

    share (S): their root mean square over that of the change itself. correlation (S): of neighbours; noise alone gives
    -0.5, a missing term more than 0. message: names the variables with a correlation above CORRELATED, else empty.
    """

    times: np.ndarray
    values: np.ndarray
    share: np.ndarray
    correlation: np.ndarray
    message: str


CORRELATED = 0.3


def residuals(model: Discovered, times: np.ndarray, states: np.ndarray, *, substeps: int = 4) -> Residuals:
    """u(t_i+1) - Phi(u(t_i)) along states (N, S) at times (N), Phi the model over one step (`substeps` of order four).

    Raises ValueError for fewer than 3 states. Values that the model cannot compute are NaN.
    """
    states, times = model.check(states), np.asarray(times, dtype=float)
    if len(states) < 3 or len(states) != len(times):
        raise ValueError(f"states: expected at least 3, one per time, found {len(states)} at {len(times)} times")
    ahead, step, now = states[:-1], np.diff(times) / substeps, times[:-1]
    for part in range(substeps):
        ahead = advance(model.rates, now + part * step, ahead, step)
    values = states[1:] - ahead
    change = np.sqrt(np.mean(np.diff(states, axis=0) ** 2, axis=0))
    share = np.sqrt(np.nanmean(values**2, axis=0)) / np.where(change > 0, change, 1.0)
    correlation = np.nansum(values[1:] * values[:-1], axis=0) / np.maximum(np.nansum(values**2, axis=0), 1e-300)
    # below 1e-4 the residuals are rounding and the method's own error; a wrong equation also leaks into the others
    loud = (correlation > CORRELATED) & (share > max(1e-4, 0.2 * np.nanmax(share)))
    found = [name for name, flag in zip(model.library.inputs, loud, strict=True) if flag]
    message = f"what is left over of {', '.join(found)} is no noise: a term seems to be missing" if found else ""
    return Residuals(times[1:], values, share, correlation, message)


def _compared(states: np.ndarray, data: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both as arrays, and the standard deviation of the data, 1 where they are constant."""
    states, data = np.asarray(states, dtype=float), np.asarray(data, dtype=float)
    if states.shape != data.shape or data.ndim != 2 or len(data) < 2:
        raise ValueError(
            f"states: expected the shape of the data {data.shape}, two times or more, found {states.shape}"
        )
    deviation = data.std(axis=0)
    return states, data, np.where(deviation > 0, deviation, 1.0)
