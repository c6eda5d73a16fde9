"""Records as discovery takes them: trajectories with gaps, cut into windows that use each value once."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

GAP = 4.0
"""A time between measurements of more than this many medians of it is a gap: no window spans it."""


@dataclass(frozen=True, eq=False)
class Trajectory:
    """One record: values (N, D) at times (N), which increase evenly or not; NaN: not measured.

    Raises ValueError saying what was expected for other shapes, infinite values or times that do not increase.
    """

    times: Tensor
    values: Tensor

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.times.shape != self.values.shape[:1] or len(self.times) < 2:
            raise ValueError(
                f"a trajectory: expected values (N, D) at N times, two or more, "
                f"found {tuple(self.values.shape)} at {tuple(self.times.shape)}"
            )
        if not (self.times.isfinite().all() and (self.times.diff() > 0).all()):
            raise ValueError("times: expected finite numbers that increase, found others")
        if self.values.isinf().any():
            raise ValueError("values: expected numbers, NaN where there is none, found infinite ones")


def refined(trajectory: Trajectory, parts: int) -> Trajectory:
    """The same on a finer grid: every step in so many equal parts, nothing measured in between."""
    N, D = trajectory.values.shape
    share = torch.arange(parts, dtype=trajectory.times.dtype) / parts
    between = trajectory.times[:-1, None] + trajectory.times.diff()[:, None] * share
    values = trajectory.values.new_full(((N - 1) * parts + 1, D), torch.nan)
    values[::parts] = trajectory.values
    return Trajectory(torch.cat([between.flatten(), trajectory.times[-1:]]), values)


@dataclass(frozen=True, eq=False)
class Segment:
    """A stretch of a trajectory without a gap; `first`: the place of its first grid point among all grid points."""

    first: int
    times: Tensor
    values: Tensor

    def __len__(self) -> int:
        return len(self.times)


def runs(trajectories: Sequence[Trajectory]) -> list[Segment]:
    """The trajectories one after the other, cut at gaps and where no variable was measured for as long.

    Raises ValueError if there is none, or if they differ in their number of variables.
    """
    widths = {trajectory.values.shape[1] for trajectory in trajectories}
    if len(widths) != 1:
        raise ValueError(f"trajectories: expected at least one, all of the same variables, found {sorted(widths)}")
    found, offset = [], 0
    for trajectory in trajectories:
        seen = (~trajectory.values.isnan()).any(dim=1).nonzero()[:, 0]
        if len(seen) > 1:
            waits = trajectory.times[seen].diff()
            cuts = (waits > GAP * waits.median()).nonzero()[:, 0] + 1
            for part in seen.tensor_split(cuts.tolist()):
                inside = slice(int(part[0]), int(part[-1]) + 1)
                found.append(Segment(offset + inside.start, trajectory.times[inside], trajectory.values[inside]))
        offset += len(trajectory.times)
    if not found:
        raise ValueError("trajectories: expected measured values, found none")
    return found


@dataclass(frozen=True, eq=False)
class Windows:
    """W windows of T grid points: times (W, T), values (W, T, D), 0 where not `present` (W, T, D).

    places (W, T): of the grid points among all of them. steps: (1, 1) if sampling is even, else (W, T - 1).
    """

    times: Tensor
    values: Tensor
    present: Tensor
    places: Tensor
    steps: Tensor

    def __len__(self) -> int:
        return len(self.times)

    @property
    def length(self) -> int:
        return self.times.shape[1]

    @property
    def fresh(self) -> Tensor:
        """Whether a grid point is in no earlier window (W, T)."""
        return torch.cat([self.places[:1] == self.places[:1], self.places[1:] > self.places[:-1, -1:]])


def cut(parts: Sequence[Segment], length: int) -> Windows:
    """Windows of `length` one after the other; the last of a run ends with it, and what overlaps is not used twice.

    Runs shorter than that are left out. Raises ValueError if that leaves none.
    """
    usable = [run for run in parts if len(run) >= length]
    if not usable:
        longest = max(map(len, parts))
        raise ValueError(f"the window ({length} grid points) is longer than the record ({longest} grid points)")
    times, values, present, places = [], [], [], []
    for run in usable:
        starts = torch.tensor([*range(0, len(run) - length, length), len(run) - length])
        index = starts[:, None] + torch.arange(length)
        data, new = run.values[index], torch.ones(index.shape, dtype=torch.bool)
        new[1:] = index[1:] > index[:-1, -1:]
        times.append(run.times[index])
        values.append(data.nan_to_num(nan=0.0))
        present.append(new[..., None] & ~data.isnan())
        places.append(run.first + index)
    joined = torch.cat(times)
    return Windows(joined, torch.cat(values), torch.cat(present), torch.cat(places), steps_of(joined))


def steps_of(times: Tensor) -> Tensor:
    """The steps between times (..., T): (1, 1) if they are all the same within rounding, else (..., T - 1)."""
    steps = times.diff(dim=-1)
    mean = steps.mean()
    # times of a table are rounded; 1e-6 of a step is far below what any state can tell
    return mean.reshape(1, 1) if ((steps - mean).abs() <= 1e-6 * mean).all() else steps
