"""Six linear systems y' = A y + b with closed forms, for tests of the solver.

Dimensionless. Source: the standalone example of "Scalable Mechanistic Neural Networks", ICLR 2025.
"""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy.linalg import expm

from workbench.datasets.ode.dataset import simulated


@dataclass(frozen=True)
class LinearSystem:
    """y' = A y + b from y(0) = start."""

    title: str
    equation: str
    A: tuple[tuple[float, ...], ...]
    b: tuple[float, ...]
    start: tuple[float, ...]

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the variables: y, or y1, y2, ..."""
        return ("y",) if len(self.b) == 1 else tuple(f"y{i + 1}" for i in range(len(self.b)))


SYSTEMS = {
    "rc": LinearSystem("RC circuit", "c2 y' + y / c1 = c0", ((-1 / (1.2 * 2.31),),), (0.7 / 2.31,), (10.0,)),
    "population": LinearSystem("Population growth", "y' = c y", ((0.23,),), (0.0,), (4.78,)),
    "language": LinearSystem("Language death", "y' + (c0 + c1) y = c0", ((-0.6,),), (0.32,), (0.14,)),
    "harmonic": LinearSystem(
        "Harmonic oscillator", "y1' = y2, y2' = -c y1", ((0.0, 1.0), (-2.1, 0.0)), (0.0, 0.0), (0.4, -0.03)
    ),
    "damped": LinearSystem(
        "Damped harmonic oscillator",
        "y1' = y2, y2' = -c0 y1 - c1 y2",
        ((0.0, 1.0), (-4.5, -0.43)),
        (0.0, 0.0),
        (0.12, 0.043),
    ),
    "third": LinearSystem(
        "Third order",
        "y1' = y2, y2' = y3, y3' = -y2 - y3",
        ((0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (0.0, -1.0, -1.0)),
        (0.0, 0.0, 0.0),
        (0.0, -1.0, 1.0),
    ),
}


def exact(system: LinearSystem, times: np.ndarray) -> np.ndarray:
    """y (time, variable) by the exponential of [[A, b], [0, 0]] t."""
    n = len(system.b)
    generator = np.zeros((n + 1, n + 1))
    generator[:n, :n], generator[:n, n] = system.A, system.b
    start = np.append(system.start, 1.0)
    return np.stack([(expm(generator * time) @ start)[:n] for time in times])


def simulate(name: str, *, points: int, step: float) -> xr.Dataset:
    """A record of a system of `SYSTEMS`: `truth` and `data`, both the closed form, over (time, variable)."""
    system, time = SYSTEMS[name], step * np.arange(points)
    states = exact(system, time)
    arrays = {"truth": (states, "closed form"), "data": (states.copy(), "closed form")}
    return simulated(time, system.variables, arrays, {"title": system.title, "source": "matrix exponential"})
