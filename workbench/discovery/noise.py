"""Estimate noise levels from divided differences."""

from collections.abc import Sequence
from math import sqrt

import torch
from torch import Tensor

from workbench.discovery.data import Segment

ORDERS = (4, 6, 8, 10)
"""Orders of the differences, in the order in which they are tried."""


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
