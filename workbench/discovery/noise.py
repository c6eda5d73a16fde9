"""Estimate noise levels from divided differences, and whether the noise is proportional to the state."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor

from workbench.discovery.data import Segment

ORDERS = (4, 6, 8, 10)
"""Orders of the differences, in the order in which they are tried."""
SMALLEST = 0.03
"""State below which proportional noise is constant, in root mean squares of the variable."""
PREFERRED = 10.0
"""Least difference of -2 log likelihood for which the noise is taken as proportional to the state."""


def noise_level(segments: Sequence[Segment]) -> Tensor:
    """Standard deviation (D) of white noise on each variable, in its unit.

    median |d| / 0.6745 for divided differences d of order m with normalised weights: white noise gives its standard
    deviation for every m, smooth dynamics a contribution that decreases with m. A higher order replaces order 4 where
    it is smaller by more than 5 % and four standard errors of the median, as it is for coarse sampling.
    Raises ValueError if every segment has fewer than five grid points.
    Source: Rousseeuw, Croux, "Alternatives to the median absolute deviation" (1993), for the median.
    """
    level, points = None, sum(map(len, segments))
    for order in ORDERS:
        estimate = _level(segments, order)
        if estimate is None:
            break
        threshold = 1 - max(0.05, 4 / sqrt(points))
        level = estimate if level is None else torch.where(estimate < threshold * level, estimate, level)
    if level is None:
        raise ValueError(f"data: expected at least 5 grid points without a gap, found {max(map(len, segments))}")
    return level


def _level(segments: Sequence[Segment], order: int) -> Tensor | None:
    """The estimate from differences of one order, None if no segment is long enough."""
    differences = [_differences(segment, order) for segment in segments if len(segment) > order]
    if not differences:
        return None
    return torch.cat(differences).abs().nanmedian(dim=0).values.nan_to_num(nan=0.0) / 0.6745


def _differences(segment: Segment, order: int) -> Tensor:
    """Divided differences (N - order, D) of `order`, with weights of unit norm."""
    times = segment.times.unfold(0, order + 1, 1) / segment.times.diff().median()
    spacing = times[..., :, None] - times[..., None, :] + torch.eye(order + 1, dtype=times.dtype)
    weights = 1 / spacing.prod(dim=-1)
    weights = weights / weights.norm(dim=-1, keepdim=True)
    return torch.einsum("ndj,nj->nd", segment.values.unfold(0, order + 1, 1), weights)


@dataclass(frozen=True, eq=False)
class NoiseShape:
    """Standard deviation (N, D) of noise over its root mean square: constant, or proportional to the state.

    counted (N, D): measurements that determine the level. Those of a state too small for proportional noise do not.
    """

    relative: Tensor
    counted: Tensor

    def level(self, residuals: Tensor, parameters: float = 0.0) -> Tensor:
        """Root mean square noise level (D) by residuals (N, D) of a fit with `parameters` parameters per variable."""
        squares = (residuals / self.relative).square().where(self.counted, 0.0).sum(dim=0)
        return (squares / (self.counted.sum(dim=0) - parameters).clamp(min=1.0)).sqrt()


def noise_shape(residuals: Tensor, states: Tensor) -> NoiseShape:
    """The shape of noise: for each variable proportional to the state if that explains the residuals better.

    residuals (N, D): of the measurements, NaN where there is none. states (N, D): estimates without noise. Proportional
    noise is taken as constant where |x| < SMALLEST rms x. It needs a -2 log likelihood lower by PREFERRED.
    """
    present = ~residuals.isnan()
    count = present.sum(dim=0)
    least = SMALLEST * (states.square().where(present, 0.0).sum(dim=0) / count).sqrt().clamp(min=1e-300)
    proportional = torch.maximum(states.abs(), least)
    proportional = proportional / (proportional.square().where(present, 0.0).sum(dim=0) / count).sqrt()
    shape = NoiseShape(proportional, present & (states.abs() >= least))
    constant = NoiseShape(torch.ones_like(states), present)
    same, other = (_unlikelihood(own, residuals, shape.counted) for own in (constant, shape))
    chosen = other < same - PREFERRED
    return NoiseShape(torch.where(chosen, proportional, 1.0), torch.where(chosen, shape.counted, present))


def _unlikelihood(shape: NoiseShape, residuals: Tensor, among: Tensor) -> Tensor:
    """-2 log likelihood (D) of Gaussian residuals at the best level, but for a constant, where `among` (N, D)."""
    squares = (residuals / shape.relative).square().where(among, 0.0).sum(dim=0)
    return among.sum(dim=0) * squares.log() + 2 * shape.relative.log().where(among, 0.0).sum(dim=0)
