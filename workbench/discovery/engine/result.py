"""Result of a discovery."""

from dataclasses import dataclass

import numpy as np

from workbench._deprecated import warn

RENAMED = {"deviation": "standard_error", "drawn_lower": "bootstrap_lower", "drawn_upper": "bootstrap_upper"}
"""Deprecated name of a field -> its name."""


@dataclass(frozen=True, eq=False)
class Alternative:
    """Coefficients (C, D) in physical units of one model, and its probability among the models that were compared."""

    coefficients: np.ndarray
    probability: float


@dataclass(frozen=True, eq=False)
class Discovery:
    """Coefficients (C, D) in physical units and their uncertainty; 0 where a term is not in the equation.

    lower, upper (C, D): 95 % intervals. standard_error (C, D): by the covariance of the fit. bootstrap_lower,
    bootstrap_upper (C, D): 95 % intervals by bootstrap over windows; by evidence, those above. inclusion (C, D): share
    of bootstrap samples in which a term is selected; by evidence, its probability. truncation (C, D): change of a
    coefficient of noise-free data with one derivative less; it widens both intervals; 0 if noise dominates. noise (D):
    noise level estimated from differences, in the units of the variables. residual (D): root mean square residual of
    states and equations. states: denoised, per trajectory (N, S), NaN in gaps. terms, errors (M): of the models of
    backward elimination and, last, of the selected model; errors are root mean squares in standard deviations of the
    variables. window: grid points of the last windows. denoised: whether states were estimated. message: reason of an
    early stop, else empty. alternatives: the most probable models, the best first; empty if they were not compared.
    """

    coefficients: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    standard_error: np.ndarray
    bootstrap_lower: np.ndarray
    bootstrap_upper: np.ndarray
    inclusion: np.ndarray
    truncation: np.ndarray
    noise: np.ndarray
    residual: np.ndarray
    states: tuple[np.ndarray, ...]
    terms: np.ndarray
    errors: np.ndarray
    window: int
    denoised: bool
    message: str
    alternatives: tuple[Alternative, ...] = ()

    def __getattr__(self, name: str) -> np.ndarray:
        """Fields by their deprecated names."""
        if name not in RENAMED:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        warn(f"Discovery.{name}", f"Discovery.{RENAMED[name]}")
        return getattr(self, RENAMED[name])
