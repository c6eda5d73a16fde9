"""Known systems, each a short class whose docstring is its equation and whose fields are its parameters.

    record = simulate(Roessler(c=9.0), points=5000, step=0.02, noise=0.01, seed=0)

A new system is a class in a module of this package, an entry in `SYSTEMS`, and a card; page, command line, tests and
benchmark find it there.
"""

from dataclasses import fields
from functools import lru_cache

import numpy as np
import xarray as xr
from scipy.integrate import solve_ivp

from workbench.datasets.ode.dataset import simulated
from workbench.datasets.ode.kinetics import FitzHughNagumo, LotkaVolterra, Oregonator
from workbench.datasets.ode.mechanics import Duffing, Pendulum, TwoBody
from workbench.datasets.ode.oscillators import Roessler, VanDerPol
from workbench.datasets.ode.reference import reference
from workbench.datasets.ode.system import System, Terms, parameter

__all__ = [
    "SYSTEMS",
    "Duffing",
    "FitzHughNagumo",
    "LotkaVolterra",
    "Oregonator",
    "Pendulum",
    "Roessler",
    "System",
    "Terms",
    "TwoBody",
    "VanDerPol",
    "parameter",
    "simulate",
]

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
    """`truth` and `data` = truth + noise, both over (time, variable), and `true_coefficient` (term, variable).

    noise: standard deviation of the normal noise on each variable, relative to that of the variable. Terms are
    expressions; the attributes include `order` and the parameters.
    """
    truth = _truth(system, points, step)[:, : len(system.variables)]
    scale = noise * truth.std(axis=0)
    data = truth + scale * np.random.default_rng(seed).standard_normal(truth.shape) if noise else truth.copy()
    terms = system.terms()
    names = list(dict.fromkeys(name for equation in terms.values() for name in equation))
    true = np.array([[terms[variable].get(name, 0.0) for variable in system.variables] for name in names])
    arrays = {
        "truth": (truth.copy(), "state without noise"),
        "data": (data, f"state with noise of {noise:g} standard deviations"),
    }
    attributes = {
        "title": system.title,
        "source": "scipy LSODA" if system.stiff else "scipy DOP853",
        "order": system.order,
        "noise": noise,
        "seed": seed,
        **{field.name: getattr(system, field.name) for field in fields(system)},
    }
    units = {"unit": system.unit, "time_unit": system.time_unit}
    record = simulated(step * np.arange(points), system.variables, arrays, attributes, **units)
    return record.assign_coords(term=("term", names, {"long_name": "term of the right-hand side"})).assign(
        true_coefficient=(("term", "variable"), true, {"long_name": "true coefficient"})
    )


@lru_cache(maxsize=16)
def _truth(system: System, points: int, step: float) -> np.ndarray:
    """Read-only states (time, inputs), cached for further runs on the same grid."""
    times = step * np.arange(points)
    if system.stiff:
        span, tolerances = (0.0, times[-1]), {"rtol": 1e-10, "atol": 1e-12}
        solution = solve_ivp(system.rhs, span, system.start, t_eval=times, method="LSODA", **tolerances)
        if not solution.success:
            raise ArithmeticError(f"{system.title}: LSODA failed: {solution.message}")
        states = solution.y.T
    else:
        states = reference(system.rhs, system.start, times)
    states.flags.writeable = False
    return states
