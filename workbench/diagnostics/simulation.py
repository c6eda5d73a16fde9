"""Simulation of discovered models, with an implicit method for stiff ones, and detection of blow-up."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.integrate import DOP853, OdeSolver, Radau, odeint

from workbench.diagnostics.model import Discovered

Ending = Literal["whole", "blow-up", "no value", "too costly"]

MIN_STEPS = 1000
"""Steps of DOP853 before the stiffness test starts."""
TEST_INTERVAL = 50
"""Steps between two stiffness tests."""
POSITIVE_TESTS = 3
"""Consecutive positive tests that make a problem stiff."""
STABILITY_LIMIT = 3.0
"""Step times fastest decay rate above which stability limits the step of DOP853; its stability bound is about 6."""


@dataclass(frozen=True)
class Simulation:
    """states (T, S) at times (T), NaN after `reached`, the last time reached.

    stiff: whether the implicit method was used. message: reason of an early end or a switch of method, else empty.
    """

    times: np.ndarray
    states: np.ndarray
    reached: float
    ending: Ending
    stiff: bool
    message: str


def simulate(
    model: Discovered,
    start: Sequence[float],
    times: np.ndarray,
    *,
    limit: float = 1e6,
    tolerance: float = 1e-10,
    evaluations: int = 400_000,
) -> Simulation:
    """States at increasing `times` (T) from `start` (S) at times[0], by DOP853, or by Radau if the model is stiff.

    limit: bound of |state| in units of the largest |start| (1 if that is 0). tolerance: relative tolerance per step,
    and absolute tolerance in the same units. evaluations: maximum number of evaluations of the right-hand side.
    A blow-up ends the simulation without an error. Raises ValueError for an invalid start or times.
    Source: Hairer, Norsett, Wanner, "Solving Ordinary Differential Equations" I and II (through scipy).
    """
    start, times = model.check(start), np.asarray(times, dtype=float)
    if times.ndim != 1 or len(times) < 2 or not (np.diff(times) > 0).all():
        raise ValueError(f"times: expected at least 2, strictly increasing, found shape {times.shape}")
    unit = float(np.abs(start).max()) or 1.0
    return _Integration(model, start, times, tolerance, unit).run(limit * unit, evaluations)


class _Integration:
    """State of one simulation."""

    def __init__(self, model: Discovered, start: np.ndarray, times: np.ndarray, tolerance: float, unit: float) -> None:
        self._model, self._times = model, times
        self._accuracy = {"rtol": max(tolerance, 1e-13), "atol": tolerance * unit}
        self._states = np.full((len(times), len(start)), np.nan)
        self._states[0] = start
        self._filled = 1
        self._time, self._state = float(times[0]), start
        self._stiff_since: float | None = None

    def run(self, limit: float, evaluations: int) -> Simulation:
        if not np.isfinite(self._model.rates(self._time, self._state)).all():
            return self._result("no value", "the right-hand side is undefined at the start")
        solver = DOP853(self._model.rates, self._time, self._state, self._times[-1], **self._accuracy)
        steps, positive, spent = 0, 0, 0
        while solver.status == "running":
            if not self._step(solver):
                return self._result("no value", f"the right-hand side is undefined beyond time {self._time:.6g}")
            if not np.abs(self._state).max() <= limit:
                name = self._model.library.inputs[int(np.abs(self._state).argmax())]
                return self._result("blow-up", f"{name} exceeds {limit:.3g} at time {self._time:.6g}: a blow-up")
            if spent + solver.nfev > evaluations:
                message = f"stopped at time {self._time:.6g} after {evaluations} evaluations of the right-hand side"
                return self._result("too costly", message)
            steps += 1
            if self._stiff_since is None and steps >= MIN_STEPS and steps % TEST_INTERVAL == 0:
                positive = positive + 1 if self._is_limited_by_stability(solver) else 0
                if positive == POSITIVE_TESTS:
                    spent, self._stiff_since = solver.nfev, self._time
                    solver = self._implicit()
        return self._result("whole", "")

    def _step(self, solver: OdeSolver) -> bool:
        """Take one step and interpolate the states within it; False if it fails."""
        try:
            solver.step()
        except ValueError:  # raised by Radau for a non-finite Jacobian
            return False
        if solver.status == "failed" or not np.isfinite(solver.y).all():
            return False
        self._time, self._state = float(solver.t), solver.y
        stop = int(np.searchsorted(self._times, self._time, side="right"))
        if stop > self._filled:
            self._states[self._filled : stop] = solver.dense_output()(self._times[self._filled : stop]).T
            self._filled = stop
        return True

    def _is_limited_by_stability(self, solver: OdeSolver) -> bool:
        jacobian = self._model.rates.jacobian(self._time, self._state)
        if not np.isfinite(jacobian).all():
            return False
        return bool(-np.linalg.eigvals(jacobian).real.min() * solver.step_size > STABILITY_LIMIT)

    def _implicit(self) -> OdeSolver:
        rates = self._model.rates
        return Radau(rates, self._time, self._state, self._times[-1], jac=rates.jacobian, **self._accuracy)

    def _result(self, ending: Ending, message: str) -> Simulation:
        stiff = self._stiff_since is not None
        parts = [f"stiff: switched from DOP853 to Radau at time {self._stiff_since:.6g}"] if stiff else []
        message = "; ".join([*parts, *([message] if message else [])])
        return Simulation(self._times, self._states, self._time, ending, stiff, message)


def simulate_bounded(
    rhs: Callable[[float, np.ndarray], Sequence[float]],
    start: Sequence[float],
    times: np.ndarray,
    *,
    limit: float,
    evaluations: int = 40_000,
) -> np.ndarray:
    """States (T, S) of u' = rhs(t, u) from `start` at times[0]; NaN after a blow-up or too many evaluations.

    limit: bound of |state|. evaluations: maximum number of evaluations of rhs. Integrated by LSODA with tolerance 1e-9,
    piecewise, so that a failure keeps the states before it.
    """
    states = np.full((len(times), len(start)), np.nan)
    states[0] = start
    remaining = evaluations

    def counted(time: float, state: np.ndarray) -> Sequence[float]:
        nonlocal remaining
        remaining -= 1
        # the comparison is false for NaN too
        if remaining < 0 or not np.abs(state).max() <= limit:
            raise _Stop
        return rhs(time, state)

    piece = 100
    for first in range(0, len(times) - 1, piece):
        stop = min(first + piece, len(times) - 1)
        try:
            solution = odeint(
                counted, states[first], times[first : stop + 1], tfirst=True, rtol=1e-9, atol=1e-9, mxstep=evaluations
            )
        except _Stop:
            break
        states[first + 1 : stop + 1] = solution[1:]
    return states


class _Stop(Exception):
    """Ends an integration."""
