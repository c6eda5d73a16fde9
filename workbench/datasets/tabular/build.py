"""Assemble sheets into a record: columns, missing values, sampling, units."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from workbench.datasets.schema import check
from workbench.datasets.tabular import sampling
from workbench.datasets.tabular.columns import (
    MAX_TRAJECTORIES,
    TableColumns,
    drop_duplicates,
    identify_columns,
    valid_name,
)
from workbench.datasets.tabular.sampling import GAP, Grid, RawTrajectory
from workbench.datasets.tabular.sheet import Sheet, TableError, more

MIN_ROWS = 20
"""Least number of rows of a record, and of its longest segment without a gap: windows have at least 12."""
MAX_POINTS = 50_000
"""Largest number of grid points of a record; longer ones are thinned to every second, third, ... point."""
MAX_MISSING = 0.9
"""Largest missing fraction of a variable."""
FILL_VALUES = (-99.0, -999.0, -9999.0, -99999.0, -999999.0, 9999.0, 99999.0, 999999.0)
"""Numbers in common use for missing values."""


def build_record(sheets: Sequence[Sheet], warnings: list[str], *, time: str = "", trajectory: str = "") -> xr.Dataset:
    """The record of the sheets; corrections are added to `warnings`. Raises TableError."""
    first = sheets[0]
    if len(sheets) == 1 and len(first.rows) < 2:
        raise first.error(f"one row of values ({first.place(0)}): expected at least {MIN_ROWS} rows")
    columns = identify_columns(first, warnings, time=time, trajectory=trajectory)
    columns = TableColumns(columns.time, columns.trajectory, drop_duplicates(first, columns.variables, warnings))
    for sheet in sheets:
        _require_same_columns(sheet, columns, first)
    times, unit, start = sampling.numeric_times([sheet.columns[columns.time] for sheet in sheets])
    parts: list[RawTrajectory] = []
    for sheet, numbers in zip(sheets, times, strict=True):
        parts += _trajectories(sheet, columns, numbers, warnings, several=len(sheets) > 1)
    if len(parts) > MAX_TRAJECTORIES:
        raise TableError(f"{first.name}: expected at most {MAX_TRAJECTORIES} trajectories, found {len(parts)}")
    parts, grid = _resample(parts, warnings)
    _report_missing(parts, columns.variables, grid, warnings)
    unit = unit or first.units.get(columns.time, "") or sampling.unit_from_name(columns.time)
    names: list[str] = []
    for name in columns.variables:
        names.append(valid_name(name, names, warnings))
    title = ", ".join(dict.fromkeys(sheet.file for sheet in sheets))
    attributes = {
        "title": title if len(title) < 80 else f"{first.file} and others",
        "source": "user file",
        "sampling": _describe_sampling(parts, grid, unit),
        "repairs": "\n".join(warnings),
    }
    units = [first.units.get(name, "") for name in columns.variables]
    return _dataset(parts, names, units, unit, start).assign_attrs(attributes)


def _require_same_columns(sheet: Sheet, columns: TableColumns, first: Sheet) -> None:
    """Raise TableError for a sheet without the columns of the first one."""
    for name in filter(None, (columns.time, columns.trajectory, *columns.variables)):
        if name not in sheet.columns:
            raise sheet.error(f"there is no column {name} as in {first.name}: expected the same columns in all files")
        if sheet.columns[name].dtype.kind != first.columns[name].dtype.kind:
            raise sheet.error(f"column {name} differs in type from {first.name}: expected the same type in all files")


def _trajectories(
    sheet: Sheet, columns: TableColumns, times: np.ndarray, warnings: list[str], *, several: bool
) -> list[RawTrajectory]:
    """The trajectories of one sheet."""
    values = np.stack([_mask_invalid(sheet, name, warnings) for name in columns.variables], axis=1)
    label = sheet.label or (sheet.file if several else "")
    whole = RawTrajectory(label, times, values, sheet, np.arange(len(sheet.rows)))
    groups = sheet.columns[columns.trajectory] if columns.trajectory else None
    return sampling.split_trajectories(whole, groups, warnings)


def _mask_invalid(sheet: Sheet, name: str, warnings: list[str]) -> np.ndarray:
    """The values of a variable, NaN where infinite or a fill value."""
    values = sheet.columns[name].copy()
    infinite = np.isinf(values)
    if infinite.any():
        first = sheet.place(int(np.argmax(infinite)), name)
        warnings.append(f"{sheet.name}: {first} is infinite{more(infinite.sum() - 1)}; treated as missing")
        values[infinite] = np.nan
    filled = np.abs(values) > 1e30
    for number in FILL_VALUES:
        others = values[(values != number) & ~np.isnan(values) & ~filled]
        # a number within the range of the others is a value
        if len(others) and not others.min() - np.ptp(others) <= number <= others.max() + np.ptp(others):
            filled |= values == number
    if filled.any():
        row = int(np.argmax(filled))
        problem = f"{sheet.place(row, name)} is the fill value {values[row]:g}{more(filled.sum() - 1)}"
        warnings.append(f"{sheet.name}: {problem}; treated as missing")
        values[filled] = np.nan
    return values


def _resample(parts: list[RawTrajectory], warnings: list[str]) -> tuple[list[RawTrajectory], Grid]:
    """The trajectories on their grid, thinned if too long. Raises TableError if too short."""
    sheet, rows = parts[0].sheet, sum(map(len, parts))
    if rows < MIN_ROWS:
        raise sheet.error(f"{rows} rows with a time (up to {parts[-1].place(-1)}): expected at least {MIN_ROWS}")
    parts = _drop_short(parts, warnings)
    grid = sampling.find_grid(parts)
    if grid.uniform:
        deviation = max(sampling.grid_deviation(part, grid.step) for part in parts)
        if deviation > 1e-3:
            problem = f"times deviate by up to {deviation:.1%} of a step from a uniform grid of step {grid.step:.6g}"
            warnings.append(f"{sheet.name}: {problem}; moved to the grid")
        parts = [sampling.snap_to_grid(part, grid.step) for part in parts]
    points = sum(map(len, parts))
    if points > MAX_POINTS:
        stride = -(-points // MAX_POINTS)
        warnings.append(
            f"{sheet.name}: {points:,} rows exceed the limit of {MAX_POINTS:,}; one row in {stride} is used"
        )
        parts = [part.at(np.arange(0, len(part), stride)) for part in parts]
        grid = Grid(grid.step * stride, grid.uniform)
    return parts, grid


def _drop_short(parts: list[RawTrajectory], warnings: list[str]) -> list[RawTrajectory]:
    """The trajectories of at least `MIN_ROWS // 2` rows; all of them if none is that long."""
    short = [part for part in parts if len(part) < MIN_ROWS // 2]
    if not short or len(short) == len(parts):
        return parts
    first = short[0]
    problem = f"trajectory {first.label or first.sheet.name} has only {len(first)} rows{more(len(short) - 1)}"
    warnings.append(f"{first.sheet.name}: {problem}; dropped")
    return [part for part in parts if len(part) >= MIN_ROWS // 2]


def _report_missing(parts: list[RawTrajectory], variables: Sequence[str], grid: Grid, warnings: list[str]) -> None:
    """Add missing values, missing rows and gaps to `warnings`.

    Raises TableError for a variable that is mostly missing, or if no segment without a gap is long enough.
    """
    for index, variable in enumerate(variables):
        _report_missing_values(parts, index, variable, warnings)
    _report_missing_rows(parts, grid, warnings)
    longest = max(_longest_segment(part, warnings) for part in parts)
    if longest < MIN_ROWS:
        name = parts[0].sheet.name
        raise TableError(f"{name}: the longest segment without a gap has {longest} rows: expected at least {MIN_ROWS}")


def _report_missing_values(parts: list[RawTrajectory], index: int, variable: str, warnings: list[str]) -> None:
    """Report the missing values of one variable; a single one only if no other warning names its cell."""
    missing = [np.isnan(part.values[:, index]) for part in parts]
    count, total = int(sum(mask.sum() for mask in missing)), sum(map(len, parts))
    if count / total > MAX_MISSING:
        raise TableError(
            f"{parts[0].sheet.name}: column {variable} has {total - count} values on {total} grid points: "
            f"expected at least one in ten"
        )
    empty = [mask & (part.origin >= 0) for part, mask in zip(parts, missing, strict=True)]
    count = int(sum(mask.sum() for mask in empty))
    if not count:
        return
    part, row = next((part, int(np.argmax(mask))) for part, mask in zip(parts, empty, strict=True) if mask.any())
    cell = f"{part.place(row)}, column {variable}"
    if count > 1 or not any(cell in warning for warning in warnings):
        others = f"; {count} of {total} values of this column are missing" if count > 1 else ""
        warnings.append(f"{part.sheet.name}: {cell} has no value{others}")


def _report_missing_rows(parts: list[RawTrajectory], grid: Grid, warnings: list[str]) -> None:
    """Report the rows that were inserted to complete the grid."""
    count = sum(int((part.origin < 0).sum()) for part in parts)
    if not count:
        return
    part = next(part for part in parts if (part.origin < 0).any())
    first = part.place(int(np.argmax(part.origin < 0)) - 1)
    rows = f"{count} rows are" if count > 1 else "1 row is"
    warnings.append(
        f"{parts[0].sheet.name}: {rows} missing from a uniform grid of step {grid.step:.6g}, first after {first}; "
        f"filled with NaN"
    )


def _longest_segment(part: RawTrajectory, warnings: list[str]) -> int:
    """Rows of the longest segment without a gap of more than `GAP` median steps; the first gap is reported."""
    rows = np.flatnonzero(~np.isnan(part.values).all(axis=1))
    steps = np.diff(part.times[rows])
    gaps = np.flatnonzero(steps > GAP * (np.median(steps) if len(steps) else 1) * (1 + 1e-9))
    if len(gaps):
        first = gaps[0]
        before = f"{part.place(rows[first])} (time {part.times[rows[first]]:g})"
        problem = f"gap of {steps[first]:.6g} after {before}{more(len(gaps) - 1)}"
        warnings.append(f"{part.sheet.name}: {problem}; the record is split there")
    return max(len(segment) for segment in np.split(rows, gaps + 1))


def _describe_sampling(parts: list[RawTrajectory], grid: Grid, unit: str) -> str:
    """One sentence on the number of points and the step."""
    points = f"{sum(map(len, parts)):,} grid points"
    size = f"{len(parts)} trajectories of {points} in all" if len(parts) > 1 else points
    suffix = f" {unit}" if unit else ""
    if grid.uniform:
        return f"{size}, one every {grid.step:.6g}{suffix}"
    steps = np.concatenate([np.diff(part.times) for part in parts])
    return f"{size}, uneven steps from {steps.min():.4g} to {steps.max():.4g}{suffix}, median {grid.step:.4g}"


def _dataset(parts: list[RawTrajectory], names: list[str], units: list[str], time_unit: str, start: str) -> xr.Dataset:
    """`data` over (time, variable) with `unit` and, for several trajectories, `trajectory`."""
    common = units[0] if len(set(units)) == 1 and units[0] else "1"
    time = {"long_name": f"time since {start}" if start else "time", "units": time_unit or "1"}
    coords = {
        "time": ("time", np.concatenate([part.times for part in parts]), time),
        "variable": ("variable", names, {"long_name": "variable"}),
        "unit": ("variable", [unit or "1" for unit in units], {"long_name": "unit of the variable"}),
    }
    if len(parts) > 1:
        labels = np.concatenate([np.full(len(part), index) for index, part in enumerate(parts)])
        listed = ", ".join(part.label for part in parts[:20])
        coords["trajectory"] = ("time", labels, {"long_name": f"trajectory, from 0: {listed}"})
    values = np.concatenate([part.values for part in parts])
    attributes = {"units": common, "long_name": "measured value; NaN: missing", "missing": "NaN"}
    return check(xr.Dataset({"data": (("time", "variable"), values, attributes)}, coords=coords))
