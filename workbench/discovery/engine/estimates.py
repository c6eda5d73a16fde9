"""Joint fits of states and coefficients, the steps of `Projection`."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
import torch
from torch import Tensor

from workbench.discovery.data import Windows, split_windows
from workbench.discovery.engine.blocks import Block, Linearised
from workbench.discovery.engine.preparation import Prepared, Settings
from workbench.discovery.engine.selection import Criterion, Fit, backward, cross_validated, exchanged

SETTLED = 0.1
"""Change of a coefficient over its standard error below which a round has converged."""


@dataclass(frozen=True, eq=False)
class Estimate:
    """Standardised coefficients (C, D) and states (points, S), estimated with windows of `length`.

    joint: states and coefficients were fitted jointly (Gauss-Newton). deviations (C, D): standard errors. squares (D):
    sums of squared residuals. counts (D): their degrees of freedom. independent: fraction of effectively independent
    residuals.
    """

    coefficients: Tensor
    states: Tensor
    length: int
    joint: bool
    deviations: Tensor
    squares: Tensor
    counts: Tensor
    independent: float

    @property
    def noise(self) -> Tensor:
        """Standard deviation (D) of the residuals."""
        return (self.squares / self.counts).sqrt()

    def misfit(self, noise: Tensor) -> float:
        """Root mean square of the residuals over a noise level (D)."""
        return sqrt(float((self.squares / noise**2).sum() / self.counts.sum()))


@dataclass(frozen=True, eq=False)
class Problem:
    """The linear problem about the states of an estimate, or about the smoothed states.

    totals: per block (P), squared change within the windows of the variable of each coefficient, over the noise level.
    sizes: per block, root mean square noise level of its variables. count: total degrees of freedom of the residuals.
    """

    linearised: Linearised
    blocks: list[Block]
    totals: list[np.ndarray]
    criterion: Criterion
    length: int
    sizes: list[float]
    count: float


def pose(prepared: Prepared, before: Estimate | None, length: int, settings: Settings, free: np.ndarray) -> Problem:
    """The problem about `before`; None: J = 0 and the smoothed states. Raises FloatingPointError if not finite."""
    windows = _usable(split_windows(prepared.runs, length), prepared)
    noise = before.noise.clamp(min=1e-12) if before is not None and before.joint else prepared.noise
    states = (prepared.states if before is None else before.states)[windows.indices]
    coefficients = None if before is None else before.coefficients
    known = torch.where(torch.from_numpy(free), 0.0, prepared.known)
    linearised = Linearised(prepared.units, prepared.rows, windows, states, coefficients, known, noise)
    blocks = linearised.blocks(free)
    changes = _changes(windows) / noise.numpy() ** 2
    count = float(_counts(windows, prepared).sum())
    # separate problems per variable, or a joint one
    samples = count / free.shape[1] if before is None else count * before.independent
    squares = noise.square()
    sizes = squares.sqrt().tolist() if before is None else [float(squares.mean().sqrt())]
    # the start of Gauss-Newton need not be the model that predicts best, but must not lack a term
    cv_folds = 0 if before is None and prepared.denoise else settings.cv_folds
    criterion = Criterion(settings.min_contribution, samples, len(free), cv_folds)
    totals = [changes[block.labels[:, 1]] for block in blocks]
    return Problem(linearised, blocks, totals, criterion, length, sizes, count)


def chosen(problem: Problem, rounds: int | None = None) -> list[Fit]:
    """Fits with selected terms; `rounds`: maximum number of dropped terms per block, without exchange of terms."""
    fits = []
    for block, totals in zip(problem.blocks, problem.totals, strict=True):
        if problem.criterion.cv_folds:
            fits.append(cross_validated(block, totals, problem.criterion))
            continue
        found = backward(block, totals, problem.criterion, rounds=rounds)
        fits.append(found if rounds is not None else exchanged(block, totals, problem.criterion, found))
    return fits


def spread_out(problem: Problem, values: Sequence[np.ndarray]) -> Tensor:
    """Values (P) of each block as one array (C, D), 0 elsewhere."""
    found = torch.zeros_like(problem.linearised.known)
    for block, own in zip(problem.blocks, values, strict=True):
        found[block.labels[:, 0], block.labels[:, 1]] = torch.from_numpy(own)
    return found


def estimate(prepared: Prepared, before: Estimate | None, problem: Problem, fits: Sequence[Fit]) -> Estimate:
    """The estimate of the fits: states and residuals. Raises FloatingPointError for non-finite states."""
    linearised = problem.linearised
    coefficients = spread_out(problem, [fit.values for fit in fits])
    windows, D = linearised.windows, coefficients.shape[1]
    states = linearised.follow(problem.blocks, coefficients)
    if not states.isfinite().all():
        raise FloatingPointError("the states of the equations are not finite")
    everywhere = (prepared.states if before is None else before.states).clone()
    is_first = windows.is_first
    everywhere[windows.indices[is_first]] = states[is_first]
    residuals = torch.where(windows.present, windows.values - states[..., :D], 0.0)
    counts = _counts(windows, prepared)
    return Estimate(
        coefficients + linearised.known,
        everywhere,
        problem.length,
        linearised.coefficients is not None,
        spread_out(problem, [fit.deviations(problem.criterion.samples) for fit in fits]),
        residuals.square().sum(dim=(0, 1)),
        counts,
        _independent(residuals / linearised.noise),
    )


def settled(before: Estimate, now: Estimate) -> bool:
    """Whether the terms are the same and no coefficient changed by more than SETTLED standard errors."""
    same = torch.equal(now.coefficients != 0, before.coefficients != 0)
    return same and bool(((now.coefficients - before.coefficients).abs() <= SETTLED * now.deviations).all())


def explained(now: Estimate, best: Estimate) -> bool:
    """Whether noise explains the larger residuals of longer windows, which have fewer initial values.

    The sum of squares over the noise grows by the number n of missing initial values with standard deviation
    sqrt(2 n); four standard deviations are accepted.
    """
    fewer = float((now.counts - best.counts).sum())
    more = float(((now.squares - best.squares) / best.noise**2).sum())
    return more <= fewer + 4 * sqrt(2 * abs(fewer))


def _usable(windows: Windows, prepared: Prepared) -> Windows:
    """Windows with enough measured values of every variable to fit its initial values."""
    often = windows.present.sum(dim=1).amin(dim=1) > 2 * prepared.rows.order + 1
    if not often.any():
        raise ValueError(f"windows of {windows.length} grid points contain too few measured values: use longer windows")
    steps = windows.steps if len(windows.steps) == 1 else windows.steps[often]
    return Windows(windows.times[often], windows.values[often], windows.present[often], windows.indices[often], steps)


def _counts(windows: Windows, prepared: Prepared) -> Tensor:
    """Numbers of measured values minus numbers of initial values (D)."""
    return windows.present.sum(dim=(0, 1)).double() - len(windows) * prepared.rows.order


def _changes(windows: Windows) -> np.ndarray:
    """Sums of squared deviations from the mean of each window (D)."""
    count = windows.present.sum(dim=1, keepdim=True).clamp(min=1)
    mean = windows.values.sum(dim=1, keepdim=True) / count
    return torch.where(windows.present, windows.values - mean, 0.0).square().sum(dim=(0, 1)).numpy()


def _independent(residuals: Tensor) -> float:
    """Fraction of effectively independent residuals, (1 - r) / (1 + r) for lag-one correlation r, at most 1.

    It holds for the variance of a mean if correlations decay geometrically.
    """
    product = (residuals[:, 1:] * residuals[:, :-1]).sum()
    r = float(product / residuals.square().sum().clamp(min=1e-300))
    return min(1.0, max((1 - r) / (1 + r), 1 / residuals.shape[1]))
