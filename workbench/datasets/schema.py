"""Validate and split records: named dimensions, units, finite values, increasing times.

A record of several trajectories concatenates them along `time` and numbers them from 0 in a coordinate `trajectory`
over (time). If values may be missing, `data` has the attribute `missing` = "NaN".
"""

from itertools import pairwise

import numpy as np
import xarray as xr

DIMS = ("time", "variable")
FIELD_DIMS = ("trajectory", "frame", "point")


def check(record: xr.Dataset) -> xr.Dataset:
    """Validate a record and return it: `data` (and `truth` if known) over (time, variable).

    Every array and the time coordinate have the attributes `units` ("1": dimensionless) and `long_name`. A record of
    fields has `data` (and `truth`) over (trajectory, frame, point) on periodic intervals, with the coordinates `t`
    (trajectory, frame) and `length` (trajectory). Raises ValueError for anything else.
    """
    if "frame" in record.dims:
        return _check_fields(record)
    if "data" not in record:
        raise ValueError(f"a record needs a variable 'data', found {_listed(record.data_vars)}")
    for name in ("time", "variable"):
        if name not in record.coords:
            raise ValueError(f"a record needs a coordinate '{name}', found {_listed(record.coords)}")
    _check_time(record)
    labels = [str(label) for label in record["variable"].values]
    if len(set(labels)) != len(labels):
        raise ValueError(f"variable names must be unique, found {_listed(labels)}")
    for name in ("data", "truth"):
        if name in record:
            _check_values(name, record[name])
    return record


def _check_fields(record: xr.Dataset) -> xr.Dataset:
    for name, dims in {"data": FIELD_DIMS, "t": FIELD_DIMS[:2], "length": FIELD_DIMS[:1]}.items():
        if name not in record:
            raise ValueError(f"a record of fields needs '{name}', found {_listed(record.variables)}")
        if record[name].dims != dims:
            raise ValueError(f"{name} must be over {dims}, found {record[name].dims}")
    if record.sizes["frame"] < 2:
        raise ValueError(f"a record of fields needs at least 2 frames, found {record.sizes['frame']}")
    for name in ("data", "truth", "t", "length"):
        if name in record:
            _check_attributes(name, record[name])
            invalid = ~np.isfinite(record[name].values)
            if invalid.any():
                raise ValueError(f"{name} must be finite; it is not at index {np.argwhere(invalid)[0].tolist()}")
    if not (np.diff(record.t.values, axis=1) > 0).all() or not (record.length.values > 0).all():
        raise ValueError("times must increase and lengths be positive in every trajectory")
    return record


def one(record: xr.Dataset, index: int) -> xr.Dataset:
    """One trajectory of a record of fields, over (time, x), with the interval length as attribute `length`."""
    field = record.isel(trajectory=index)
    length, points = float(field.length), record.sizes["point"]
    units = {"units": "1"}
    return xr.Dataset(
        {name: (("time", "x"), field[name].values, field[name].attrs) for name in ("truth", "data") if name in field},
        coords={
            "time": ("time", field.t.values, {**units, "long_name": "time"}),
            "x": ("x", length / points * np.arange(points), {**units, "long_name": "position"}),
        },
        attrs={**record.attrs, "length": length},
    )


def trajectories(record: xr.Dataset) -> list[xr.Dataset]:
    """The trajectories of a record, each as a record."""
    if "trajectory" not in record.coords:
        return [record]
    labels = record["trajectory"].values
    starts = np.flatnonzero(np.diff(labels)) + 1
    whole = record.drop_vars("trajectory")
    edges = [0, *starts.tolist(), len(labels)]
    return [whole.isel(time=slice(first, last)) for first, last in pairwise(edges)]


def uniform_step(record: xr.Dataset) -> float:
    """The time step of a uniformly sampled record. Raises ValueError for nonuniform times."""
    steps = np.diff(record.time.values)
    mean = float(steps.mean())
    worst = int(np.argmax(np.abs(steps - mean)))
    if abs(steps[worst] - mean) > 1e-6 * mean:
        raise ValueError(
            f"times must be uniform; the mean step is {mean:g}, the step after grid point {worst} is {steps[worst]:g}"
        )
    return mean


def _check_time(record: xr.Dataset) -> None:
    time = record.time
    if time.dims != ("time",) or time.dtype.kind not in "fiu":
        raise ValueError(f"time must be numeric over (time), found {time.dtype} over {time.dims}")
    if time.size < 2:
        raise ValueError(f"a record needs at least 2 grid points, found {time.size}")
    _check_attributes("time", time)
    values = time.values.astype(float)
    _check_finite("time", values[:, None], [""])
    decreasing = np.diff(values) <= 0
    if "trajectory" in record.coords:
        labels = record["trajectory"]
        if labels.dims != ("time",) or not np.isin(np.diff(labels.values), (0, 1)).all():
            raise ValueError("trajectory must number consecutive trajectories from 0 over (time)")
        decreasing &= np.diff(labels.values) == 0
    if decreasing.any():
        at = int(np.argmax(decreasing))
        raise ValueError(f"times must increase: grid point {at + 1} is at {values[at + 1]:g}, after {values[at]:g}")


def _check_values(name: str, array: xr.DataArray) -> None:
    if set(array.dims) != set(DIMS):
        raise ValueError(f"{name} must be over {DIMS}, found {array.dims}")
    if array.dtype.kind != "f":
        raise ValueError(f"{name} must have floating-point values, found {array.dtype}")
    _check_attributes(name, array)
    labels = [f", variable {label}" for label in array["variable"].values]
    values = array.transpose(*DIMS).values
    if array.attrs.get("missing") == "NaN":
        values = np.where(np.isnan(values), 0.0, values)
    _check_finite(name, values, labels)


def _check_attributes(name: str, array: xr.DataArray) -> None:
    for attribute in ("units", "long_name"):
        if attribute not in array.attrs:
            raise ValueError(
                f"{name} has no attribute '{attribute}'" + (" ('1' if dimensionless)" if attribute == "units" else "")
            )


def _check_finite(name: str, values: np.ndarray, labels: list[str]) -> None:
    invalid = ~np.isfinite(values)
    if invalid.any():
        point, column = np.argwhere(invalid)[0]
        raise ValueError(f"{name} must be finite; it is {values[point, column]} at grid point {point}{labels[column]}")


def _listed(names: object) -> str:
    return ", ".join(map(str, names)) or "none"
