"""Autonomous first-order oscillators: Rössler and Van der Pol."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workbench.datasets.ode.system import System, Terms, parameter


@dataclass(frozen=True)
class Roessler(System):
    """x' = -y - z, y' = x + a y, z' = b + z (x - c).

    Source: O. E. Rössler, "An equation for continuous chaos", Physics Letters A 57 (1976).
    """

    title = "Rössler"
    summary = "A chaotic system with a single nonlinear term; seven terms in all."
    variables = ("x", "y", "z")
    start = (1.0, 1.0, 0.0)
    step, points = 0.02, 6000

    a: float = parameter(0.2, "Growth rate of the spiral.", 0.0, 0.4)
    b: float = parameter(0.2, "Constant inflow of z.", 0.01, 2.0)
    c: float = parameter(5.7, "Value of x above which z grows.", 2.0, 18.0)

    def rhs(self, t: float, state: np.ndarray) -> Sequence[float]:
        x, y, z = state.tolist()
        return -y - z, x + self.a * y, self.b + z * (x - self.c)

    def terms(self) -> Terms:
        return {"x": {"y": -1.0, "z": -1.0}, "y": {"x": 1.0, "y": self.a}, "z": {"1": self.b, "x*z": 1.0, "z": -self.c}}


@dataclass(frozen=True)
class VanDerPol(System):
    """x' = y, y' = mu (1 - x^2) y - x.

    Source: B. van der Pol, "On relaxation-oscillations", Philosophical Magazine 2 (1926).
    """

    title = "Van der Pol"
    summary = "A relaxation oscillation: damped at large amplitude, driven at small amplitude."
    variables = ("x", "y")
    start = (2.0, 0.0)
    step, points = 0.01, 5000
    degree = 3

    mu: float = parameter(2.0, "Strength of the nonlinear damping.", 0.1, 5.0)

    def rhs(self, t: float, state: np.ndarray) -> Sequence[float]:
        x, y = state.tolist()
        return y, self.mu * (1 - x**2) * y - x

    def terms(self) -> Terms:
        return {"x": {"y": 1.0}, "y": {"x": -1.0, "y": self.mu, "x^2*y": -self.mu}}
