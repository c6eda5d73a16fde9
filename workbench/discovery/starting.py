"""Start of a whole-record estimate: standardised grid, smoothed states and coefficients by least squares."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from workbench.discovery.data import Trajectory, split_segments
from workbench.discovery.engine.preparation import Settings
from workbench.discovery.estimator import REGULARISATION, SOFT, JointEstimate, JointEstimator, Scales, solve_symmetric
from workbench.discovery.evidence import term_penalties
from workbench.discovery.grid import RecordGrid, build_grid
from workbench.discovery.noise import NoiseShape, noise_level, noise_shape
from workbench.discovery.quadratic import Quadratic
from workbench.solver import LinearODE, Weights, solve
from workbench.symbolic.library import Library

LEAST_NOISE = 1e-3
"""Smallest noise level of the first search, in standard deviations of the variable."""
UNKNOWN_NOISE = 0.1
"""Noise level, in standard deviations, at the start of records too short for an estimate."""
RESOLUTION = 0.12
"""Longest grid step, in the time in which the fastest variable changes by its standard deviation."""
MISFIT = 0.97
"""Root mean square misfit of the smoothed states, in noise levels."""
STIFFNESS, LOWEST, HIGHEST, BISECTIONS = 3.0, -8.0, 12.0, 10
"""Base, bounds of the exponent, and number of bisections of the stiffness of the smoothed states."""
INCREMENT = 5
"""Grid steps of the increments by which the first coefficients are estimated."""
LONG_INCREMENT, DISTRUST = 15, (10.0, 1.0, 100.0)
"""Grid steps of the increments that suggest supports, and factors of their variance: smoothed states have systematic
errors, and those of noisy records more."""
ENOUGH = 2
"""Number of measurements per candidate from which on they suggest supports; else all candidates are the start."""
DAMPING = 1e-12
AVERAGED = 9
"""Number of grid points over which states are averaged for the first shape of the noise."""


@dataclass(frozen=True, eq=False)
class Start:
    """The standardised problem, a first estimate, equation weights (D) that fit it, and free coefficients (C, D)."""

    estimator: JointEstimator
    first: JointEstimate
    weight: Tensor
    free: np.ndarray


def prepare(trajectories: Sequence[Trajectory], library: Library, settings: Settings) -> Start:
    """Prepare trajectories for a whole-record estimate. Raises ValueError for unsuitable data or settings."""
    order = library.order
    grid = build_grid(trajectories)
    fixed = _fixed(settings, library)
    scale = _standard_deviations(grid, library)
    noise = estimated_noise(trajectories, grid, scale).clamp(LEAST_NOISE, 1.0)
    derivatives = 3 + order
    grid = _resolved(trajectories, grid, scale, noise, derivatives)
    unit = float(grid.steps[grid.linked].median())
    grid = RecordGrid(grid.times / unit, grid.steps / unit, grid.values / scale, grid.linked, grid.samples)
    sigma = noise.expand_as(grid.values)
    states = smooth_to_misfit(grid, sigma, derivatives)
    # the states may follow the noise, their averages do not
    average = torch.nn.functional.avg_pool1d(
        states[..., 0].T.abs(), AVERAGED, 1, AVERAGED // 2, count_include_pad=False
    )
    shape = noise_shape(grid.values - states[..., 0], average.T)
    if (shape.relative != 1).any():
        sigma = shape.relative * estimated_noise(trajectories, grid, scale, shape).clamp(LEAST_NOISE, 1.0)
        states = smooth_to_misfit(grid, sigma, derivatives)
    rate = states[..., order].square().mean(dim=0).sqrt().clamp(min=1e-300)
    inputs = torch.cat([states[..., k] * (scale / unit**k) for k in range(order)], dim=-1)
    sizes = library.sizes(inputs, grid.times * unit)
    scales = Scales(scale, unit, torch.where(sizes > 0, sizes, 1.0), rate)
    known = torch.from_numpy(np.nan_to_num(fixed, nan=0.0)) / scales.units(order)
    backend = (settings.backend, "cholesky" if settings.backend in ("auto", "native") else settings.method)
    estimator = JointEstimator(grid, library, scales, sigma, SOFT * noise, known, derivatives, *backend)
    error = estimator.truncation(states)[grid.linked].square().mean(dim=0).sqrt()
    tolerance = torch.maximum(estimator.tolerance, error)
    estimator = replace(estimator, tolerance=tolerance)
    free = np.isnan(fixed)
    return restricted(Start(estimator, JointEstimate(states, known, np.inf), sigma[0], free), free)


def restricted(start: Start, free: np.ndarray) -> Start:
    """The start with other free coefficients (C, D), estimated from the same smoothed states."""
    estimator, states = start.estimator, start.first.states
    Xi = coefficients_by_increments(estimator, states, free)
    residual = states[..., estimator.order] - estimator.rates(states, Xi)
    weight = 1 / residual.square().mean(dim=0).sqrt().clamp(min=1e-12)
    return Start(estimator, JointEstimate(states, Xi, np.inf), weight, free)


def _standard_deviations(grid: RecordGrid, library: Library) -> Tensor:
    """Standard deviation (D) of each variable over the measurements."""
    D = len(library.variables)
    if grid.values.shape[1] != D:
        raise ValueError(f"trajectories: expected {D} variables {library.variables}, found {grid.values.shape[1]}")
    for name, column in zip(library.variables, grid.values.T, strict=True):
        measured = column[~column.isnan()]
        if not len(measured):
            raise ValueError(f"trajectories: expected measured values of {name}, found none")
        if not measured.std(correction=0) > 1e-12 * measured.abs().max():
            raise ValueError(f"variable {name} is constant: expected a variable that changes")
    return torch.from_numpy(np.nanstd(grid.values.numpy(), axis=0))


def _fixed(settings: Settings, library: Library) -> np.ndarray:
    """Fixed coefficients (C, D), NaN for those to estimate."""
    shape, fixed = (len(library), len(library.variables)), settings.fixed_coefficients
    fixed = np.full(shape, np.nan) if fixed is None else np.asarray(fixed, dtype=float)
    if fixed.shape != shape or np.isinf(fixed).any():
        raise ValueError(
            f"fixed_coefficients: expected numbers or NaN, {shape} (candidates, variables), found {fixed.shape}"
        )
    return fixed


def estimated_noise(
    trajectories: Sequence[Trajectory], grid: RecordGrid, scale: Tensor, shape: NoiseShape | None = None
) -> Tensor:
    """Noise level (D), in units of `scale` (D), from differences; UNKNOWN_NOISE where no five points are together."""
    if sum(len(trajectory.times) for trajectory in trajectories) < 5:
        raise ValueError("data: expected at least 5 grid points without a gap")
    unit = scale.expand_as(grid.values)
    if shape is not None:
        unit = (unit * shape.relative).where(shape.counted, torch.nan)
    relative = [
        Trajectory(trajectory.times, trajectory.values / unit[own])
        for trajectory, own in zip(trajectories, grid.samples, strict=True)
    ]
    try:
        return noise_level(split_segments(relative))
    except ValueError:
        return torch.full_like(scale, UNKNOWN_NOISE)


def _resolved(
    trajectories: Sequence[Trajectory], grid: RecordGrid, scale: Tensor, noise: Tensor, derivatives: int
) -> RecordGrid:
    """The grid with steps short enough for the fastest variable, as smoothed on the grid of the measurements."""
    standardised = RecordGrid(grid.times, grid.steps, grid.values / scale, grid.linked, grid.samples)
    states = smooth_to_misfit(standardised, noise.expand_as(grid.values), derivatives)
    fastest = states[..., 1].square().mean(dim=0).sqrt().max()
    return build_grid(trajectories, float(RESOLUTION / fastest.clamp(min=1e-300)))


def smooth(grid: RecordGrid, noise: Tensor, stiffness: Tensor, derivatives: int) -> Tensor:
    """Smoothed states (T, D, K): data rows, and Taylor rows of weights `stiffness` (D) over the noise level."""
    T, D = grid.values.shape
    leading = grid.steps.new_zeros(1, 1, 1, 1, derivatives)
    level = noise.nanmean(dim=0)
    data, weight = noise.new_zeros(D, T, 1, derivatives), noise.new_zeros(D, T, 1, derivatives)
    data[..., 0, 0], weight[..., 0, 0] = grid.values.nan_to_num().T, (grid.present / noise).nan_to_num().T
    weight[..., 1:] = REGULARISATION / level[:, None, None, None]
    taylor = (grid.linked * (stiffness / level)[:, None])[..., None]
    problem = LinearODE(
        leading,
        grid.steps.new_zeros(1, 1, 1),
        data,
        grid.steps[None],
        weights=Weights(0.0, weight, taylor),
        n_steps=T,
    )
    return solve(problem, method="qr", check=False).u[:, :, 0].transpose(0, 1)


def smooth_to_misfit(grid: RecordGrid, noise: Tensor, derivatives: int) -> Tensor:
    """Smoothed states (T, D, K) whose misfit is MISFIT noise levels (T, D), by bisection of the stiffness."""
    low = noise.new_full((noise.shape[1],), LOWEST)
    high = torch.full_like(low, HIGHEST)
    count = grid.present.sum(dim=0)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        states = smooth(grid, noise, STIFFNESS**middle, derivatives)
        misfit = ((states[..., 0] - grid.values) / noise).nan_to_num().square().sum(dim=0) / count
        above = ~(misfit.sqrt() <= MISFIT)
        low, high = torch.where(above, low, middle), torch.where(above, middle, high)
    return smooth(grid, noise, STIFFNESS**low, derivatives)


def increments(estimator: JointEstimator, states: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """Increments over `steps` grid steps of the integrals of the candidates (N, C) and of what they explain (N, D)."""
    grid, rate = estimator.grid, estimator.scales.rate
    theta = estimator.candidates(states)
    area = (theta[1:] + theta[:-1]) / 2 * grid.steps[:, None]
    integral = torch.cat([theta.new_zeros(1, theta.shape[1]), area.cumsum(0)])
    pieces = int((~grid.linked).sum()) + 1
    m = max(1, min(steps, int(grid.linked.sum()) // (2 * pieces)))
    inside = grid.linked.unfold(0, m, 1).all(dim=1)
    columns = (integral[m:] - integral[:-m])[inside]
    value = states[:, :, estimator.order - 1]
    return columns, (value[m:] - value[:-m])[inside] / rate - columns @ estimator.known


def coefficients_by_increments(estimator: JointEstimator, states: Tensor, free: np.ndarray) -> Tensor:
    """Coefficients (C, D) by least squares on increments of smoothed states over INCREMENT steps."""
    columns, values = increments(estimator, states, INCREMENT)
    found = estimator.known.clone()
    for d in range(free.shape[1]):
        own = torch.from_numpy(free[:, d])
        A = columns[:, own]
        gram = A.T @ A
        damping = DAMPING * gram.diagonal().mean() * torch.eye(A.shape[1], dtype=A.dtype)
        found[own, d] = solve_symmetric(gram + damping, A.T @ values[:, d])
    return found


def sparse_supports(start: Start) -> list[np.ndarray]:
    """Supports (C, D) that the smoothed states suggest, for several assumptions about their errors.

    For each equation the support with the lowest criterion for increments over LONG_INCREMENT steps, whose variance is
    that of the fit with all candidates times a factor of DISTRUST and the number of steps, by which increments overlap.
    """
    columns, values = (array.numpy() for array in increments(start.estimator, start.first.states, LONG_INCREMENT))
    penalty = term_penalties(start.estimator.library)
    measured = sum(map(len, start.estimator.grid.samples))
    supports = [np.zeros_like(start.free) for _ in DISTRUST]
    for d, own in enumerate(start.free.T):
        A, b = columns[:, own], values[:, d]
        if min(len(b), measured) <= ENOUGH * own.sum():
            for support in supports:
                support[own, d] = True
            continue
        residual = b - A @ np.linalg.lstsq(A, b, rcond=1e-10)[0]
        variance = max(np.mean(residual**2), 1e-300) * LONG_INCREMENT
        matrix, right, equation = A.T @ A / variance, A.T @ b / variance, np.zeros(A.shape[1], dtype=int)
        for factor, support in zip(DISTRUST, supports, strict=True):
            support[own, d] = Quadratic(matrix / factor, right / factor, equation, penalty[own]).sparse()
    different = {support.tobytes(): support for support in supports if support.any()}
    return list(different.values()) or [start.free]
