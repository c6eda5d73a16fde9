"""Trajectories of ordinary differential equations by scipy."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.integrate import ode, odeint

RightHandSide = Callable[[float, np.ndarray], Sequence[float]]


def reference(rhs: RightHandSide, start: Sequence[float], times: np.ndarray, tolerance: float = 1e-11) -> np.ndarray:
    """States (time, variable) of u' = rhs(t, u) from `start` at times[0], by DOP853 stopping at every time.

    Raises ArithmeticError if the integrator gives up. Source: Hairer, Norsett, Wanner, Solving ODEs I (through scipy).
    """
    solver = ode(rhs).set_integrator("dop853", rtol=tolerance, atol=tolerance, nsteps=10_000)
    solver.set_initial_value(start, times[0])
    states = [np.asarray(start, dtype=float)]
    for time in times[1:]:
        states.append(solver.integrate(time))
        if not solver.successful():
            raise ArithmeticError(f"DOP853 gave up before time {time:g}")
    return np.stack(states)


def guarded(
    rhs: RightHandSide, start: Sequence[float], times: np.ndarray, *, limit: float, evaluations: int = 40_000
) -> np.ndarray:
    """As `reference`, for equations that nobody has checked: NaN from where they blow up or become too costly.

    limit: the largest |state| that is still followed. evaluations: of rhs, in all; it bounds the time.
    By LSODA at tolerance 1e-9, in pieces, so that a failure leaves what came before.
    """
    states = np.full((len(times), len(start)), np.nan)
    states[0] = start
    left = evaluations

    def counted(time: float, state: np.ndarray) -> Sequence[float]:
        nonlocal left
        left -= 1
        # the comparison is false for NaN too
        if left < 0 or not np.abs(state).max() <= limit:
            raise _Stop
        return rhs(time, state)

    piece = 100
    for first in range(0, len(times) - 1, piece):
        stop = min(first + piece, len(times) - 1)
        try:
            found = odeint(
                counted, states[first], times[first : stop + 1], tfirst=True, rtol=1e-9, atol=1e-9, mxstep=evaluations
            )
        except _Stop:
            break
        states[first + 1 : stop + 1] = found[1:]
    return states


class _Stop(Exception):
    """Ends an integration."""
