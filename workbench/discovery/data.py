"""Trajectories with gaps, segments without gaps, and windows of equal length."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

GAP = 4.0
"""Longest step between measurements, in median steps, that is not a gap. Windows do not span gaps."""


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Values (N, D) at increasing times (N), evenly spaced or not; NaN where not measured.

    Raises ValueError for other shapes, infinite values or times that do not increase.
    """

    times: Tensor
    values: Tensor

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.times.shape != self.values.shape[:1] or len(self.times) < 2:
            raise ValueError(
                f"trajectory: expected values (N, D) at N >= 2 times, "
                f"found {tuple(self.values.shape)} at {tuple(self.times.shape)}"
            )
        if not (self.times.isfinite().all() and (self.times.diff() > 0).all()):
            raise ValueError("times: expected finite, increasing numbers")
        if self.values.isinf().any():
            raise ValueError("values: expected finite numbers or NaN, found infinite ones")


def head(trajectories: Sequence[Trajectory], points: int) -> list[Trajectory]:
    """The first `points` times of all trajectories; at least two of each trajectory."""
    found: list[Trajectory] = []
    left = points
    for trajectory in trajectories:
        if left >= 2 or not found:
            found.append(Trajectory(trajectory.times[:left], trajectory.values[:left]))
            left -= len(found[-1].times)
    return found


def refine(trajectory: Trajectory, parts: int) -> Trajectory:
    """The trajectory on a finer grid, with each step split into `parts` equal steps; new values are NaN."""
    N, D = trajectory.values.shape
    fraction = torch.arange(parts, dtype=trajectory.times.dtype) / parts
    between = trajectory.times[:-1, None] + trajectory.times.diff()[:, None] * fraction
    values = trajectory.values.new_full(((N - 1) * parts + 1, D), torch.nan)
    values[::parts] = trajectory.values
    return Trajectory(torch.cat([between.flatten(), trajectory.times[-1:]]), values)


@dataclass(frozen=True, eq=False)
class Segment:
    """Part of a trajectory without gaps. first: index of its first grid point among those of all trajectories."""

    first: int
    times: Tensor
    values: Tensor

    def __len__(self) -> int:
        return len(self.times)


def split_segments(trajectories: Sequence[Trajectory]) -> list[Segment]:
    """The trajectories, split at gaps, including times without any measurement that are as long as a gap.

    Raises ValueError for no trajectory, no measured value or different numbers of variables.
    """
    widths = {trajectory.values.shape[1] for trajectory in trajectories}
    if len(widths) != 1:
        raise ValueError(f"trajectories: expected one or more with equal numbers of variables, found {sorted(widths)}")
    segments, offset = [], 0
    for trajectory in trajectories:
        measured = (~trajectory.values.isnan()).any(dim=1).nonzero()[:, 0]
        if len(measured) > 1:
            steps = trajectory.times[measured].diff()
            cuts = (steps > GAP * steps.median()).nonzero()[:, 0] + 1
            for part in measured.tensor_split(cuts.tolist()):
                inside = slice(int(part[0]), int(part[-1]) + 1)
                segments.append(Segment(offset + inside.start, trajectory.times[inside], trajectory.values[inside]))
        offset += len(trajectory.times)
    if not segments:
        raise ValueError("trajectories: expected measured values, found none")
    return segments


@dataclass(frozen=True, eq=False)
class Windows:
    """W windows of T grid points: times (W, T), values (W, T, D), 0 where not `present` (W, T, D).

    indices (W, T): of the grid points among those of all trajectories. steps: (1, 1) for even sampling, else
    (W, T - 1).
    """

    times: Tensor
    values: Tensor
    present: Tensor
    indices: Tensor
    steps: Tensor

    def __len__(self) -> int:
        return len(self.times)

    @property
    def length(self) -> int:
        return self.times.shape[1]

    @property
    def is_first(self) -> Tensor:
        """Whether a grid point is in no earlier window (W, T)."""
        return torch.cat([self.indices[:1] == self.indices[:1], self.indices[1:] > self.indices[:-1, -1:]])


def split_windows(segments: Sequence[Segment], length: int) -> Windows:
    """Consecutive windows of `length`; the last window of a segment ends with it, and its overlap is not `present`.

    Shorter segments are omitted. Raises ValueError if none remains.
    """
    usable = [segment for segment in segments if len(segment) >= length]
    if not usable:
        longest = max(map(len, segments))
        raise ValueError(f"the window ({length} grid points) is longer than the record ({longest} grid points)")
    times, values, present, indices = [], [], [], []
    for segment in usable:
        starts = torch.tensor([*range(0, len(segment) - length, length), len(segment) - length])
        index = starts[:, None] + torch.arange(length)
        data, new = segment.values[index], torch.ones(index.shape, dtype=torch.bool)
        new[1:] = index[1:] > index[:-1, -1:]
        times.append(segment.times[index])
        values.append(data.nan_to_num(nan=0.0))
        present.append(new[..., None] & ~data.isnan())
        indices.append(segment.first + index)
    joined = torch.cat(times)
    return Windows(joined, torch.cat(values), torch.cat(present), torch.cat(indices), steps_of(joined))


def steps_of(times: Tensor) -> Tensor:
    """Steps between times (..., T): (1, 1) if they are equal within rounding, else (..., T - 1)."""
    steps = times.diff(dim=-1)
    mean = steps.mean()
    # times in tables are rounded; 1e-6 of a step does not affect the states measurably
    return mean.reshape(1, 1) if ((steps - mean).abs() <= 1e-6 * mean).all() else steps
