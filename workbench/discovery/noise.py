"""How large the noise on a record is, told from the record alone."""

from collections.abc import Sequence
from math import sqrt

import torch
from torch import Tensor

from workbench.discovery.data import Segment

ORDERS = (4, 6, 8, 10)
"""Orders of the differences that are tried, in this order."""


def noise_level(parts: Sequence[Segment]) -> Tensor:
    """The standard deviation of white noise on each variable (D), in its unit.

    median |d| / 0.6745 for divided differences d of order m, each over the length of its weights: white noise gives its
    own standard deviation for every m, a smooth motion gives less the higher m is. Where the sampling is coarse and
    order 4 still holds some of the motion, a higher order gives clearly less, and is taken: clearly is by more than
    four times the error of a median over so many points, and 5 %.
    Raises ValueError for runs of fewer than five grid points each.
    Source: Rousseeuw, Croux, "Alternatives to the median absolute deviation" (1993), for the median.
    """
    level, points = None, sum(map(len, parts))
    for order in ORDERS:
        found = _level(parts, order)
        if found is None:
            break
        clearly = 1 - max(0.05, 4 / sqrt(points))
        level = found if level is None else torch.where(found < clearly * level, found, level)
    if level is None:
        raise ValueError(f"the record: expected at least 5 grid points without a gap, found {max(map(len, parts))}")
    return level


def _level(parts: Sequence[Segment], order: int) -> Tensor | None:
    """The estimate from differences of one order, None where no run is long enough."""
    differences = [_differences(run, order) for run in parts if len(run) > order]
    if not differences:
        return None
    return torch.cat(differences).abs().nanmedian(dim=0).values.nan_to_num(nan=0.0) / 0.6745


def _differences(run: Segment, order: int) -> Tensor:
    """Divided differences of `order` over the root of the sum of their squared weights (N - order, D)."""
    times = run.times.unfold(0, order + 1, 1) / run.times.diff().median()
    apart = times[..., :, None] - times[..., None, :] + torch.eye(order + 1, dtype=times.dtype)
    weights = 1 / apart.prod(dim=-1)
    weights = weights / weights.norm(dim=-1, keepdim=True)
    return torch.einsum("ndj,nj->nd", run.values.unfold(0, order + 1, 1), weights)
