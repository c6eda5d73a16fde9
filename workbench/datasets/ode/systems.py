"""Known systems, each a short class whose docstring is its equation and whose fields are its parameters.

    record = simulate(Roessler(c=9.0), points=5000, step=0.02, noise=0.01, seed=0)

A new one is a class here, a line in `SYSTEMS`, and a card; page, command line, tests and benchmark find it there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import lru_cache
from math import cos, pi, sin, sqrt
from typing import Any, ClassVar

import numpy as np
import xarray as xr
from scipy.integrate import solve_ivp

from workbench.datasets.ode.reference import reference
from workbench.datasets.schema import check

Terms = Mapping[str, Mapping[str, float]]


def parameter(value: float, text: str, low: float, high: float, unit: str = "") -> Any:
    """A field of a system: its value, one sentence for the person who changes it, the least and largest, its unit."""
    return field(default=value, metadata={"text": text, "low": low, "high": high, "unit": unit})


@dataclass(frozen=True)
class System:
    """x' = f(t, x), or x'' = f(t, x, x') for `order` 2; a state holds the variables, then for order 2 the derivatives.

    unit, time_unit: of every variable and of time ("1": dimensionless). step, points: sampling that shows all the
    system does. degree, `candidates`: of a library that holds every true term and many false ones. stiff: an implicit
    method is needed.
    """

    title: ClassVar[str]
    summary: ClassVar[str]
    variables: ClassVar[tuple[str, ...]]
    unit: ClassVar[str] = "1"
    time_unit: ClassVar[str] = "1"
    order: ClassVar[int] = 1
    step: ClassVar[float]
    points: ClassVar[int]
    degree: ClassVar[int] = 2
    stiff: ClassVar[bool] = False

    @property
    def start(self) -> tuple[float, ...]:
        """The state at time 0."""
        raise NotImplementedError

    @property
    def candidates(self) -> tuple[str, ...]:
        """What the library holds besides polynomials, as expressions."""
        return ()

    def rates(self, t: float, state: np.ndarray) -> Sequence[float]:
        """The derivative of the state."""
        raise NotImplementedError

    def terms(self) -> Terms:
        """{variable: {expression: coefficient}}, the same equations as `rates` says."""
        raise NotImplementedError


@dataclass(frozen=True)
class Roessler(System):
    """x' = -y - z, y' = x + a y, z' = b + z (x - c).

    Source: O. E. Rössler, "An equation for continuous chaos", Physics Letters A 57 (1976).
    """

    title = "Rössler"
    summary = "A chaotic flow with a single nonlinear term: seven terms to be found."
    variables = ("x", "y", "z")
    start = (1.0, 1.0, 0.0)
    step, points = 0.02, 6000

    a: float = parameter(0.2, "Growth of the spiral.", 0.0, 0.4)
    b: float = parameter(0.2, "Constant inflow of z.", 0.01, 2.0)
    c: float = parameter(5.7, "Value of x beyond which z grows.", 2.0, 18.0)

    def rates(self, t: float, state: np.ndarray) -> Sequence[float]:
        x, y, z = state.tolist()
        return -y - z, x + self.a * y, self.b + z * (x - self.c)

    def terms(self) -> Terms:
        return {"x": {"y": -1.0, "z": -1.0}, "y": {"x": 1.0, "y": self.a}, "z": {"1": self.b, "x*z": 1.0, "z": -self.c}}


@dataclass(frozen=True)
class LotkaVolterra(System):
    """hares' = a hares - b hares lynx, lynx' = -c lynx + d hares lynx; in thousands of pelts, per year.

    The parameters are near those that were fitted to the trade of the Hudson's Bay Company, 1900 to 1920.
    Source: V. Volterra, "Fluctuations in the abundance of a species considered mathematically", Nature 118 (1926); B.
    Carpenter, "Predator-prey population dynamics: the Lotka-Volterra model in Stan" (2018), for the fit.
    """

    title = "Lotka-Volterra"
    summary = "Hares and lynx over forty years: who feeds on whom, and how fast, in thousands and years."
    variables = ("hares", "lynx")
    unit, time_unit = "thousand", "yr"
    start = (34.0, 5.9)
    step, points = 0.02, 5000

    a: float = parameter(0.55, "Growth of the hares.", 0.1, 2.0, "1/yr")
    b: float = parameter(0.028, "Hares lost per thousand lynx.", 0.001, 0.2, "1/(thousand yr)")
    c: float = parameter(0.80, "Decline of the lynx.", 0.1, 2.0, "1/yr")
    d: float = parameter(0.024, "Lynx gained per thousand hares.", 0.001, 0.2, "1/(thousand yr)")

    def rates(self, t: float, state: np.ndarray) -> Sequence[float]:
        hares, lynx = state.tolist()
        return hares * (self.a - self.b * lynx), lynx * (self.d * hares - self.c)

    def terms(self) -> Terms:
        return {"hares": {"hares": self.a, "hares*lynx": -self.b}, "lynx": {"lynx": -self.c, "hares*lynx": self.d}}


@dataclass(frozen=True)
class VanDerPol(System):
    """x' = y, y' = mu (1 - x^2) y - x.

    Source: B. van der Pol, "On relaxation-oscillations", Philosophical Magazine 2 (1926).
    """

    title = "Van der Pol"
    summary = "A relaxation oscillation: damped where it is large, driven where it is small."
    variables = ("x", "y")
    start = (2.0, 0.0)
    step, points = 0.01, 5000
    degree = 3

    mu: float = parameter(2.0, "Strength of the nonlinear damping.", 0.1, 5.0)

    def rates(self, t: float, state: np.ndarray) -> Sequence[float]:
        x, y = state.tolist()
        return y, self.mu * (1 - x**2) * y - x

    def terms(self) -> Terms:
        return {"x": {"y": 1.0}, "y": {"x": -1.0, "y": self.mu, "x^2*y": -self.mu}}


@dataclass(frozen=True)
class Duffing(System):
    """x'' = -delta x' - alpha x - beta x^3 + gamma cos(omega t): a forced oscillator in a double well, of second order.

    Only x is recorded; the frequency omega of the drive is known, as its maker knows it.
    Source: F. C. Moon, P. J. Holmes, "A magnetoelastic strange attractor", J. Sound and Vibration 65 (1979).
    """

    title = "Duffing"
    summary = "A forced oscillator in a double well, chaotic: one equation of second order, from its position alone."
    variables = ("x",)
    order = 2
    start = (1.0, 0.0)
    step, points = 0.02, 10_000
    degree = 3

    alpha: float = parameter(-1.0, "Linear stiffness; negative makes two wells.", -5.0, 5.0)
    beta: float = parameter(1.0, "Cubic stiffness.", 0.1, 5.0)
    delta: float = parameter(0.3, "Damping.", 0.0, 2.0)
    gamma: float = parameter(0.5, "Strength of the drive.", 0.0, 2.0)
    omega: float = parameter(1.2, "Frequency of the drive.", 0.1, 5.0, "radians per unit of time")

    @property
    def candidates(self) -> tuple[str, ...]:
        return f"cos({self.omega:.12g}*t)", f"sin({self.omega:.12g}*t)"

    def rates(self, t: float, state: np.ndarray) -> Sequence[float]:
        x, v = state.tolist()
        return v, -self.delta * v - self.alpha * x - self.beta * x**3 + self.gamma * cos(self.omega * t)

    def terms(self) -> Terms:
        drive = {self.candidates[0]: self.gamma}
        return {"x": {"x": -self.alpha, "x'": -self.delta, "x^3": -self.beta, **drive}}


@dataclass(frozen=True)
class FitzHughNagumo(System):
    """v' = v - v^3 / 3 - w + I, w' = (v + a - b w) / tau: a nerve cell that fires again and again.

    Source: R. FitzHugh, "Impulses and physiological states in theoretical models of nerve membrane", Biophysical
    Journal 1 (1961).
    """

    title = "FitzHugh-Nagumo"
    summary = "A nerve cell that fires again and again: a fast voltage v and a slow recovery w."
    variables = ("v", "w")
    start = (-1.0, 1.0)
    step, points = 0.05, 5000
    degree = 3

    current: float = parameter(0.5, "Current I into the cell.", 0.0, 1.5)
    a: float = parameter(0.7, "Offset of the recovery.", 0.0, 1.0)
    b: float = parameter(0.8, "How strongly the recovery slows itself.", 0.0, 1.0)
    tau: float = parameter(12.5, "How many times slower the recovery is.", 1.0, 50.0)

    def rates(self, t: float, state: np.ndarray) -> Sequence[float]:
        v, w = state.tolist()
        return v - v**3 / 3 - w + self.current, (v + self.a - self.b * w) / self.tau

    def terms(self) -> Terms:
        return {
            "v": {"1": self.current, "v": 1.0, "w": -1.0, "v^3": -1 / 3},
            "w": {"1": self.a / self.tau, "v": 1 / self.tau, "w": -self.b / self.tau},
        }


@dataclass(frozen=True)
class Oregonator(System):
    """x' = (q y - x y + x (1 - x)) / eps, y' = (-q y - x y + f z) / delta, z' = x - z: a clock reaction, stiff.

    x is bromous acid, y bromide, z the oxidised catalyst, all scaled. y follows within delta / x, five thousand times
    faster than a cycle. Source: R. J. Field, R. M. Noyes, J. Chem. Phys. 60 (1974); J. J. Tyson, "Scaling and reducing
    the Field-Körös-Noyes mechanism of the Belousov-Zhabotinskii reaction", J. Phys. Chem. 86 (1982), for the scaling.
    """

    title = "Oregonator"
    summary = "A clock reaction, stiff: concentrations that rest and flash, with rates from 1 to 2,500."
    variables = ("x", "y", "z")
    start = (0.5, 0.5, 0.3)
    step, points = 0.004, 5000
    stiff = True

    eps: float = parameter(0.04, "Time scale of x.", 0.02, 0.2)
    delta: float = parameter(4e-4, "Time scale of y.", 2e-4, 0.01)
    q: float = parameter(8e-4, "How slowly x and y start each other.", 5e-4, 0.01)
    f: float = parameter(1.0, "How much y a cycle brings back.", 0.6, 1.8)

    def rates(self, t: float, state: np.ndarray) -> Sequence[float]:
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


@dataclass(frozen=True)
class Pendulum(System):
    """theta'' = -(g / length) sin(theta) - damping theta', from `angle` at rest; g = 9.81 m/s^2.

    Only the angle is recorded. Source: any textbook of mechanics.
    """

    title = "Damped pendulum"
    summary = "A swing that dies down, from nearly upright: one equation of second order, from the angle alone."
    variables = ("theta",)
    unit, time_unit = "rad", "s"
    order = 2
    step, points = 0.01, 2000

    length: float = parameter(1.0, "Length of the pendulum.", 0.1, 10.0, "m")
    damping: float = parameter(0.2, "Damping.", 0.0, 2.0, "1/s")
    angle: float = parameter(3.0, "Where it is let go; 0 hangs down.", 0.1, 3.1, "rad")

    GRAVITY: ClassVar[float] = 9.81

    @property
    def start(self) -> tuple[float, ...]:
        return self.angle, 0.0

    @property
    def candidates(self) -> tuple[str, ...]:
        return "sin(theta)", "cos(theta)"

    def rates(self, t: float, state: np.ndarray) -> Sequence[float]:
        theta, omega = state.tolist()
        return omega, -self.GRAVITY / self.length * sin(theta) - self.damping * omega

    def terms(self) -> Terms:
        return {"theta": {"sin(theta)": -self.GRAVITY / self.length, "theta'": -self.damping}}


@dataclass(frozen=True)
class TwoBody(System):
    """r_1'' = G m_2 (r_2 - r_1) / d^3, r_2'' = G m_1 (r_1 - r_2) / d^3, d = |r_2 - r_1|, r_i = (x_i, y_i).

    Two stars around their centre of mass, semi-major axis 1 AU, from the closest approach; G = 4 pi^2 AU^3/(yr^2 M),
    M the mass of the Sun. The library holds forces along the line between them, over d^0, d^1, d^2 and d^3.
    Source: I. Newton, "Principia" (1687); Pervez, Locatello, Gavves, "Mechanistic Neural Networks for Scientific
    Machine Learning", ICML 2024, for the experiment.
    """

    title = "Two bodies"
    summary = "Two stars around each other: learn the law from the first orbits, then roll out many more."
    variables = ("x1", "y1", "x2", "y2")
    unit, time_unit = "AU", "yr"
    order = 2
    step, points = 0.005, 3000
    degree = 0

    first: float = parameter(1.0, "Mass of the first star, in solar masses.", 0.1, 10.0, "solar masses")
    second: float = parameter(0.5, "Mass of the second star, in solar masses.", 0.1, 10.0, "solar masses")
    eccentricity: float = parameter(0.3, "How far the orbits are from circles.", 0.0, 0.7)

    GRAVITY: ClassVar[float] = 4 * pi**2

    @property
    def period(self) -> float:
        """Of an orbit, in years."""
        return 1 / sqrt(self.first + self.second)

    @property
    def start(self) -> tuple[float, ...]:
        total = self.first + self.second
        apart = 1 - self.eccentricity
        speed = sqrt(self.GRAVITY * total * (1 + self.eccentricity) / apart)
        one, other = -self.second / total, self.first / total
        return one * apart, 0.0, other * apart, 0.0, 0.0, one * speed, 0.0, other * speed

    @property
    def candidates(self) -> tuple[str, ...]:
        return tuple(_pull(axis, power) for power in range(4) for axis in "xy")

    def rates(self, t: float, state: np.ndarray) -> Sequence[float]:
        apart = state[2:4] - state[:2]
        pull = self.GRAVITY * apart / np.hypot(*apart) ** 3
        return np.concatenate([state[4:], self.second * pull, -self.first * pull])

    def terms(self) -> Terms:
        towards = {"1": self.GRAVITY * self.second, "2": -self.GRAVITY * self.first}
        return {f"{axis}{body}": {_pull(axis, 2): size} for body, size in towards.items() for axis in "xy"}


def _pull(axis: str, power: int) -> str:
    """A component of the unit vector from the first to the second body, over the distance to the power."""
    return f"({axis}2 - {axis}1)/((x2 - x1)^2 + (y2 - y1)^2)^{(power + 1) / 2:g}"


SYSTEMS: dict[str, type[System]] = {
    "roessler": Roessler,
    "lotka_volterra": LotkaVolterra,
    "van_der_pol": VanDerPol,
    "duffing": Duffing,
    "fitzhugh_nagumo": FitzHughNagumo,
    "oregonator": Oregonator,
    "pendulum": Pendulum,
    "two_body": TwoBody,
}


def simulate(system: System, *, points: int, step: float, noise: float, seed: int) -> xr.Dataset:
    """A record: `truth`, `data` = truth + noise, both over (time, variable), and `true_coefficient` (term, variable).

    noise: the standard deviation of the normal noise on each variable, over that of the variable itself. A term is
    written as an expression; `order` stands among the attributes.
    """
    truth = _truth(system, points, step)[:, : len(system.variables)]
    size = noise * truth.std(axis=0)
    data = truth + size * np.random.default_rng(seed).standard_normal(truth.shape) if noise else truth.copy()
    terms = system.terms()
    names = list(dict.fromkeys(name for own in terms.values() for name in own))
    true = np.array([[terms[variable].get(name, 0.0) for variable in system.variables] for name in names])
    over, units = ("time", "variable"), {"units": system.unit}
    return check(
        xr.Dataset(
            {
                "truth": (over, truth.copy(), {**units, "long_name": "state without noise"}),
                "data": (over, data, {**units, "long_name": f"state with noise of {noise:g} of its deviation"}),
                "true_coefficient": (("term", "variable"), true, {"long_name": "true coefficient"}),
            },
            coords={
                "time": ("time", step * np.arange(points), {"units": system.time_unit, "long_name": "time"}),
                "variable": ("variable", list(system.variables), {"long_name": "variable"}),
                "term": ("term", names, {"long_name": "term of the right-hand side"}),
            },
            attrs={
                "title": system.title,
                "source": "scipy LSODA" if system.stiff else "scipy DOP853",
                "order": system.order,
                "noise": noise,
                "seed": seed,
                **{own.name: getattr(system, own.name) for own in fields(system)},
            },
        )
    )


@lru_cache(maxsize=16)
def _truth(system: System, points: int, step: float) -> np.ndarray:
    """States (time, inputs), kept for the next run on the same grid. Never changed in place."""
    times = step * np.arange(points)
    if system.stiff:
        span, accuracy = (0.0, times[-1]), {"rtol": 1e-10, "atol": 1e-12}
        found = solve_ivp(system.rates, span, system.start, t_eval=times, method="LSODA", **accuracy)
        if not found.success:
            raise ArithmeticError(f"{system.title}: LSODA gave up: {found.message}")
        states = found.y.T
    else:
        states = reference(system.rates, system.start, times)
    states.flags.writeable = False
    return states
