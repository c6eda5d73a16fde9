"""What discovery hands over."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Discovery:
    """Coefficients (C, D) in physical units and how sure they are; 0 where a term is not in the equation.

    lower, upper (C, D): 95 % intervals. deviation (C, D): standard errors by the covariance of the fit. drawn_lower,
    drawn_upper (C, D): 95 % intervals by bootstrap over windows. inclusion (C, D): in what share of the bootstrap
    samples a term was kept. truncation (C, D): by how much one derivative less changes a coefficient of clean data; it
    widens both intervals; 0 where noise is what counts. noise (D): estimated from the record alone, in the units of the
    variables; residual (D): what states and equations leave over. states: per trajectory (N, S), without the noise, NaN
    where there was a gap. terms, errors (M): of all models on the way from all terms to none, and at the end of the one
    that was chosen; root mean square errors in standard deviations of the variables. window: grid points of the last
    windows. denoised: whether Gauss-Newton made the states. message: what stopped it early, empty if nothing did.
    """

    coefficients: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    deviation: np.ndarray
    drawn_lower: np.ndarray
    drawn_upper: np.ndarray
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
