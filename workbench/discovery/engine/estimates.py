"""One fit of states and equations together, as `discovery` strings them up."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
import torch
from torch import Tensor

from workbench.discovery.data import Windows, cut
from workbench.discovery.engine.blocks import Block, Linearised
from workbench.discovery.engine.preparation import Prepared, Settings
from workbench.discovery.engine.selection import Criterion, Fit, backward, cross_validated, exchanged

SETTLED = 0.1
"""Change of a coefficient, over its standard error, below which a round changed nothing."""


@dataclass(frozen=True, eq=False)
class Estimate:
    """Standardised coefficients (C, D) and states (points, S), made with windows of `length`.

    joint: states and coefficients were fitted together (Gauss-Newton). deviations (C, D): standard errors. squares (D):
    sums of squared residuals; counts (D): how many of them are free. independent: the share of the residuals that are
    independent of their neighbours.
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
        """The standard deviation of the residuals (D)."""
        return (self.squares / self.counts).sqrt()

    def misfit(self, noise: Tensor) -> float:
        """Residuals over a noise (D), root mean square."""
        return sqrt(float((self.squares / noise**2).sum() / self.counts.sum()))


@dataclass(frozen=True, eq=False)
class Problem:
    """The linear problem about the states of an estimate (or about the smooth states), ready to be solved.

    totals: per block (P), how much each coefficient's variable changes within the windows, squared, over the noise.
    sizes: per block, the noise, root mean square over its variables. count: of free residuals in all.
    """

    linearised: Linearised
    blocks: list[Block]
    totals: list[np.ndarray]
    criterion: Criterion
    length: int
    sizes: list[float]
    count: float


def pose(prepared: Prepared, before: Estimate | None, length: int, settings: Settings, free: np.ndarray) -> Problem:
    """Before None: J = 0 and the smooth states. Raises FloatingPointError for answers that are not finite."""
    windows = _usable(cut(prepared.runs, length), prepared)
    noise = before.noise.clamp(min=1e-12) if before is not None and before.joint else prepared.noise
    states = (prepared.states if before is None else before.states)[windows.places]
    coefficients = None if before is None else before.coefficients
    known = torch.where(torch.from_numpy(free), 0.0, prepared.known)
    linearised = Linearised(prepared.units, prepared.rows, windows, states, coefficients, known, noise)
    blocks = linearised.blocks(free)
    changes = _changes(windows) / noise.numpy() ** 2
    count = float(_counts(windows, prepared).sum())
    # every variable on its own, or all of them together
    samples = count / free.shape[1] if before is None else count * before.independent
    squares = noise.square()
    sizes = squares.sqrt().tolist() if before is None else [float(squares.mean().sqrt())]
    # where Gauss-Newton follows, its start need not be the model that foretells best, but must not lack a term
    cv_folds = 0 if before is None and prepared.denoise else settings.cv_folds
    criterion = Criterion(settings.min_contribution, samples, len(free), cv_folds)
    totals = [changes[block.labels[:, 1]] for block in blocks]
    return Problem(linearised, blocks, totals, criterion, length, sizes, count)


def chosen(problem: Problem, rounds: int | None = None) -> list[Fit]:
    """The terms that stay, fitted; with `rounds` at most so many dropped from each block, and none exchanged."""
    fits = []
    for block, totals in zip(problem.blocks, problem.totals, strict=True):
        if problem.criterion.cv_folds:
            fits.append(cross_validated(block, totals, problem.criterion))
            continue
        found = backward(block, totals, problem.criterion, rounds=rounds)
        fits.append(found if rounds is not None else exchanged(block, totals, problem.criterion, found))
    return fits


def spread_out(problem: Problem, values: Sequence[np.ndarray]) -> Tensor:
    """Values (P) per block as one array (C, D), 0 elsewhere."""
    found = torch.zeros_like(problem.linearised.known)
    for block, own in zip(problem.blocks, values, strict=True):
        found[block.labels[:, 0], block.labels[:, 1]] = torch.from_numpy(own)
    return found


def estimate(prepared: Prepared, before: Estimate | None, problem: Problem, fits: Sequence[Fit]) -> Estimate:
    """The states that go with the fits, and how far they are from the data."""
    linearised = problem.linearised
    coefficients = spread_out(problem, [fit.values for fit in fits])
    windows, D = linearised.windows, coefficients.shape[1]
    states = linearised.follow(problem.blocks, coefficients)
    if not states.isfinite().all():
        raise FloatingPointError("the states that the equations lead to are not finite")
    everywhere = (prepared.states if before is None else before.states).clone()
    fresh = windows.fresh
    everywhere[windows.places[fresh]] = states[fresh]
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
    """Whether a round changed no coefficient by more than SETTLED of its standard error, and no term came or went."""
    same = torch.equal(now.coefficients != 0, before.coefficients != 0)
    return same and bool(((now.coefficients - before.coefficients).abs() <= SETTLED * now.deviations).all())


def explained(now: Estimate, best: Estimate) -> bool:
    """Whether longer windows, which fit fewer initial values, leave over no more than noise would put there.

    With fewer initial values the sum of squares over the noise grows by their number, give or take its root times
    sqrt(2); four of those are granted.
    """
    fewer = float((now.counts - best.counts).sum())
    more = float(((now.squares - best.squares) / best.noise**2).sum())
    return more <= fewer + 4 * sqrt(2 * abs(fewer))


def _usable(windows: Windows, prepared: Prepared) -> Windows:
    """Those windows in which every variable was measured often enough to fit its initial values."""
    often = windows.present.sum(dim=1).amin(dim=1) > 2 * prepared.rows.order + 1
    if not often.any():
        raise ValueError(f"windows of {windows.length} grid points hold too few measured values: take longer ones")
    steps = windows.steps if len(windows.steps) == 1 else windows.steps[often]
    return Windows(windows.times[often], windows.values[often], windows.present[often], windows.places[often], steps)


def _counts(windows: Windows, prepared: Prepared) -> Tensor:
    """Measured values less fitted initial values (D)."""
    return windows.present.sum(dim=(0, 1)).double() - len(windows) * prepared.rows.order


def _changes(windows: Windows) -> np.ndarray:
    """Sums of squared deviations from the mean of each window (D)."""
    count = windows.present.sum(dim=1, keepdim=True).clamp(min=1)
    mean = windows.values.sum(dim=1, keepdim=True) / count
    return torch.where(windows.present, windows.values - mean, 0.0).square().sum(dim=(0, 1)).numpy()


def _independent(residuals: Tensor) -> float:
    """(1 - r) / (1 + r) for the correlation r of neighbours, 1 if it is not positive.

    So many independent errors tell as much of a mean as all of them do, if correlations fall off geometrically.
    """
    product = (residuals[:, 1:] * residuals[:, :-1]).sum()
    r = float(product / residuals.square().sum().clamp(min=1e-300))
    return min(1.0, max((1 - r) / (1 + r), 1 / residuals.shape[1]))
