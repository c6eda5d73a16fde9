"""What a record must be: named dimensions, units, finite numbers, increasing times. Errors are sentences.

A record of several trajectories lays them one after the other along `time`, and has a coordinate `trajectory` over
(time) that counts them from 0. Where values may be missing, `data` has the attribute `missing` = "NaN".
"""

from itertools import pairwise

import numpy as np
import xarray as xr

DIMS = ("time", "variable")
FIELD_DIMS = ("trajectory", "frame", "point")


def check(record: xr.Dataset) -> xr.Dataset:
    """The record itself, if it is one: `data` (and, where known, `truth`) over (time, variable).

    Every array and the time coordinate carry `units` ("1": dimensionless) and `long_name`. A record of fields has
    `data` (and `truth`) over (trajectory, frame, point) on periodic intervals, with the coordinates `t` (trajectory,
    frame) and `length` (trajectory). Raises ValueError saying what was expected and what was found.
    """
    if "frame" in record.dims:
        return _check_fields(record)
    if "data" not in record:
        raise ValueError(f"a record needs a variable 'data'; it has {_listed(record.data_vars)}")
    for name in ("time", "variable"):
        if name not in record.coords:
            raise ValueError(f"a record needs a coordinate '{name}'; it has {_listed(record.coords)}")
    _check_time(record)
    labels = [str(label) for label in record["variable"].values]
    if len(set(labels)) != len(labels):
        raise ValueError(f"the names of the variables must differ; they are {_listed(labels)}")
    for name in ("data", "truth"):
        if name in record:
            _check_values(name, record[name])
    return record


def _check_fields(record: xr.Dataset) -> xr.Dataset:
    for name, dims in {"data": FIELD_DIMS, "t": FIELD_DIMS[:2], "length": FIELD_DIMS[:1]}.items():
        if name not in record:
            raise ValueError(f"a record of fields needs '{name}'; it has {_listed(record.variables)}")
        if record[name].dims != dims:
            raise ValueError(f"{name} must lie over {dims}, found {record[name].dims}")
    if record.sizes["frame"] < 2:
        raise ValueError(f"a record of fields needs at least 2 frames, found {record.sizes['frame']}")
    for name in ("data", "truth", "t", "length"):
        if name in record:
            _check_attributes(name, record[name])
            bad = ~np.isfinite(record[name].values)
            if bad.any():
                raise ValueError(f"{name} must be finite; it is not at {np.argwhere(bad)[0].tolist()}")
    if not (np.diff(record.t.values, axis=1) > 0).all() or not (record.length.values > 0).all():
        raise ValueError("times must increase and lengths be positive in every trajectory")
    return record


def one(record: xr.Dataset, index: int) -> xr.Dataset:
    """One trajectory of a record of fields, over (time, x) in its own units; the attribute `length` of the interval."""
    own = record.isel(trajectory=index)
    length, points = float(own.length), record.sizes["point"]
    plain = {"units": "1"}
    return xr.Dataset(
        {name: (("time", "x"), own[name].values, own[name].attrs) for name in ("truth", "data") if name in own},
        coords={
            "time": ("time", own.t.values, {**plain, "long_name": "time"}),
            "x": ("x", length / points * np.arange(points), {**plain, "long_name": "place"}),
        },
        attrs={**record.attrs, "length": length},
    )


def trajectories(record: xr.Dataset) -> list[xr.Dataset]:
    """The trajectories of a record, each a record of its own; of one, just that."""
    if "trajectory" not in record.coords:
        return [record]
    labels = record["trajectory"].values
    cuts = np.flatnonzero(np.diff(labels)) + 1
    alone = record.drop_vars("trajectory")
    edges = [0, *cuts.tolist(), len(labels)]
    return [alone.isel(time=slice(first, last)) for first, last in pairwise(edges)]


def uniform_step(record: xr.Dataset) -> float:
    """The step between neighbouring times of an evenly sampled record. Raises ValueError for an uneven one."""
    steps = np.diff(record.time.values)
    mean = float(steps.mean())
    worst = int(np.argmax(np.abs(steps - mean)))
    if abs(steps[worst] - mean) > 1e-6 * mean:
        found = f"the mean step is {mean:g}, but the one after grid point {worst} is {steps[worst]:g}"
        raise ValueError(f"the times must be evenly spaced: {found}")
    return mean


def _check_time(record: xr.Dataset) -> None:
    time = record.time
    if time.dims != ("time",) or time.dtype.kind not in "fiu":
        raise ValueError(f"time must be numbers over (time), found {time.dtype} over {time.dims}")
    if time.size < 2:
        raise ValueError(f"a record needs at least 2 grid points, found {time.size}")
    _check_attributes("time", time)
    values = time.values.astype(float)
    _check_finite("time", values[:, None], [""])
    back = np.diff(values) <= 0
    if "trajectory" in record.coords:
        labels = record["trajectory"]
        if labels.dims != ("time",) or not np.isin(np.diff(labels.values), (0, 1)).all():
            raise ValueError("trajectory must count the trajectories from 0 over (time), one after the other")
        back &= np.diff(labels.values) == 0
    if back.any():
        at = int(np.argmax(back))
        raise ValueError(f"times must increase: grid point {at + 1} is at {values[at + 1]:g}, after {values[at]:g}")


def _check_values(name: str, array: xr.DataArray) -> None:
    if set(array.dims) != set(DIMS):
        raise ValueError(f"{name} must lie over {DIMS}, found {array.dims}")
    if array.dtype.kind != "f":
        raise ValueError(f"{name} must hold floating-point numbers, found {array.dtype}")
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
    bad = ~np.isfinite(values)
    if bad.any():
        point, column = np.argwhere(bad)[0]
        raise ValueError(f"{name} must be finite; it is {values[point, column]} at grid point {point}{labels[column]}")


def _listed(names: object) -> str:
    return ", ".join(map(str, names)) or "none"
