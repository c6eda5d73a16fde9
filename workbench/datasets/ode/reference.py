"""Reference trajectories of ordinary differential equations."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.integrate import ode

from workbench._deprecated import moved_names

RightHandSide = Callable[[float, np.ndarray], Sequence[float]]


def reference(rhs: RightHandSide, start: Sequence[float], times: np.ndarray, tolerance: float = 1e-11) -> np.ndarray:
    """States (time, variable) of u' = rhs(t, u), u(times[0]) = start, by DOP853 stopping at every time.

    tolerance: relative and absolute. Raises ArithmeticError if the integration fails.
    Source: E. Hairer, S. P. Norsett, G. Wanner, "Solving Ordinary Differential Equations I" (through scipy).
    """
    solver = ode(rhs).set_integrator("dop853", rtol=tolerance, atol=tolerance, nsteps=10_000)
    solver.set_initial_value(start, times[0])
    states = [np.asarray(start, dtype=float)]
    for time in times[1:]:
        states.append(solver.integrate(time))
        if not solver.successful():
            raise ArithmeticError(f"DOP853 failed before time {time:g}")
    return np.stack(states)


__getattr__ = moved_names(
    __name__,
    {
        "guarded": "diagnostics.simulation:simulate_bounded",
    },
)
