"""Times put right: order, repetitions, restarts, an even grid where there is one, holes and gaps."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from workbench.datasets.tabular.sheet import Sheet, TableError

UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0, "day": 86400.0, "year": 365.25 * 86400.0}
"""Units of time in seconds."""
WORDS = {
    "s": ("s", "sec", "secs", "second", "seconds"),
    "min": ("min", "minute", "minutes"),
    "h": ("h", "hour", "hours"),
    "day": ("day", "days"),
    "week": ("week", "weeks"),
    "month": ("month", "months"),
    "year": ("year", "years"),
}
"""What a time column without a unit is called when its name is its unit."""
ROUNDED = 0.02
"""The share of a step by which times may be off an even grid and still count as rounded values of it."""
GAP = 4
"""Steps without a measurement that are bridged; over longer gaps a record is cut."""
REPEATED = 0.1
"""The share of rows that may repeat the time of another one."""


@dataclass(frozen=True, eq=False)
class Piece:
    """One trajectory: values (N, D) at times (N), and the sheet and rows they come from (-1: filled in)."""

    label: str
    times: np.ndarray
    values: np.ndarray
    sheet: Sheet
    origin: np.ndarray

    def __len__(self) -> int:
        return len(self.times)

    def at(self, index: np.ndarray) -> "Piece":
        return replace(self, times=self.times[index], values=self.values[index], origin=self.origin[index])

    def place(self, row: int) -> str:
        """`line 7`."""
        return self.sheet.place(self.origin[row])


def numbers(columns: Sequence[np.ndarray]) -> tuple[list[np.ndarray], str, str]:
    """Dates of all sheets as numbers from the first one on; the unit, and what time 0 is ("": the columns are numbers).

    The unit is the largest of which the records last ten.
    """
    if columns[0].dtype.kind != "M":
        return list(columns), "", ""
    there = np.concatenate([column[~np.isnat(column)] for column in columns])
    if len(there) == 0:
        return [np.full(len(column), np.nan) for column in columns], "s", ""
    start = there.min()
    seconds = (there.max() - start) / np.timedelta64(1, "s")
    unit = next((name for name in reversed(UNITS) if seconds >= 10 * UNITS[name]), "s")
    made = []
    for column in columns:
        values = (column - start) / np.timedelta64(1, "s") / UNITS[unit]
        made.append(np.where(np.isnat(column), np.nan, values))
    return made, unit, str(np.datetime_as_string(start, unit="s"))


def unit_in(name: str) -> str:
    """The unit that the name of a time column holds, `time_s` or `days`; "" for none."""
    words = re.split(r"[^a-z]+", name.lower())
    if words[0] not in ("t", "time"):
        words = words[:1]
    return next((unit for unit, known in WORDS.items() if words[-1] in known), "")


def pieces(whole: Piece, groups: np.ndarray | None, repairs: list[str]) -> list[Piece]:
    """The trajectories of a sheet, each in order of time and without repetitions; `groups` tells them apart."""
    whole = _with_times(whole, repairs)
    if groups is not None:
        groups = groups[whole.origin]
        parts = [replace(whole.at(groups == own), label=_label(own)) for own in dict.fromkeys(groups.tolist())]
        return [_ordered(part, repairs) for part in parts]
    restarts = _restarts(whole.times)
    if not len(restarts):
        return [_ordered(whole, repairs)]
    first = restarts[0]
    back = f"{whole.place(first)}: time goes back from {whole.times[first - 1]:g} to {whole.times[first]:g}"
    repairs.append(f"{whole.sheet.name}: {back}; taken as {len(restarts) + 1} trajectories one after the other")
    parts = np.split(np.arange(len(whole)), restarts)
    return [_ordered(replace(whole.at(part), label=str(i)), repairs) for i, part in enumerate(parts, start=1)]


def _label(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _with_times(piece: Piece, repairs: list[str]) -> Piece:
    """The rows that have a time. Raises Refused if none has."""
    lost = ~np.isfinite(piece.times)
    if lost.all():
        raise piece.sheet.refuse("the time column holds no value in any row")
    if lost.any():
        first = int(np.argmax(lost))
        repairs.append(f"{piece.sheet.name}: {piece.place(first)} has no time; {_rows(lost.sum())} left out")
    return piece.at(~lost)


def _restarts(times: np.ndarray) -> np.ndarray:
    """Where time begins anew: few steps back, each by most of what went before; else the rows are out of order."""
    back = np.flatnonzero(np.diff(times) < 0) + 1
    if not len(back):
        return back
    parts = np.split(times, back)
    long = min(map(len, parts)) >= 5
    far = all(after[0] <= before[0] + 0.5 * (before[-1] - before[0]) for before, after in pairwise(parts))
    return back if long and far else back[:0]


def _ordered(piece: Piece, repairs: list[str]) -> Piece:
    back = np.flatnonzero(np.diff(piece.times) < 0)
    if len(back):
        at = int(back[0]) + 1
        found = f"{piece.place(at)}: time goes back from {piece.times[at - 1]:g} to {piece.times[at]:g}"
        repairs.append(f"{piece.sheet.name}: {found}; rows put in order of time")
        piece = piece.at(np.argsort(piece.times, kind="stable"))
    return _single(piece, repairs)


def _single(piece: Piece, repairs: list[str]) -> Piece:
    """Rows of the same time as one: their mean. Raises Refused if there are many."""
    again = np.concatenate([[False], np.diff(piece.times) == 0])
    if not again.any():
        return piece
    at = int(np.argmax(again))
    found = f"{piece.place(at)} has the same time, {piece.times[at]:g}, as {piece.place(at - 1)}"
    if again.sum() > max(REPEATED * len(piece), 2):
        raise piece.sheet.refuse(
            f"{found}, and {_rows(again.sum())} of {len(piece)} repeat a time: expected times that increase; "
            f"write them with more digits, or add a column `trajectory` that tells the series apart"
        )
    places = np.cumsum(~again) - 1
    values = np.full((places[-1] + 1, piece.values.shape[1]), np.nan)
    for column, own in enumerate(piece.values.T):
        there = ~np.isnan(own)
        count = np.bincount(places[there], minlength=len(values))
        total = np.bincount(places[there], weights=own[there], minlength=len(values))
        np.divide(total, count, out=values[:, column], where=count > 0)
    repairs.append(f"{piece.sheet.name}: {found}; {_rows(again.sum())} averaged with the one before")
    return replace(piece.at(~again), values=values)


def _rows(count: int) -> str:
    return f"{count} row" if count == 1 else f"{count} rows"


@dataclass(frozen=True)
class Grid:
    """The step of the sampling: the usual one, and whether every time lies on a grid of it."""

    step: float
    even: bool


def grid(parts: Sequence[Piece]) -> Grid:
    """The step that the times of all trajectories have in common. Raises Refused if no two follow each other."""
    steps = np.concatenate([np.diff(part.times) for part in parts])
    if not len(steps):
        raise TableError(f"{parts[0].sheet.name}: one row: expected a row for each of many times")
    step = float(np.median(steps))
    for part in parts:
        if len(part) > 1:
            step = _fitted(part.times, step) or step
            break
    return Grid(step, all(off_grid(part, step) <= ROUNDED for part in parts))


def _fitted(times: np.ndarray, step: float) -> float:
    """The step of the grid that the times lie closest to; 0 where two would be at one place."""
    places = np.concatenate([[0.0], np.cumsum(np.round(np.diff(times) / step))])
    return 0.0 if (np.diff(places) < 1).any() else float(np.polyfit(places, times, 1)[0])


def off_grid(part: Piece, step: float) -> float:
    """How far the times are from the closest grid, in steps, at most; inf where two would be at one place."""
    if len(part) < 2:
        return 0.0
    places = np.concatenate([[0.0], np.cumsum(np.round(np.diff(part.times) / step))])
    if (np.diff(places) < 1).any():
        return np.inf
    return float(np.ptp(part.times - step * places) / 2 / step)


def on_grid(piece: Piece, step: float) -> Piece:
    """The times exactly on their grid, and rows without values where up to GAP steps miss some."""
    if len(piece) < 2:
        return piece
    places = np.concatenate([[0], np.cumsum(np.round(np.diff(piece.times) / step))]).astype(int)
    start = float(np.mean(piece.times - step * places))
    start = float(piece.times[0]) if abs(start - piece.times[0]) <= 1e-6 * step else start
    holes = np.diff(places)
    filled = [places, *(places[:-1][holes == width] + k for width in range(2, GAP + 1) for k in range(1, width))]
    every = np.sort(np.concatenate(filled))
    index = np.searchsorted(every, places)
    values = np.full((len(every), piece.values.shape[1]), np.nan)
    origin = np.full(len(every), -1)
    values[index], origin[index] = piece.values, piece.origin
    return replace(piece, times=start + step * every, values=values, origin=origin)
