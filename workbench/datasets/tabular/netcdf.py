"""NetCDF files: variables over time, and over trajectories or a few places beside it."""

import io
from typing import Any

import numpy as np
import xarray as xr

from workbench.datasets.tabular.columns import TIMES, TRAJECTORIES, is_called
from workbench.datasets.tabular.convert import column, words
from workbench.datasets.tabular.sheet import CELLS, MOST_EXPANDED, Sheet, TableError, distinct


def read(file: str, content: bytes, repairs: list[str], *, engine: str) -> list[Sheet]:
    """A sheet per group and per place on a dimension that is called trajectory. Raises Refused naming the variable.

    engine: "h5netcdf" for NetCDF-4, whose links have been looked at by `hdf5.opened`, "scipy" for NetCDF-3.
    """
    sheets = []
    try:
        if engine == "scipy":
            groups = {"/": xr.open_dataset(io.BytesIO(content), engine="scipy", decode_timedelta=False)}
        else:
            groups = xr.open_groups(io.BytesIO(content), engine="h5netcdf", phony_dims="sort", decode_timedelta=False)
        cells = sum(variable.size for group in groups.values() for variable in group.variables.values())
        if cells > CELLS:
            raise TableError(f"{file}: expected at most {CELLS:,} values, found {cells:,}")
        groups = {name: group.load() for name, group in groups.items() if group.variables}
    except TableError:
        raise
    except Exception as error:  # what is broken breaks the reader in any way
        raise TableError(f"{file} cannot be read as NetCDF, it may be cut off: {words(error)}") from None
    for name, group in groups.items():
        sheets += _sheets(file, name.strip("/"), group, repairs)
    if not sheets:
        raise TableError(f"{file} holds no variable over time: expected variables over (time)")
    return sheets


def _sheets(file: str, label: str, group: xr.Dataset, repairs: list[str]) -> list[Sheet]:
    group = group.drop_vars(
        str(own.attrs["bounds"]) for own in group.variables.values() if own.attrs.get("bounds") in group
    )
    if "data" in group and "truth" in group:  # a record of ours: what is true is not to be learned from
        group = group.drop_vars("truth")
    time = _time_dimension(file, group)
    many = next((dim for dim in group.dims if dim != time and is_called(str(dim), TRAJECTORIES)), None)
    if many is None:
        return [_sheet(file, label, group, time, repairs)]
    labels = group[many].values if many in group.coords else range(1, group.sizes[many] + 1)
    return [
        _sheet(file, " ".join(filter(None, (label, f"{many} {own}"))), group.isel({many: i}, drop=True), time, repairs)
        for i, own in enumerate(labels)
    ]


def _time_dimension(file: str, group: xr.Dataset) -> str:
    """The dimension along which time runs. Raises Refused if none does."""
    dims = [str(dim) for dim in group.dims]
    beside = [dim for dim in dims if not is_called(dim, TRAJECTORIES)]
    for own in group.variables.values():
        if own.dtype.kind == "M" or own.attrs.get("axis") == "T" or own.attrs.get("standard_name") == "time":
            for dim in own.dims:
                if dim in beside:
                    return str(dim)
    for dim in beside:
        if is_called(dim, TIMES):
            return dim
    for name, own in group.variables.items():
        if is_called(str(name), TIMES) and own.dims and own.dims[-1] in beside:
            return str(own.dims[-1])
    if len(beside) == 1:
        return beside[0]
    name, own = next(iter(group.data_vars.items()), ("", group.to_array() if group.data_vars else None))
    found = (
        f"variable {name} lies over ({', '.join(map(str, own.dims))})" if own is not None else "there is no variable"
    )
    raise TableError(f"{file}: {found}: expected a dimension called time")


def _sheet(file: str, label: str, group: xr.Dataset, time: str, repairs: list[str]) -> Sheet:
    """The columns over time; those over one short dimension more become several."""
    parts: list[tuple[str, np.ndarray, str]] = []
    for name, variable in group.variables.items():
        if time not in variable.dims:
            continue
        others = [dim for dim in variable.dims if dim != time]
        if len(others) > 1 or (others and group.sizes[others[0]] > MOST_EXPANDED):
            sizes = ", ".join(f"{dim}: {group.sizes[dim]}" for dim in variable.dims)
            allowed = f"time alone, or time and one dimension of at most {MOST_EXPANDED}"
            raise TableError(f"{file}: variable {name} lies over ({sizes}): expected {allowed}; choose a place first")
        parts += _parts(group, str(name), others, time)
    names, units = distinct([heading for heading, _, _ in parts], file, repairs)
    columns = {
        name: column(values, f"{file}: {where}", repairs) for name, (_, values, where) in zip(names, parts, strict=True)
    }
    if not columns:
        raise TableError(f"{file}: no variable lies over the dimension {time}")
    return Sheet(file, columns, np.arange(1, group.sizes[time] + 1), units, label=label)


def _parts(group: xr.Dataset, name: str, others: list[Any], time: str) -> list[tuple[str, np.ndarray, str]]:
    """(heading, values, where) of each column that a variable holds."""
    variable = group[name]
    unit = _unit(variable)
    if not others:
        return [(f"{name} [{unit}]" if unit else name, variable.values, f"variable {name}")]
    values = variable.transpose(time, *others).values
    labels = group[others[0]].values if others[0] in group.coords else np.arange(1, values.shape[1] + 1)
    units = group["unit"].values if "unit" in group and group["unit"].dims == tuple(others) else [unit] * len(labels)
    made = []
    for place, (label, own) in enumerate(zip(labels, units, strict=True)):
        heading = str(label) if name == "data" and isinstance(label, str) else f"{name}_{label}"
        heading = f"{heading} [{own}]" if own and own != "1" else heading
        made.append((heading, values[:, place], f"variable {name}, {others[0]} {label}"))
    return made


def _unit(variable: xr.DataArray) -> str:
    unit = str(variable.attrs.get("units", ""))
    return "" if unit == "1" or variable.dtype.kind == "M" else unit
