"""What a record says before there is any equation: smooth states, noise, units, and how long windows should be."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from workbench.models.blocks import Units
from workbench.models.library import Library
from workbench.models.noise import noise_level
from workbench.models.responses import Integrator
from workbench.models.smoothing import smooth
from workbench.models.tangent import Rows
from workbench.models.trajectories import Run, Trajectory, runs

SPANS = 4.5
"""Length of the first windows in units of the time in which the fastest variable changes by its standard deviation."""
FLOOR = 1e-12
"""Noise is at least that share of the standard deviation: weights are one over it."""


@dataclass(frozen=True)
class Settings:
    """How to discover.

    window: grid points of the first windows, 0: chosen from the data. share: see `Criterion`. denoise: whether rounds
    of Gauss-Newton follow the first fit, None: if the record has noise. known (C, D): coefficients that are known, in
    physical units (0: the term is absent), NaN for those that are sought; None: all are sought. draws: bootstrap
    samples, drawn with `seed`.
    """

    derivatives: int = 6
    window: int = 0
    share: float = 0.002
    denoise: bool | None = None
    known: np.ndarray | None = None
    draws: int = 200
    seed: int = 0
    backend: str = "auto"
    method: str = "qr"


@dataclass(frozen=True, eq=False)
class Prepared:
    """Standardised: runs, smooth `states` (points, S), `noise` (D), `known` (C, D); NaN states where no run is.

    points: how many grid points each trajectory has. free (C, D): which coefficients are sought. length: of the first
    windows.
    """

    units: Units
    rows: Rows
    runs: tuple[Run, ...]
    points: tuple[int, ...]
    states: Tensor
    noise: Tensor
    known: Tensor
    free: np.ndarray
    length: int


def prepare(trajectories: Sequence[Trajectory], library: Library, settings: Settings) -> Prepared:
    """Raises ValueError, in words, for what nothing can be discovered from."""
    D, order = len(library.variables), library.order
    parts = runs(trajectories)
    if parts[0].values.shape[1] != D:
        raise ValueError(f"trajectories: expected {D} variables {library.variables}, found {parts[0].values.shape[1]}")
    if settings.derivatives <= order:
        raise ValueError(f"derivatives: expected more than the order {order}, found {settings.derivatives}")
    noise = noise_level(parts)
    integrator = Integrator(1.0, settings.derivatives, settings.backend, settings.method)
    points = tuple(len(trajectory.times) for trajectory in trajectories)
    states = torch.full((sum(points), 2 * D), torch.nan, dtype=torch.float64)
    times = torch.full((sum(points),), torch.nan, dtype=torch.float64)
    for run in parts:
        inside = slice(run.first, run.first + len(run))
        states[inside] = smooth(run, integrator)[0].transpose(1, 2).flatten(1)
        times[inside] = run.times
    there = ~times.isnan()
    units = Units.of(states[there, : D * order], library, times[there])
    free, known = _known(settings.known, (len(library), D))
    rates = (states[there, D:] / units.own).square().mean(dim=0).sqrt().max()
    return Prepared(
        units,
        Rows(settings.derivatives, order, settings.backend, settings.method),
        tuple(replace(run, values=run.values / units.own) for run in parts),
        points,
        states[:, : D * order] / units.scale,
        (noise / units.own).clamp(min=FLOOR),
        units.standardised(known),
        free,
        settings.window or _length(parts, float(rates), settings.derivatives),
    )


def _known(known: np.ndarray | None, shape: tuple[int, int]) -> tuple[np.ndarray, Tensor]:
    """Which coefficients are free, and the values of the others."""
    known = np.full(shape, np.nan) if known is None else np.asarray(known, dtype=float)
    if known.shape != shape or np.isinf(known).any():
        raise ValueError(f"known: expected numbers or NaN, {shape} (candidates, variables), found {known.shape}")
    return np.isnan(known), torch.from_numpy(np.nan_to_num(known, nan=0.0))


def _length(parts: Sequence[Run], rate: float, derivatives: int) -> int:
    """SPANS changes of the fastest variable, at least four windows in the longest run, never fewer than 2 K points."""
    step = float(torch.cat([run.times.diff() for run in parts]).median())
    longest, least = max(map(len, parts)), 2 * derivatives
    wanted = round(SPANS / max(rate * step, 1e-9))
    return min(max(min(wanted, longest // 4), least), longest)
