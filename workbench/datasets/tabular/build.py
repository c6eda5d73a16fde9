"""Sheets to one record: roles, numbers, times, and what must be said about all of them."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from workbench.datasets.schema import check
from workbench.datasets.tabular import sampling as timing
from workbench.datasets.tabular.columns import MOST_TRAJECTORIES, ColumnRoles, callable_name, roles, same
from workbench.datasets.tabular.sampling import GAP, Grid, Piece
from workbench.datasets.tabular.sheet import Sheet, TableError

FEWEST = 20
"""Rows of a record, and grid points of its longest stretch without a gap: windows have at least 12."""
MOST_POINTS = 50_000
"""Grid points that are learned from; of more, every second, third, ... is taken."""
FILLERS = (-99.0, -999.0, -9999.0, -99999.0, -999999.0, 9999.0, 99999.0, 999999.0)
"""Numbers that people write where there is no value."""


def record(sheets: Sequence[Sheet], repairs: list[str], *, time: str = "", trajectory: str = "") -> xr.Dataset:
    """The record of the sheets. Raises Refused."""
    if len(sheets) == 1 and len(sheets[0].rows) < 2:
        raise sheets[0].refuse(
            f"one row of values ({sheets[0].place(0)}): expected at least {FEWEST}, one for each time"
        )
    first = roles(sheets[0], repairs, time=time, trajectory=trajectory)
    known = ColumnRoles(first.time, first.trajectory, same(sheets[0], first.variables, repairs))
    for sheet in sheets:
        _fits(sheet, known, sheets[0])
    columns, unit, since = timing.numbers([sheet.columns[known.time] for sheet in sheets])
    parts: list[Piece] = []
    for sheet, numbers in zip(sheets, columns, strict=True):
        parts += _pieces(sheet, known, numbers, repairs, several=len(sheets) > 1)
    if len(parts) > MOST_TRAJECTORIES:
        raise TableError(f"{sheets[0].name}: expected at most {MOST_TRAJECTORIES} trajectories, found {len(parts)}")
    parts, grid = _sampled(parts, repairs)
    _gaps(parts, known.variables, grid, repairs)
    units = {name: sheets[0].units.get(name, "") for name in (known.time, *known.variables)}
    unit = unit or units[known.time] or timing.unit_in(known.time)
    names: list[str] = []
    for name in known.variables:
        names.append(callable_name(name, names, repairs))
    title = ", ".join(dict.fromkeys(sheet.file for sheet in sheets))
    return _dataset(
        parts,
        names,
        [units[name] for name in known.variables],
        {
            "title": title if len(title) < 80 else f"{sheets[0].file} and others",
            "source": "the researcher's own file",
            "time": (unit, since),
            "repairs": repairs,
            "sampling": _sampling(parts, grid, unit),
        },
    )


def _fits(sheet: Sheet, known: ColumnRoles, first: Sheet) -> None:
    """Raises Refused for a sheet that has not the columns of the first one."""
    for name in filter(None, (known.time, known.trajectory, *known.variables)):
        if name not in sheet.columns:
            raise sheet.refuse(f"there is no column {name}, which {first.name} has: expected the same columns in all")
        if sheet.columns[name].dtype.kind != first.columns[name].dtype.kind:
            raise sheet.refuse(f"column {name} does not hold what it holds in {first.name}: expected the same in all")


def _pieces(sheet: Sheet, known: ColumnRoles, times: np.ndarray, repairs: list[str], *, several: bool) -> list[Piece]:
    """The trajectories of one sheet."""
    values = np.stack([_without_fillers(sheet, name, repairs) for name in known.variables], axis=1)
    whole = Piece(sheet.label or (sheet.file if several else ""), times, values, sheet, np.arange(len(sheet.rows)))
    groups = sheet.columns[known.trajectory] if known.trajectory else None
    return timing.pieces(whole, groups, repairs)


def _without_fillers(sheet: Sheet, name: str, repairs: list[str]) -> np.ndarray:
    """A variable with NaN where it is infinite, or where it is a number that stands for a missing one."""
    values = sheet.columns[name].copy()
    infinite = np.isinf(values)
    if infinite.any():
        found = f"{sheet.place(int(np.argmax(infinite)), name)} is infinite"
        more = f", and so are {infinite.sum() - 1} more" if infinite.sum() > 1 else ""
        repairs.append(f"{sheet.name}: {found}{more}; taken as missing")
        values[infinite] = np.nan
    large = np.abs(values) > 1e30
    for filler in FILLERS:
        others = values[(values != filler) & ~np.isnan(values) & ~large]
        # one that lies among the others is a value
        if len(others) and not others.min() - np.ptp(others) <= filler <= others.max() + np.ptp(others):
            large |= values == filler
    if large.any():
        at = int(np.argmax(large))
        found = f"{sheet.place(at, name)} is {values[at]:g}, which stands for a missing value"
        repairs.append(f"{sheet.name}: {found}; {large.sum()} such values are taken as missing")
        values[large] = np.nan
    return values


def _sampled(parts: list[Piece], repairs: list[str]) -> tuple[list[Piece], Grid]:
    """The trajectories on their grid, thinned if they are too long. Raises Refused if they are too short."""
    sheet, rows = parts[0].sheet, sum(map(len, parts))
    if rows < FEWEST:
        raise sheet.refuse(f"{rows} rows with a time (the last is {parts[-1].place(-1)}): expected at least {FEWEST}")
    short = [part for part in parts if len(part) < FEWEST // 2]
    if short and len(short) < len(parts):
        found = f"trajectory {short[0].label or short[0].sheet.name} has {len(short[0])} rows"
        more = f", and {len(short) - 1} more are as short" if len(short) > 1 else ""
        repairs.append(f"{short[0].sheet.name}: {found}{more}: too few to learn from; left out")
        parts = [part for part in parts if len(part) >= FEWEST // 2]
    grid = timing.grid(parts)
    if grid.even:
        off = max(timing.off_grid(part, grid.step) for part in parts)
        if off > 1e-3:
            said = f"times are up to {off:.1%} of a step off an even grid of step {grid.step:.6g}; taken as rounded"
            repairs.append(f"{sheet.name}: {said}")
        parts = [timing.on_grid(part, grid.step) for part in parts]
    points = sum(map(len, parts))
    if points > MOST_POINTS:
        every = -(-points // MOST_POINTS)
        repairs.append(f"{sheet.name}: {points:,} rows are more than {MOST_POINTS:,}; one of {every} is learned from")
        parts = [part.at(np.arange(0, len(part), every)) for part in parts]
        grid = Grid(grid.step * every, grid.even)
    return parts, grid


def _gaps(parts: list[Piece], variables: Sequence[str], grid: Grid, repairs: list[str]) -> None:
    """Say what is missing. Raises Refused if no stretch without a gap is long enough, or a variable is not there."""
    values = np.concatenate([part.values for part in parts])
    origin = np.concatenate([part.origin for part in parts])
    name = parts[0].sheet.name
    for index, variable in enumerate(variables):
        gone = np.isnan(values[:, index]) & (origin >= 0)
        if np.isnan(values[:, index]).mean() > 0.9:
            raise TableError(
                f"{name}: column {variable} has {(~np.isnan(values[:, index])).sum()} values on "
                f"{len(values)} grid points: expected at least one in ten"
            )
        part, row = _first(parts, index) if gone.any() else (parts[0], 0)
        found = f"{part.place(row)}, column {variable}"
        if gone.any() and (gone.sum() > 1 or not any(found in said for said in repairs)):
            found += " holds no value"
            more = f"; {gone.sum()} of {len(gone)} values of this column are missing" if gone.sum() > 1 else ""
            repairs.append(f"{part.sheet.name}: {found}{more}; the others are used")
    filled = int((origin < 0).sum())
    if filled:
        part = next(part for part in parts if (part.origin < 0).any())
        first = part.place(int(np.argmax(part.origin < 0)) - 1)
        are = f"{filled} rows are" if filled > 1 else "1 row is"
        repairs.append(
            f"{name}: {are} missing from an even grid of step {grid.step:.6g}, first after {first}; kept as gaps"
        )
    longest = 0
    for part in parts:
        seen = np.flatnonzero(~np.isnan(part.values).all(axis=1))
        waits = np.diff(part.times[seen])
        cuts = np.flatnonzero(waits > GAP * (np.median(waits) if len(waits) else 1) * (1 + 1e-9))
        for cut in cuts[:1]:
            found = f"no value for {waits[cut]:.6g} after {part.place(seen[cut])} (time {part.times[seen[cut]]:g})"
            more = f", and {len(cuts) - 1} more such gaps" if len(cuts) > 1 else ""
            repairs.append(f"{part.sheet.name}: {found}{more}; the record is cut there")
        longest = max([longest, *(len(run) for run in np.split(seen, cuts + 1))])
    if longest < FEWEST:
        raise TableError(f"{name}: the longest stretch without a gap has {longest} rows: expected at least {FEWEST}")


def _first(parts: list[Piece], index: int) -> tuple[Piece, int]:
    """Where a variable is missing first."""
    for part in parts:
        gone = np.isnan(part.values[:, index]) & (part.origin >= 0)
        if gone.any():
            return part, int(np.argmax(gone))
    raise LookupError(index)


def _sampling(parts: list[Piece], grid: Grid, unit: str) -> str:
    """One sentence on the times."""
    points = sum(map(len, parts))
    many = (
        f"{len(parts)} trajectories of {points:,} grid points in all" if len(parts) > 1 else f"{points:,} grid points"
    )
    space = f" {unit}" if unit else ""
    if grid.even:
        return f"{many}, one every {grid.step:.6g}{space}"
    steps = np.concatenate([np.diff(part.times) for part in parts])
    return f"{many}, unevenly from {steps.min():.4g} to {steps.max():.4g}{space} apart, {grid.step:.4g} in the middle"


def _dataset(parts: list[Piece], names: list[str], units: list[str], told: dict) -> xr.Dataset:
    unit, since = told["time"]
    shared = units[0] if len(set(units)) == 1 and units[0] else "1"
    named = {"long_name": f"time since {since}" if since else "time", "units": unit or "1"}
    coords = {
        "time": ("time", np.concatenate([part.times for part in parts]), named),
        "variable": ("variable", names, {"long_name": "variable"}),
        "unit": ("variable", [unit or "1" for unit in units], {"long_name": "unit of the variable"}),
    }
    if len(parts) > 1:
        labels = np.concatenate([np.full(len(part), place) for place, part in enumerate(parts)])
        listed = ", ".join(part.label for part in parts[:20])
        coords["trajectory"] = ("time", labels, {"long_name": f"trajectory, counted from 0: {listed}"})
    values = np.concatenate([part.values for part in parts])
    data = ("time", "variable"), values, {"units": shared, "long_name": "measured value; NaN: none", "missing": "NaN"}
    attributes = {"title": told["title"], "source": told["source"], "sampling": told["sampling"]}
    return check(xr.Dataset({"data": data}, coords=coords, attrs={**attributes, "repairs": "\n".join(told["repairs"])}))
