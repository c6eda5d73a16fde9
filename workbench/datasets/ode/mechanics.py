"""Second-order mechanical systems: Duffing oscillator, damped pendulum and two bodies."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, pi, sin, sqrt
from typing import ClassVar

import numpy as np

from workbench.datasets.ode.system import System, Terms, parameter


@dataclass(frozen=True)
class Duffing(System):
    """x'' = -delta x' - alpha x - beta x^3 + gamma cos(omega t): a forced oscillator in a double well.

    Only x is observed; the frequency omega of the drive is known.
    Source: F. C. Moon, P. J. Holmes, "A magnetoelastic strange attractor", J. Sound and Vibration 65 (1979).
    """

    title = "Duffing"
    summary = "A chaotic forced oscillator in a double well: one second-order equation from the position alone."
    variables = ("x",)
    order = 2
    start = (1.0, 0.0)
    step, points = 0.02, 10_000
    degree = 3

    alpha: float = parameter(-1.0, "Linear stiffness; negative values give two wells.", -5.0, 5.0)
    beta: float = parameter(1.0, "Cubic stiffness.", 0.1, 5.0)
    delta: float = parameter(0.3, "Damping.", 0.0, 2.0)
    gamma: float = parameter(0.5, "Amplitude of the drive.", 0.0, 2.0)
    omega: float = parameter(1.2, "Angular frequency of the drive.", 0.1, 5.0, "radians per unit of time")

    @property
    def candidates(self) -> tuple[str, ...]:
        return f"cos({self.omega:.12g}*t)", f"sin({self.omega:.12g}*t)"

    def rhs(self, t: float, state: np.ndarray) -> Sequence[float]:
        x, v = state.tolist()
        return v, -self.delta * v - self.alpha * x - self.beta * x**3 + self.gamma * cos(self.omega * t)

    def terms(self) -> Terms:
        drive = {self.candidates[0]: self.gamma}
        return {"x": {"x": -self.alpha, "x'": -self.delta, "x^3": -self.beta, **drive}}


@dataclass(frozen=True)
class Pendulum(System):
    """theta'' = -(g / length) sin(theta) - damping theta', released from `angle` at rest; g = 9.81 m/s^2.

    Only the angle is observed. Source: any textbook of mechanics.
    """

    title = "Damped pendulum"
    summary = "A damped pendulum released nearly upright: one second-order equation from the angle alone."
    variables = ("theta",)
    unit, time_unit = "rad", "s"
    order = 2
    step, points = 0.01, 2000

    length: float = parameter(1.0, "Length of the pendulum.", 0.1, 10.0, "m")
    damping: float = parameter(0.2, "Damping.", 0.0, 2.0, "1/s")
    angle: float = parameter(3.0, "Initial angle; 0 is hanging down.", 0.1, 3.1, "rad")

    GRAVITY: ClassVar[float] = 9.81

    @property
    def start(self) -> tuple[float, ...]:
        return self.angle, 0.0

    @property
    def candidates(self) -> tuple[str, ...]:
        return "sin(theta)", "cos(theta)"

    def rhs(self, t: float, state: np.ndarray) -> Sequence[float]:
        theta, omega = state.tolist()
        return omega, -self.GRAVITY / self.length * sin(theta) - self.damping * omega

    def terms(self) -> Terms:
        return {"theta": {"sin(theta)": -self.GRAVITY / self.length, "theta'": -self.damping}}


@dataclass(frozen=True)
class TwoBody(System):
    """r_1'' = G m_2 (r_2 - r_1) / d^3, r_2'' = G m_1 (r_1 - r_2) / d^3, d = |r_2 - r_1|, r_i = (x_i, y_i).

    Two stars orbiting their centre of mass, semi-major axis 1 AU, starting at periapsis; G = 4 pi^2 AU^3/(yr^2 M), M
    the mass of the Sun. The library has central forces proportional to d^0, d^-1, d^-2 and d^-3.
    Source: I. Newton, "Principia" (1687); Pervez, Locatello, Gavves, "Mechanistic Neural Networks for Scientific
    Machine Learning", ICML 2024, for the experiment.
    """

    title = "Two bodies"
    summary = "A binary star: the force law from the first orbits, then a forecast over many more."
    variables = ("x1", "y1", "x2", "y2")
    unit, time_unit = "AU", "yr"
    order = 2
    step, points = 0.005, 3000
    degree = 0

    first: float = parameter(1.0, "Mass of the first star, in solar masses.", 0.1, 10.0, "solar masses")
    second: float = parameter(0.5, "Mass of the second star, in solar masses.", 0.1, 10.0, "solar masses")
    eccentricity: float = parameter(0.3, "Eccentricity of the orbits; 0 is a circle.", 0.0, 0.7)

    GRAVITY: ClassVar[float] = 4 * pi**2

    @property
    def period(self) -> float:
        """Orbital period in years."""
        return 1 / sqrt(self.first + self.second)

    @property
    def start(self) -> tuple[float, ...]:
        total = self.first + self.second
        distance = 1 - self.eccentricity
        speed = sqrt(self.GRAVITY * total * (1 + self.eccentricity) / distance)
        one, other = -self.second / total, self.first / total
        return one * distance, 0.0, other * distance, 0.0, 0.0, one * speed, 0.0, other * speed

    @property
    def candidates(self) -> tuple[str, ...]:
        return tuple(_central_force(axis, power) for power in range(4) for axis in "xy")

    def rhs(self, t: float, state: np.ndarray) -> Sequence[float]:
        separation = state[2:4] - state[:2]
        force = self.GRAVITY * separation / np.hypot(*separation) ** 3
        return np.concatenate([state[4:], self.second * force, -self.first * force])

    def terms(self) -> Terms:
        strengths = {"1": self.GRAVITY * self.second, "2": -self.GRAVITY * self.first}
        return {f"{axis}{body}": {_central_force(axis, 2): size} for body, size in strengths.items() for axis in "xy"}


def _central_force(axis: str, power: int) -> str:
    """A component of the unit vector from the first to the second body, divided by a power of the distance."""
    return f"({axis}2 - {axis}1)/((x2 - x1)^2 + (y2 - y1)^2)^{(power + 1) / 2:g}"
