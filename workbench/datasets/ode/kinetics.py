"""Population, nerve and reaction kinetics: Lotka-Volterra, FitzHugh-Nagumo and the Oregonator."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workbench.datasets.ode.system import System, Terms, parameter


@dataclass(frozen=True)
class LotkaVolterra(System):
    """hares' = a hares - b hares lynx, lynx' = -c lynx + d hares lynx; in thousands of pelts, per year.

    The parameters are close to a fit to the trade of the Hudson's Bay Company, 1900 to 1920.
    Source: V. Volterra, "Fluctuations in the abundance of a species considered mathematically", Nature 118 (1926); B.
    Carpenter, "Predator-prey population dynamics: the Lotka-Volterra model in Stan" (2018), for the fit.
    """

    title = "Lotka-Volterra"
    summary = "Predator-prey dynamics of hares and lynx, in thousands and years."
    variables = ("hares", "lynx")
    unit, time_unit = "thousand", "yr"
    start = (34.0, 5.9)
    step, points = 0.02, 5000

    a: float = parameter(0.55, "Growth rate of the hares.", 0.1, 2.0, "1/yr")
    b: float = parameter(0.028, "Predation rate of the hares per thousand lynx.", 0.001, 0.2, "1/(thousand yr)")
    c: float = parameter(0.80, "Death rate of the lynx.", 0.1, 2.0, "1/yr")
    d: float = parameter(0.024, "Growth rate of the lynx per thousand hares.", 0.001, 0.2, "1/(thousand yr)")

    def rhs(self, t: float, state: np.ndarray) -> Sequence[float]:
        hares, lynx = state.tolist()
        return hares * (self.a - self.b * lynx), lynx * (self.d * hares - self.c)

    def terms(self) -> Terms:
        return {"hares": {"hares": self.a, "hares*lynx": -self.b}, "lynx": {"lynx": -self.c, "hares*lynx": self.d}}


@dataclass(frozen=True)
class FitzHughNagumo(System):
    """v' = v - v^3 / 3 - w + I, w' = (v + a - b w) / tau: a periodically firing nerve cell.

    Source: R. FitzHugh, "Impulses and physiological states in theoretical models of nerve membrane", Biophysical
    Journal 1 (1961).
    """

    title = "FitzHugh-Nagumo"
    summary = "A periodically firing nerve cell: a fast voltage v and a slow recovery variable w."
    variables = ("v", "w")
    start = (-1.0, 1.0)
    step, points = 0.05, 5000
    degree = 3

    current: float = parameter(0.5, "Current I into the cell.", 0.0, 1.5)
    a: float = parameter(0.7, "Offset of the recovery variable.", 0.0, 1.0)
    b: float = parameter(0.8, "Damping of the recovery variable.", 0.0, 1.0)
    tau: float = parameter(12.5, "Time scale of the recovery variable over that of the voltage.", 1.0, 50.0)

    def rhs(self, t: float, state: np.ndarray) -> Sequence[float]:
        v, w = state.tolist()
        return v - v**3 / 3 - w + self.current, (v + self.a - self.b * w) / self.tau

    def terms(self) -> Terms:
        return {
            "v": {"1": self.current, "v": 1.0, "w": -1.0, "v^3": -1 / 3},
            "w": {"1": self.a / self.tau, "v": 1 / self.tau, "w": -self.b / self.tau},
        }


@dataclass(frozen=True)
class Oregonator(System):
    """x' = (q y - x y + x (1 - x)) / eps, y' = (-q y - x y + f z) / delta, z' = x - z: a stiff clock reaction.

    Scaled concentrations: x bromous acid, y bromide, z oxidised catalyst. y relaxes within delta / x, five thousand
    times faster than a cycle.
    Source: R. J. Field, R. M. Noyes, J. Chem. Phys. 60 (1974); J. J. Tyson, "Scaling and reducing
    the Field-Körös-Noyes mechanism of the Belousov-Zhabotinskii reaction", J. Phys. Chem. 86 (1982), for the scaling.
    """

    title = "Oregonator"
    summary = "A stiff chemical clock: relaxation oscillations with rates from 1 to 2,500."
    variables = ("x", "y", "z")
    start = (0.5, 0.5, 0.3)
    step, points = 0.004, 5000
    stiff = True

    eps: float = parameter(0.04, "Time scale of x.", 0.02, 0.2)
    delta: float = parameter(4e-4, "Time scale of y.", 2e-4, 0.01)
    q: float = parameter(8e-4, "Rate of y producing x, relative to its removal.", 5e-4, 0.01)
    f: float = parameter(1.0, "Stoichiometric factor: y released per z.", 0.6, 1.8)

    def rhs(self, t: float, state: np.ndarray) -> Sequence[float]:
        x, y, z = state.tolist()
        return (
            (self.q * y - x * y + x * (1 - x)) / self.eps,
            (-self.q * y - x * y + self.f * z) / self.delta,
            x - z,
        )

    def terms(self) -> Terms:
        return {
            "x": {"x": 1 / self.eps, "y": self.q / self.eps, "x^2": -1 / self.eps, "x*y": -1 / self.eps},
            "y": {"y": -self.q / self.delta, "z": self.f / self.delta, "x*y": -1 / self.delta},
            "z": {"x": 1.0, "z": -1.0},
        }
