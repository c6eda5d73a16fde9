"""What a record says before there is any equation: smooth states, noise, units, and how long windows should be."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from workbench.discovery.data import Segment, Trajectory, refined, runs
from workbench.discovery.engine.blocks import Scaler
from workbench.discovery.engine.responses import Integrator
from workbench.discovery.engine.tangent import Rows
from workbench.discovery.noise import noise_level
from workbench.discovery.smoothing import smooth
from workbench.symbolic.library import Library

SPANS = 4.5
"""Length of the first windows in units of the time in which the fastest variable changes by its standard deviation."""
FINE = 48
"""Grid points in a span that K = 6 derivatives need to follow an unstable solution as closely as noise of 1 % tells."""
FINEST = 4
"""Parts of a step, at most: the work grows with them."""
CLEAN = 1e-3
"""Noise over the standard deviation below which the states are left as they are: measured on Lorenz, h = .01, K = 6,
where both ways are as good: J = 0 does not mind the truncation of unstable solutions, Gauss-Newton not the noise."""
FLOOR = 1e-12
"""Noise is at least that share of the standard deviation: weights are one over it."""


@dataclass(frozen=True)
class Settings:
    """How to discover.

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
    """Standardised: runs, smooth `states` (points, S), `noise` (D), `known` (C, D); NaN states where no run is.

    points: how many grid points each trajectory has. free (C, D): which coefficients are sought. length: of the first
    windows. parts: into how many each step of the record was divided. denoise: whether Gauss-Newton is to follow.
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
    """Raises ValueError, in words, for what nothing can be discovered from."""
    D, order = len(library.variables), library.order
    coarse = runs(trajectories)
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
        trajectories = [refined(trajectory, parts) for trajectory in trajectories]
        fine = runs(trajectories)
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
    """Smooth variables and their derivatives of all runs, one after the other (points of runs, 2 D)."""
    integrator = Integrator(1.0, settings.derivatives, settings.backend, settings.method)
    return torch.cat([smooth(run, integrator)[0].transpose(1, 2).flatten(1) for run in parts])


def _span(parts: Sequence[Segment], smoothed: Tensor, variables: int) -> float:
    """Grid points in which the fastest variable changes SPANS times by its standard deviation."""
    states, rates = smoothed.split(variables, dim=1)
    fastest = (rates.square().mean(dim=0).sqrt() / states.std(dim=0).clamp(min=1e-300)).max()
    step = torch.cat([run.times.diff() for run in parts]).median()
    return float(SPANS / (fastest * step).clamp(min=1e-9))


def _parts(span: float, *, noisy: bool) -> int:
    """In how many parts each step is divided, so that a span has about FINE grid points; at most FINEST.

    A record without noise is left as it is where that will do: J = 0 is then the more accurate way.
    """
    wanted = min(max(round(FINE / span), 1), FINEST)
    return wanted if noisy or span < FINE / 3 else 1


def _known(known: np.ndarray | None, shape: tuple[int, int]) -> tuple[np.ndarray, Tensor]:
    """Which coefficients are free, and the values of the others."""
    known = np.full(shape, np.nan) if known is None else np.asarray(known, dtype=float)
    if known.shape != shape or np.isinf(known).any():
        raise ValueError(
            f"fixed_coefficients: expected numbers or NaN, {shape} (candidates, variables), found {known.shape}"
        )
    return np.isnan(known), torch.from_numpy(np.nan_to_num(known, nan=0.0))


def _length(parts: Sequence[Segment], span: float, derivatives: int) -> int:
    """A span, but at least four windows in the longest run, and never fewer than 2 K points."""
    longest, least = max(map(len, parts)), 2 * derivatives
    return min(max(min(round(span), longest // 4), least), longest)
