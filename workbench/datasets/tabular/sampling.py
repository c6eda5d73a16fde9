"""Sort and merge times, split trajectories, and detect a uniform grid and its missing points."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from workbench.datasets.tabular.sheet import Sheet, TableError

UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0, "day": 86400.0, "year": 365.25 * 86400.0}
"""Units of time in seconds."""
UNIT_NAMES = {
    "s": ("s", "sec", "secs", "second", "seconds"),
    "min": ("min", "minute", "minutes"),
    "h": ("h", "hour", "hours"),
    "day": ("day", "days"),
    "week": ("week", "weeks"),
    "month": ("month", "months"),
    "year": ("year", "years"),
}
"""Names of units as they occur in the names of time columns."""
MAX_OFF_GRID = 0.02
"""Largest deviation from a uniform grid, in steps, that counts as rounding."""
GAP = 4
"""Longest gap, in steps, whose missing points are filled with NaN; a record is split at longer gaps."""
MAX_REPEATED = 0.1
"""Fraction of rows that may repeat the time of another row."""


@dataclass(frozen=True, eq=False)
class RawTrajectory:
    """Values (N, D) at times (N), their sheet and the rows in it (-1: filled in)."""

    label: str
    times: np.ndarray
    values: np.ndarray
    sheet: Sheet
    origin: np.ndarray

    def __len__(self) -> int:
        return len(self.times)

    def at(self, index: np.ndarray) -> "RawTrajectory":
        """A subset of the points, by mask or indices."""
        return replace(self, times=self.times[index], values=self.values[index], origin=self.origin[index])

    def place(self, row: int) -> str:
        """`line 7`."""
        return self.sheet.place(self.origin[row])


def numeric_times(columns: Sequence[np.ndarray]) -> tuple[list[np.ndarray], str, str]:
    """Times of all sheets as numbers, their unit and their origin; both are "" for numbers, which are unchanged.

    Dates are converted to the time since the first date, in the largest unit of which the data span at least ten.
    """
    if columns[0].dtype.kind != "M":
        return list(columns), "", ""
    present = np.concatenate([column[~np.isnat(column)] for column in columns])
    if len(present) == 0:
        return [np.full(len(column), np.nan) for column in columns], "s", ""
    start = present.min()
    seconds = (present.max() - start) / np.timedelta64(1, "s")
    unit = next((name for name in reversed(UNITS) if seconds >= 10 * UNITS[name]), "s")
    times = []
    for column in columns:
        values = (column - start) / np.timedelta64(1, "s") / UNITS[unit]
        times.append(np.where(np.isnat(column), np.nan, values))
    return times, unit, str(np.datetime_as_string(start, unit="s"))


def unit_from_name(name: str) -> str:
    """The unit in the name of a time column such as `time_s` or `days`; "" if there is none."""
    words = re.split(r"[^a-z]+", name.lower())
    if words[0] not in ("t", "time"):
        words = words[:1]
    return next((unit for unit, names in UNIT_NAMES.items() if words[-1] in names), "")


def split_trajectories(whole: RawTrajectory, groups: np.ndarray | None, warnings: list[str]) -> list[RawTrajectory]:
    """The trajectories of a sheet, by the values of `groups` or where time restarts; sorted, times unique."""
    whole = _drop_missing_times(whole, warnings)
    if groups is not None:
        groups = groups[whole.origin]
        parts = [replace(whole.at(groups == value), label=_label(value)) for value in dict.fromkeys(groups.tolist())]
        return [_sorted(part, warnings) for part in parts]
    restarts = _restarts(whole.times)
    if not len(restarts):
        return [_sorted(whole, warnings)]
    count = len(restarts) + 1
    warnings.append(f"{whole.sheet.name}: {_decrease(whole, restarts[0])}; split into {count} trajectories")
    parts = np.split(np.arange(len(whole)), restarts)
    return [_sorted(replace(whole.at(part), label=str(i)), warnings) for i, part in enumerate(parts, start=1)]


def _label(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _decrease(trajectory: RawTrajectory, row: int) -> str:
    """`line 7: time decreases from 3 to 2`."""
    before, after = trajectory.times[row - 1], trajectory.times[row]
    return f"{trajectory.place(row)}: time decreases from {before:g} to {after:g}"


def _drop_missing_times(trajectory: RawTrajectory, warnings: list[str]) -> RawTrajectory:
    """The rows that have a time. Raises TableError if none has."""
    absent = ~np.isfinite(trajectory.times)
    if absent.all():
        raise trajectory.sheet.error("the time column is empty")
    if absent.any():
        first = trajectory.place(int(np.argmax(absent)))
        warnings.append(f"{trajectory.sheet.name}: {first} has no time; {_rows(absent.sum())} dropped")
    return trajectory.at(~absent)


def _restarts(times: np.ndarray) -> np.ndarray:
    """Indices where time restarts.

    Time restarts if all parts have 5 rows or more and each begins before the middle of the previous one; otherwise the
    rows are unsorted and there are no restarts.
    """
    decreases = np.flatnonzero(np.diff(times) < 0) + 1
    if not len(decreases):
        return decreases
    parts = np.split(times, decreases)
    long = min(map(len, parts)) >= 5
    far = all(after[0] <= before[0] + 0.5 * (before[-1] - before[0]) for before, after in pairwise(parts))
    return decreases if long and far else decreases[:0]


def _sorted(trajectory: RawTrajectory, warnings: list[str]) -> RawTrajectory:
    decreases = np.flatnonzero(np.diff(trajectory.times) < 0)
    if len(decreases):
        warnings.append(f"{trajectory.sheet.name}: {_decrease(trajectory, int(decreases[0]) + 1)}; rows sorted by time")
        trajectory = trajectory.at(np.argsort(trajectory.times, kind="stable"))
    return _merge_repeated(trajectory, warnings)


def _merge_repeated(trajectory: RawTrajectory, warnings: list[str]) -> RawTrajectory:
    """Average rows of equal times. Raises TableError if there are many."""
    repeated = np.concatenate([[False], np.diff(trajectory.times) == 0])
    if not repeated.any():
        return trajectory
    first = int(np.argmax(repeated))
    same = f"the same time as {trajectory.place(first - 1)} ({trajectory.times[first]:g})"
    problem = f"{trajectory.place(first)} has {same}"
    if repeated.sum() > max(MAX_REPEATED * len(trajectory), 2):
        raise trajectory.sheet.error(
            f"{problem}; {repeated.sum()} of {_rows(len(trajectory))} repeat a time: expected increasing times; "
            f"write times with more digits, or add a column `trajectory`"
        )
    groups = np.cumsum(~repeated) - 1
    values = np.full((groups[-1] + 1, trajectory.values.shape[1]), np.nan)
    for column, samples in enumerate(trajectory.values.T):
        present = ~np.isnan(samples)
        count = np.bincount(groups[present], minlength=len(values))
        total = np.bincount(groups[present], weights=samples[present], minlength=len(values))
        np.divide(total, count, out=values[:, column], where=count > 0)
    warnings.append(f"{trajectory.sheet.name}: {problem}; {_rows(repeated.sum())} averaged with the previous one")
    return replace(trajectory.at(~repeated), values=values)


def _rows(count: int) -> str:
    return f"{count} row" if count == 1 else f"{count} rows"


@dataclass(frozen=True)
class Grid:
    """Median or fitted step, and whether all times are on a uniform grid of it."""

    step: float
    uniform: bool


def find_grid(parts: Sequence[RawTrajectory]) -> Grid:
    """The common grid of all trajectories. Raises TableError if none has two times."""
    steps = np.concatenate([np.diff(part.times) for part in parts])
    if not len(steps):
        raise TableError(f"{parts[0].sheet.name}: one row: expected one row per time")
    step = float(np.median(steps))
    for part in parts:
        if len(part) > 1:
            step = _fitted_step(part.times, step) or step
            break
    return Grid(step, all(grid_deviation(part, step) <= MAX_OFF_GRID for part in parts))


def _grid_indices(times: np.ndarray, step: float) -> np.ndarray:
    """Grid indices of the times, 0 for the first, from rounded differences."""
    return np.concatenate([[0.0], np.cumsum(np.round(np.diff(times) / step))])


def _fitted_step(times: np.ndarray, step: float) -> float:
    """The step of the grid fitted by least squares; 0 if two times would share an index."""
    indices = _grid_indices(times, step)
    return 0.0 if (np.diff(indices) < 1).any() else float(np.polyfit(indices, times, 1)[0])


def grid_deviation(part: RawTrajectory, step: float) -> float:
    """Largest deviation from the closest uniform grid, in steps; inf if two times would share an index."""
    if len(part) < 2:
        return 0.0
    indices = _grid_indices(part.times, step)
    if (np.diff(indices) < 1).any():
        return np.inf
    return float(np.ptp(part.times - step * indices) / 2 / step)


def snap_to_grid(trajectory: RawTrajectory, step: float) -> RawTrajectory:
    """Times moved to the grid; gaps of up to GAP steps are filled with NaN."""
    if len(trajectory) < 2:
        return trajectory
    indices = _grid_indices(trajectory.times, step).astype(int)
    start = float(np.mean(trajectory.times - step * indices))
    start = float(trajectory.times[0]) if abs(start - trajectory.times[0]) <= 1e-6 * step else start
    gaps = np.diff(indices)
    filled = [indices, *(indices[:-1][gaps == width] + k for width in range(2, GAP + 1) for k in range(1, width))]
    grid = np.sort(np.concatenate(filled))
    position = np.searchsorted(grid, indices)
    values = np.full((len(grid), trajectory.values.shape[1]), np.nan)
    origin = np.full(len(grid), -1)
    values[position], origin[position] = trajectory.values, trajectory.origin
    return replace(trajectory, times=start + step * grid, values=values, origin=origin)
