"""A discovered model simulated: quickly where it can be, implicitly where it must be, and never past a blow-up."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.integrate import DOP853, OdeSolver, Radau

from workbench.diagnostics.model import Discovered

Ending = Literal["whole", "blow-up", "no value", "too costly"]

PATIENCE = 1000
"""Steps of DOP853 before it is asked whether stability, not accuracy, holds it back."""
LOOK = 50
"""Steps between two looks at that."""
LOOKS = 3
"""Looks in a row that make a problem stiff."""
STIFF = 3.0
"""Step times the fastest decay from which on stability holds DOP853 back, whose bound is about 6."""


@dataclass(frozen=True)
class Simulation:
    """states (T, S) at times (T); NaN after `reached`, the time to which the model could be followed.

    `stiff`: the implicit method took over. `message` says what happened, empty if nothing did.
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
    """The states at `times` (T), which increase, from `start` (S) at times[0], by DOP853, or by Radau if it is stiff.

    limit: the largest |state|, in units of the largest of |start| (1 if that is 0). tolerance: of each step, relative,
    and absolute in the same units. evaluations: of the right-hand side, in all; it bounds the time.
    Raises ValueError for a start or times that are none. A blow-up is an ending, not an error.
    Source: Hairer, Norsett, Wanner, "Solving Ordinary Differential Equations" I and II (through scipy).
    """
    start, times = model.check(start), np.asarray(times, dtype=float)
    if times.ndim != 1 or len(times) < 2 or not (np.diff(times) > 0).all():
        raise ValueError(f"times: expected at least 2 that increase, found {times.shape} of them or others")
    unit = float(np.abs(start).max()) or 1.0
    return _Run(model, start, times, tolerance, unit).finish(limit * unit, evaluations)


class _Run:
    """One simulation under way."""

    def __init__(self, model: Discovered, start: np.ndarray, times: np.ndarray, tolerance: float, unit: float) -> None:
        self._model, self._times = model, times
        self._accuracy = {"rtol": max(tolerance, 1e-13), "atol": tolerance * unit}
        self._states = np.full((len(times), len(start)), np.nan)
        self._states[0] = start
        self._filled = 1
        self._time, self._state = float(times[0]), start
        self._stiff_since: float | None = None

    def finish(self, limit: float, evaluations: int) -> Simulation:
        if not np.isfinite(self._model.rates(self._time, self._state)).all():
            return self._ended("no value", "the right-hand side has no value at the start")
        solver = DOP853(self._model.rates, self._time, self._state, self._times[-1], **self._accuracy)
        steps, looks, spent = 0, 0, 0
        while solver.status == "running":
            if not self._step(solver):
                return self._ended("no value", f"the right-hand side has no value beyond time {self._time:.6g}")
            if not np.abs(self._state).max() <= limit:
                name = self._model.library.inputs[int(np.abs(self._state).argmax())]
                return self._ended("blow-up", f"{name} exceeds {limit:.3g} at time {self._time:.6g}: a blow-up")
            if spent + solver.nfev > evaluations:
                words = f"stopped at time {self._time:.6g} after {evaluations} evaluations of the right-hand side"
                return self._ended("too costly", words)
            steps += 1
            if self._stiff_since is None and steps >= PATIENCE and steps % LOOK == 0:
                looks = looks + 1 if self._held_back(solver) else 0
                if looks == LOOKS:
                    spent, self._stiff_since = solver.nfev, self._time
                    solver = self._implicit()
        return self._ended("whole", "")

    def _step(self, solver: OdeSolver) -> bool:
        """One step, the states on its way filled in; whether there was one."""
        try:
            solver.step()
        except ValueError:  # Radau's way to say that the Jacobian is not finite
            return False
        if solver.status == "failed" or not np.isfinite(solver.y).all():
            return False
        self._time, self._state = float(solver.t), solver.y
        stop = int(np.searchsorted(self._times, self._time, side="right"))
        if stop > self._filled:
            self._states[self._filled : stop] = solver.dense_output()(self._times[self._filled : stop]).T
            self._filled = stop
        return True

    def _held_back(self, solver: OdeSolver) -> bool:
        slopes = self._model.rates.tangent(self._time, self._state)
        return bool(np.isfinite(slopes).all() and -np.linalg.eigvals(slopes).real.min() * solver.step_size > STIFF)

    def _implicit(self) -> OdeSolver:
        rates = self._model.rates
        return Radau(rates, self._time, self._state, self._times[-1], jac=rates.tangent, **self._accuracy)

    def _ended(self, ending: Ending, words: str) -> Simulation:
        stiff = self._stiff_since is not None
        told = [f"stiff: DOP853 gave way to Radau at time {self._stiff_since:.6g}"] if stiff else []
        message = "; ".join([*told, *([words] if words else [])])
        return Simulation(self._times, self._states, self._time, ending, stiff, message)
