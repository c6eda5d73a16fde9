"""Coefficients of records without noise, more accurate than those of smoothed states."""

from collections.abc import Sequence
from dataclasses import replace
from math import sqrt

import numpy as np
import torch
from torch import Tensor

from workbench.discovery.data import Trajectory, head
from workbench.discovery.engine.preparation import Settings
from workbench.discovery.engine.result import Discovery
from workbench.discovery.estimator import JointEstimate
from workbench.discovery.starting import prepare
from workbench.discovery.uncertainty import NORMAL_95
from workbench.symbolic.library import Library

POINTS = 500
"""Number of measurements that are fitted; without noise, more of them do not make the coefficients more accurate."""
DERIVATIVES, PARTS = 8, 4
"""Derivatives of the states, and parts of each step: on Lorenz, h = .01, the truncation error is 1e-11."""
NOISE, TOLERANCE = 1e-8, 1e-9
"""Standard deviations of measurements and Taylor rows, in those of the variables; only their ratio matters."""
STEPS = 12
MOST_CORRELATED = 0.999
"""Largest correlation of successive residuals that is corrected for."""


def polished(result: Discovery, trajectories: Sequence[Trajectory], library: Library, settings: Settings) -> Discovery:
    """The result with its coefficients fitted together with the states of the first POINTS measurements.

    The dynamics are nearly exact, see `JointEstimator`. Standard errors are those of all residuals, which here are
    rounding and truncation errors; intervals allow for their correlation in time. The result is unchanged if its
    intervals are smaller in all, as for missing terms and stiff equations, or if the fit fails.
    """
    start = prepare(head(trajectories, POINTS), library, settings)
    free = (result.coefficients != 0) & start.free
    if not free.any():
        return result
    units = start.estimator.scales.units(library.order)
    parts = torch.full_like(start.estimator.grid.steps, PARTS, dtype=torch.long)
    e = start.estimator.refined(parts, torch.full_like(start.estimator.tolerance, TOLERANCE))
    e = replace(e, noise=torch.full_like(e.noise, NOISE), derivatives=DERIVATIVES, method="qr")
    known = start.estimator.grid.interpolated(start.first.states, parts)
    states = torch.nn.functional.pad(known, (0, DERIVATIVES - known.shape[-1]))
    first = JointEstimate(states, torch.from_numpy(result.coefficients) / units, np.inf)
    try:
        fit, normal = e.fit(first, free, e.weight, steps=STEPS, tolerance=1e-3)
    except FloatingPointError:
        return result
    measured = int(e.grid.present.sum())
    freedom = max(measured - int(free.sum()) - len(library.variables) * library.order, 1)
    errors = np.zeros(free.shape)
    errors[free] = np.sqrt(np.diag(np.linalg.pinv(normal.matrix.numpy())) * fit.cost / freedom)
    coefficients, errors = (fit.coefficients * units).numpy(), errors * units.numpy()
    margin = NORMAL_95 * errors
    if not np.sum(2 * margin / units.numpy()) <= np.sum((result.upper - result.lower) / units.numpy()):
        return result
    margin = margin * repetition(e.misfit(fit.states))
    lower, upper = coefficients - margin, coefficients + margin
    return replace(
        result,
        coefficients=coefficients,
        lower=lower,
        upper=upper,
        standard_error=errors,
        bootstrap_lower=lower,
        bootstrap_upper=upper,
        truncation=np.zeros_like(errors),
    )


def repetition(residuals: Tensor) -> float:
    """Factor by which correlation in time increases standard errors.

    sqrt((1 + r) / (1 - r)) for the correlation r of successive residuals (T, D), NaN where not measured; the largest of
    all variables.
    """
    factors = []
    for column in residuals.T:
        measured = column[~column.isnan()]
        centred = measured - measured.mean()
        r = float((centred[1:] * centred[:-1]).sum() / centred.square().sum().clamp(min=1e-300))
        r = min(max(r, 0.0), MOST_CORRELATED)
        factors.append(sqrt((1 + r) / (1 - r)))
    return max(factors)
