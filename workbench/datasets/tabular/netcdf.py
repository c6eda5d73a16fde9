"""Read NetCDF files: variables over time, optionally over trajectories or a short second dimension."""

import io
from typing import Any

import numpy as np
import xarray as xr

from workbench.datasets.tabular.columns import TIME_NAMES, TRAJECTORY_NAMES, matches
from workbench.datasets.tabular.convert import Part, error_text, to_columns
from workbench.datasets.tabular.sheet import MAX_EXPANDED, MAX_VALUES, Sheet, TableError


def read(file: str, content: bytes, warnings: list[str], *, engine: str) -> list[Sheet]:
    """One sheet per group and per entry of a trajectory dimension. Raises TableError naming the variable.

    engine: "h5netcdf" for NetCDF-4, whose links `hdf5.open_checked` has checked, "scipy" for NetCDF-3.
    """
    sheets = []
    for name, group in _load(file, content, engine).items():
        sheets += _sheets(file, name.strip("/"), group, warnings)
    if not sheets:
        raise TableError(f"{file} has no variable over time: expected variables over (time)")
    return sheets


def _load(file: str, content: bytes, engine: str) -> dict[str, xr.Dataset]:
    """The groups that have variables, by name."""
    try:
        if engine == "scipy":
            groups = {"/": xr.open_dataset(io.BytesIO(content), engine="scipy", decode_timedelta=False)}
        else:
            groups = xr.open_groups(io.BytesIO(content), engine="h5netcdf", phony_dims="sort", decode_timedelta=False)
        values = sum(variable.size for group in groups.values() for variable in group.variables.values())
        if values > MAX_VALUES:
            raise TableError(f"{file}: expected at most {MAX_VALUES:,} values, found {values:,}")
        return {name: group.load() for name, group in groups.items() if group.variables}
    except TableError:
        raise
    except Exception as error:  # a corrupt file can raise any exception
        raise TableError(f"{file} cannot be read as NetCDF, it may be truncated: {error_text(error)}") from None


def _sheets(file: str, label: str, group: xr.Dataset, warnings: list[str]) -> list[Sheet]:
    group = group.drop_vars(
        str(variable.attrs["bounds"]) for variable in group.variables.values() if variable.attrs.get("bounds") in group
    )
    if "data" in group and "truth" in group:  # a generated record: discovery must not see the truth
        group = group.drop_vars("truth")
    time = _time_dimension(file, group)
    dimension = next((dim for dim in group.dims if dim != time and matches(str(dim), TRAJECTORY_NAMES)), None)
    if dimension is None:
        return [_sheet(file, label, group, time, warnings)]
    entries = group[dimension].values if dimension in group.coords else range(1, group.sizes[dimension] + 1)
    sheets = []
    for i, entry in enumerate(entries):
        name = " ".join(filter(None, (label, f"{dimension} {entry}")))
        sheets.append(_sheet(file, name, group.isel({dimension: i}, drop=True), time, warnings))
    return sheets


def _time_dimension(file: str, group: xr.Dataset) -> str:
    """The time dimension, by metadata first and by name second. Raises TableError if there is none."""
    dims = [str(dim) for dim in group.dims if not matches(str(dim), TRAJECTORY_NAMES)]
    for variable in group.variables.values():
        attributes = variable.attrs
        if variable.dtype.kind == "M" or attributes.get("axis") == "T" or attributes.get("standard_name") == "time":
            for dim in variable.dims:
                if dim in dims:
                    return str(dim)
    for dim in dims:
        if matches(dim, TIME_NAMES):
            return dim
    for name, variable in group.variables.items():
        if matches(str(name), TIME_NAMES) and variable.dims and variable.dims[-1] in dims:
            return str(variable.dims[-1])
    if len(dims) == 1:
        return dims[0]
    contents = next((f"variable {name} is over ({_listed(v.dims)})" for name, v in group.data_vars.items()), "")
    raise TableError(f"{file}: {contents or 'there is no variable'}: expected a dimension named time")


def _listed(names: tuple[Any, ...]) -> str:
    return ", ".join(map(str, names))


def _sheet(file: str, label: str, group: xr.Dataset, time: str, warnings: list[str]) -> Sheet:
    """The columns over time; a variable with one further short dimension becomes several columns."""
    parts: list[Part] = []
    for name, variable in group.variables.items():
        if time not in variable.dims:
            continue
        others = [dim for dim in variable.dims if dim != time]
        if len(others) > 1 or (others and group.sizes[others[0]] > MAX_EXPANDED):
            sizes = ", ".join(f"{dim}: {group.sizes[dim]}" for dim in variable.dims)
            expected = f"time alone, or time and one dimension of at most {MAX_EXPANDED}"
            raise TableError(f"{file}: variable {name} is over ({sizes}): expected {expected}; select a subset")
        parts += _parts(group, str(name), others, time)
    columns, units = to_columns(parts, file, warnings)
    if not columns:
        raise TableError(f"{file}: no variable is over the dimension {time}")
    return Sheet(file, columns, np.arange(1, group.sizes[time] + 1), units, label=label)


def _parts(group: xr.Dataset, name: str, others: list[Any], time: str) -> list[Part]:
    """The columns of a variable over time and at most one other dimension."""
    variable = group[name]
    unit = _unit(variable)
    if not others:
        return [(f"{name} [{unit}]" if unit else name, variable.values, f"variable {name}")]
    values = variable.transpose(time, *others).values
    labels = group[others[0]].values if others[0] in group.coords else np.arange(1, values.shape[1] + 1)
    units = group["unit"].values if "unit" in group and group["unit"].dims == tuple(others) else [unit] * len(labels)
    parts = []
    for i, (label, unit) in enumerate(zip(labels, units, strict=True)):
        heading = str(label) if name == "data" and isinstance(label, str) else f"{name}_{label}"
        heading = f"{heading} [{unit}]" if unit and unit != "1" else heading
        parts.append((heading, values[:, i], f"variable {name}, {others[0]} {label}"))
    return parts


def _unit(variable: xr.DataArray) -> str:
    unit = str(variable.attrs.get("units", ""))
    return "" if unit == "1" or variable.dtype.kind == "M" else unit
