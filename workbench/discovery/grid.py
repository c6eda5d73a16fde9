"""The grid of a whole-record estimate: the grid points of all trajectories in one sequence."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import factorial

import torch
from torch import Tensor

from workbench.discovery.data import Trajectory

MOST_PARTS = 16
"""Largest number of parts of one step between measurements; a longer gap is not bridged."""


@dataclass(frozen=True, eq=False)
class RecordGrid:
    """Times (T), steps (T - 1), values (T, D), NaN where not measured, of all trajectories in one sequence.

    linked (T - 1): whether two neighbouring grid points belong to one solution; False between trajectories and across
    gaps. The steps of unlinked neighbours are arbitrary positive numbers. samples: for each trajectory, the indices of
    its measurements among the grid points.
    """

    times: Tensor
    steps: Tensor
    values: Tensor
    linked: Tensor
    samples: tuple[Tensor, ...]

    def __len__(self) -> int:
        return len(self.times)

    def refined(self, parts: Tensor) -> "RecordGrid":
        """The grid with each linked step divided into its number of `parts` (T - 1)."""
        positions, start, fraction = self._division(parts)
        times = torch.cat([self.times[start] + self.steps[start] * fraction, self.times[-1:]])
        steps = (self.steps / torch.where(self.linked, parts, 1))[start]
        samples = tuple(positions[own] for own in self.samples)
        return RecordGrid(times, steps, self.spread(self.values, parts), self.linked[start], samples)

    def spread(self, values: Tensor, parts: Tensor) -> Tensor:
        """Values (T, D) at the grid points of the refined grid, NaN between them."""
        positions = self._division(parts)[0]
        result = values.new_full((int(positions[-1]) + 1, values.shape[1]), torch.nan)
        result[positions] = values
        return result

    def interpolated(self, states: Tensor, parts: Tensor) -> Tensor:
        """States and derivatives (T, D, K) on the refined grid, by Taylor polynomials of both neighbours."""
        _, start, fraction = self._division(parts)
        blend, step = fraction[:, None, None], self.steps[start]
        ahead = _expanded(states[start], fraction * step)
        behind = _expanded(states[start + 1], (fraction - 1) * step)
        between = torch.where(blend == 0, ahead, (1 - blend) * ahead + blend * behind)
        return torch.cat([between, states[-1:]])

    def _division(self, parts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Positions (T) of the grid points in the refined grid; index of the step and fraction of it of its points."""
        parts = torch.where(self.linked, parts, 1)
        positions = torch.cat([torch.zeros(1, dtype=torch.long), parts.cumsum(0)])
        start = torch.repeat_interleave(torch.arange(len(self.steps)), parts)
        fraction = (torch.arange(len(start)) - positions[start]).to(self.times.dtype) / parts[start]
        return positions, start, fraction

    @property
    def present(self) -> Tensor:
        """Which values are measured (T, D)."""
        return ~self.values.isnan()


def build_grid(trajectories: Sequence[Trajectory], longest_step: float = float("inf")) -> RecordGrid:
    """The measurements of trajectories, with steps longer than `longest_step` divided into equal parts.

    A step that would need more than MOST_PARTS parts is a gap: it is not divided, and its ends are not linked.
    Raises ValueError for no trajectory, no measured value or different numbers of variables.
    """
    widths = {trajectory.values.shape[1] for trajectory in trajectories}
    if len(widths) != 1:
        raise ValueError(f"trajectories: expected one or more with equal numbers of variables, found {sorted(widths)}")
    if all(trajectory.values.isnan().all() for trajectory in trajectories):
        raise ValueError("trajectories: expected measured values, found none")
    times, values, linked, samples, offset = [], [], [], [], 0
    for trajectory in trajectories:
        own_times, indices, own_linked = _divide(trajectory.times, longest_step)
        own_values = trajectory.values.new_full((len(own_times), trajectory.values.shape[1]), torch.nan)
        own_values[indices] = trajectory.values
        times.append(own_times)
        values.append(own_values)
        linked += [own_linked, torch.zeros(1, dtype=torch.bool)]
        samples.append(indices + offset)
        offset += len(own_times)
    joined, links = torch.cat(times), torch.cat(linked)[:-1]
    steps = joined.diff()
    typical = steps[links].median() if links.any() else steps.new_tensor(1.0)
    return RecordGrid(joined, torch.where(links, steps, typical), torch.cat(values), links, tuple(samples))


def _divide(times: Tensor, longest: float) -> tuple[Tensor, Tensor, Tensor]:
    """Grid points (T), indices (N) of `times` among them, and links (T - 1)."""
    steps = times.diff()
    parts = (steps / longest * (1 - 1e-9)).nan_to_num(nan=1.0).ceil().clamp(1, MOST_PARTS + 1).long()
    bridged = parts <= MOST_PARTS
    parts = torch.where(bridged, parts, 1)
    indices = torch.cat([parts.new_zeros(1), parts.cumsum(0)])
    start = torch.repeat_interleave(torch.arange(len(steps)), parts)
    fraction = (torch.arange(len(start)) - indices[start]).to(times.dtype) / parts[start]
    grid = torch.cat([times[start] + steps[start] * fraction, times[-1:]])
    return grid, indices, torch.repeat_interleave(bridged, parts)


def _expanded(states: Tensor, step: Tensor) -> Tensor:
    """Taylor polynomials of states (N, D, K) and their derivatives after steps (N)."""
    K = states.shape[-1]
    powers = step.to(states.dtype)[:, None, None] ** torch.arange(K)
    factorials = torch.tensor([float(factorial(k)) for k in range(K)], dtype=states.dtype)
    terms = powers / factorials
    columns = [(states[..., k:] * terms[..., : K - k]).sum(dim=-1) for k in range(K)]
    return torch.stack(columns, dim=-1)
