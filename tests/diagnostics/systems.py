"""Systems with known equations as discovered models."""

import numpy as np

from workbench.diagnostics import Discovered
from workbench.symbolic.library import LibrarySpec

Equations = dict[str, dict[str, float]]


def model(variables: tuple[str, ...], equations: Equations, **spec: object) -> Discovered:
    """The model with the given coefficients, by variable and candidate name."""
    library = LibrarySpec(**spec).library(variables)
    coefficients = np.zeros((len(library), len(variables)))
    for variable, terms in equations.items():
        for name, coefficient in terms.items():
            coefficients[library.names.index(name), variables.index(variable)] = coefficient
    return Discovered(library, coefficients)


LORENZ = {"x": {"x": -10.0, "y": 10.0}, "y": {"x": 28.0, "y": -1.0, "x z": -1.0}, "z": {"x y": 1.0, "z": -8 / 3}}


def lorenz(**changes: Equations) -> Discovered:
    return model(("x", "y", "z"), LORENZ | changes)


def logistic(rate: float = 1.5) -> Discovered:
    """u' = r u (1 - u)."""
    return model(("u",), {"u": {"u": rate, "u^2": -rate}})


def logistic_curve(times: np.ndarray, rate: float = 1.5, start: float = 0.1) -> np.ndarray:
    return 1 / (1 + (1 / start - 1) * np.exp(-rate * times))


def oscillator(damping: float = 0.0, frequency: float = 2.0) -> Discovered:
    """x'' = -w^2 x - c x', of second order."""
    return model(("x",), {"x": {"x": -(frequency**2), "x'": -damping}}, order=2)


def van_der_pol(stiffness: float) -> Discovered:
    return model(("x", "y"), {"x": {"y": 1.0}, "y": {"x": -1.0, "y": stiffness, "x^2 y": -stiffness}}, degree=3)
