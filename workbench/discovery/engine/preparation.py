"""Preparation of data for discovery: smoothed states, noise level, scales and window length."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from workbench.discovery.data import Segment, Trajectory, refine, split_segments
from workbench.discovery.engine.blocks import Scaler
from workbench.discovery.engine.responses import Integrator
from workbench.discovery.engine.tangent import Rows
from workbench.discovery.noise import noise_level
from workbench.discovery.smoothing import smooth
from workbench.symbolic.library import Library

SPANS = 4.5
"""Length of the first windows in units of the time in which the fastest variable changes by its standard deviation."""
FINE = 48
"""Grid points per span for which K = 6 derivatives represent an unstable solution to within noise of 1 %."""
FINEST = 4
"""Maximum number of parts of a step; the cost grows with it."""
CLEAN = 1e-3
"""Noise level over standard deviation below which states are not corrected: measured on Lorenz, h = .01, K = 6, where
both ways are equally accurate. J = 0 is insensitive to truncation of unstable solutions, Gauss-Newton to noise."""
FLOOR = 1e-12
"""Lower bound of noise level over standard deviation; its inverse is a weight."""


@dataclass(frozen=True)
class Settings:
    """Settings of `discover`.

    window: grid points of the first windows; 0: chosen from the data.
    min_contribution: see `Criterion`.
    cv_folds: 0: terms are selected by the Bayesian information criterion; 2 or more: by cross-validation over that many
        groups of windows.
    denoise: whether Gauss-Newton iterations follow the first fit; None: if the record has noise.
    fixed_coefficients (C, D): known coefficients in physical units (0: the term is absent), NaN for those to estimate;
        None: all are estimated.
    n_bootstrap: bootstrap resamples, drawn with `seed`.
    """

    derivatives: int = 6
    window: int = 0
    min_contribution: float = 0.002
    cv_folds: int = 0
    denoise: bool | None = None
    fixed_coefficients: np.ndarray | None = None
    n_bootstrap: int = 200
    seed: int = 0
    backend: str = "auto"
    method: str = "qr"


@dataclass(frozen=True, eq=False)
class Prepared:
    """Standardised segments `runs`, smoothed `states` (points, S), NaN in gaps, `noise` (D) and fixed `known` (C, D).

    points: grid points of each trajectory. free (C, D): coefficients to estimate. length: of the first windows. parts:
    parts of each step of the data. denoise: whether Gauss-Newton follows.
    """

    units: Scaler
    rows: Rows
    runs: tuple[Segment, ...]
    points: tuple[int, ...]
    states: Tensor
    noise: Tensor
    known: Tensor
    free: np.ndarray
    length: int
    parts: int
    denoise: bool


def prepare(trajectories: Sequence[Trajectory], library: Library, settings: Settings) -> Prepared:
    """Prepare trajectories for discovery. Raises ValueError for unsuitable data or settings."""
    D, order = len(library.variables), library.order
    coarse = split_segments(trajectories)
    if coarse[0].values.shape[1] != D:
        raise ValueError(f"trajectories: expected {D} variables {library.variables}, found {coarse[0].values.shape[1]}")
    if settings.derivatives <= order:
        raise ValueError(f"derivatives: expected more than the order {order}, found {settings.derivatives}")
    if settings.cv_folds < 0 or settings.cv_folds == 1:
        raise ValueError(f"cv_folds: expected 0 or at least 2, found {settings.cv_folds}")
    noise = noise_level(coarse)
    smoothed = _smoothed(coarse, settings)
    scale = smoothed[:, :D].std(dim=0)
    noisy = bool((noise > CLEAN * scale).any())
    parts = _parts(_span(coarse, smoothed, D), noisy=noisy)
    fine = coarse
    if parts > 1:
        trajectories = [refine(trajectory, parts) for trajectory in trajectories]
        fine = split_segments(trajectories)
        smoothed = _smoothed(fine, settings)
    times = torch.cat([run.times for run in fine])
    units = Scaler.of(smoothed[:, : D * order], library, times)
    free, known = _known(settings.fixed_coefficients, (len(library), D))
    points = tuple(len(trajectory.times) for trajectory in trajectories)
    states = torch.full((sum(points), D * order), torch.nan, dtype=torch.float64)
    places = torch.cat([run.first + torch.arange(len(run)) for run in fine])
    states[places] = smoothed[:, : D * order] / units.scale
    return Prepared(
        units,
        Rows(settings.derivatives, order, settings.backend, settings.method),
        tuple(replace(run, values=run.values / units.own) for run in fine),
        points,
        states,
        (noise / units.own).clamp(min=FLOOR),
        units.standardised(known),
        free,
        parts * settings.window or _length(fine, _span(fine, smoothed, D), settings.derivatives),
        parts,
        noisy or parts > 1 if settings.denoise is None else settings.denoise,
    )


def _smoothed(parts: Sequence[Segment], settings: Settings) -> Tensor:
    """Smoothed variables and derivatives (points, 2 D) of all segments."""
    integrator = Integrator(1.0, settings.derivatives, settings.backend, settings.method)
    return torch.cat([smooth(run, integrator)[0].transpose(1, 2).flatten(1) for run in parts])


def _span(parts: Sequence[Segment], smoothed: Tensor, variables: int) -> float:
    """Grid points in which the fastest variable changes by SPANS standard deviations."""
    states, rates = smoothed.split(variables, dim=1)
    fastest = (rates.square().mean(dim=0).sqrt() / states.std(dim=0).clamp(min=1e-300)).max()
    step = torch.cat([run.times.diff() for run in parts]).median()
    return float(SPANS / (fastest * step).clamp(min=1e-9))


def _parts(span: float, *, noisy: bool) -> int:
    """Parts of each step, at most FINEST, for about FINE grid points per span.

    Noise-free data keep their grid if it is fine enough: J = 0 is then more accurate.
    """
    wanted = min(max(round(FINE / span), 1), FINEST)
    return wanted if noisy or span < FINE / 3 else 1


def _known(known: np.ndarray | None, shape: tuple[int, int]) -> tuple[np.ndarray, Tensor]:
    """Which coefficients are free (C, D), and the values of the others."""
    known = np.full(shape, np.nan) if known is None else np.asarray(known, dtype=float)
    if known.shape != shape or np.isinf(known).any():
        raise ValueError(
            f"fixed_coefficients: expected numbers or NaN, {shape} (candidates, variables), found {known.shape}"
        )
    return np.isnan(known), torch.from_numpy(np.nan_to_num(known, nan=0.0))


def _length(parts: Sequence[Segment], span: float, derivatives: int) -> int:
    """One span, but at most a quarter of the longest segment and at least 2 K grid points."""
    longest, least = max(map(len, parts)), 2 * derivatives
    return min(max(min(round(span), longest // 4), least), longest)
