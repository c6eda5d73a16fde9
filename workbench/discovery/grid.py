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

    def refined(self, parts: int) -> "RecordGrid":
        """The grid with each linked step divided into `parts` equal steps."""
        index, start = self._positions(parts), self._starts(parts)
        fraction = (torch.arange(len(start)) - index[start]).to(self.times.dtype) / torch.where(self.linked, parts, 1)[
            start
        ]
        times = torch.cat([self.times[start] + self.steps[start] * fraction, self.times[-1:]])
        steps = (self.steps / torch.where(self.linked, parts, 1))[start]
        samples = tuple(index[own] for own in self.samples)
        return RecordGrid(times, steps, self.spread(self.values, parts), self.linked[start], samples)

    def spread(self, values: Tensor, parts: int) -> Tensor:
        """Values (T, D) at the grid points of the grid refined by `parts`, NaN between them."""
        index = self._positions(parts)
        result = values.new_full((int(index[-1]) + 1, values.shape[1]), torch.nan)
        result[index] = values
        return result

    def interpolated(self, states: Tensor, parts: int) -> Tensor:
        """States and derivatives (T, D, K) on the grid refined by `parts`, by Taylor polynomials of both neighbours."""
        index, start = self._positions(parts), self._starts(parts)
        fraction = (torch.arange(len(start)) - index[start]).to(states.dtype) / torch.where(self.linked, parts, 1)[
            start
        ]
        blend, step = fraction[:, None, None], self.steps[start]
        ahead = _expanded(states[start], fraction * step)
        behind = _expanded(states[start + 1], (fraction - 1) * step)
        between = torch.where(blend == 0, ahead, (1 - blend) * ahead + blend * behind)
        return torch.cat([between, states[-1:]])

    def _positions(self, parts: int) -> Tensor:
        """Indices (T) of the grid points in the grid refined by `parts`."""
        return torch.cat([torch.zeros(1, dtype=torch.long), torch.where(self.linked, parts, 1).cumsum(0)])

    def _starts(self, parts: int) -> Tensor:
        """Index of the step of every refined grid point but the last."""
        return torch.repeat_interleave(torch.arange(len(self.steps)), torch.where(self.linked, parts, 1))

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
