"""Scaling studies as xarray.Dataset over (point), NetCDF and CSV."""

import csv
import json
from collections.abc import Iterable
from dataclasses import fields
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from workbench.datasets.store import replacing
from workbench.jobs.budget import JobStatus
from workbench.scaling.case import Case, Point, machine

FORMAT_VERSION = 1
UNITS = {
    **dict.fromkeys(("forward", "backward", "forward_best", "backward_best"), "s"),
    **dict.fromkeys(("forward_spread", "backward_spread"), "s"),
    **dict.fromkeys(("memory_forward", "memory"), "byte"),
}
_CASE = {field.name: field.type for field in fields(Case)}
_POINT = {field.name: field.type for field in fields(Point) if field.name != "case"}
_TYPES = {int: np.int64, float: np.float64, bool: np.int8, str: object, JobStatus: object}


def to_dataset(points: Iterable[Point], axis: str = "T") -> xr.Dataset:
    """Dataset over (point) with one variable per field of Case and Point, units, and the machine in the attributes."""
    rows = [_row(point) for point in points]
    variables = {}
    for name, kind in (_CASE | _POINT).items():
        column = np.array([row[name] for row in rows], dtype=_TYPES[kind])
        variables[name] = ("point", column, {"units": UNITS[name]} if name in UNITS else {})
    return xr.Dataset(
        variables, attrs={"format_version": FORMAT_VERSION, "axis": axis, "machine": json.dumps(machine())}
    )


def from_dataset(study: xr.Dataset) -> list[Point]:
    """Points of a dataset written by `to_dataset`. Raises ValueError naming missing variables or invalid values."""
    missing = [name for name in _CASE | _POINT if name not in study]
    if missing:
        raise ValueError(f"not a study: it has no {', '.join(missing)}")
    columns = {name: study[name].values.tolist() for name in _CASE | _POINT}
    return [_point(dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]


def save(points: Iterable[Point], path: Path, axis: str = "T") -> None:
    """Write the study as NetCDF, replacing `path` atomically."""
    with replacing(Path(path)) as part:
        to_dataset(points, axis).to_netcdf(part, engine="h5netcdf")


def load(path: Path) -> xr.Dataset:
    """Read the study of a file; the backends that it names are not imported.

    Raises FileNotFoundError, or ValueError with the reason if the file is not a readable study.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such study")
    try:
        with xr.open_dataset(path, engine="h5netcdf") as study:
            study.load()
    except (OSError, KeyError, ValueError) as error:
        raise ValueError(f"{path}: not a readable NetCDF file: {error}") from error
    if study.attrs.get("format_version") != FORMAT_VERSION:
        raise ValueError(f"{path}: not a study of format {FORMAT_VERSION}")
    return study


def write_csv(points: Iterable[Point], path: Path) -> None:
    """Write one line per point, with the fields of Case and Point as columns; seconds and bytes."""
    with replacing(Path(path)) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*_CASE, *_POINT])
        writer.writeheader()
        writer.writerows(_row(point) for point in points)


def read_csv(path: Path) -> list[Point]:
    """Read a file written by `write_csv`. Raises ValueError naming an invalid line."""
    points = []
    with Path(path).open(newline="", encoding="utf-8") as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            try:
                points.append(_point(row))
            except (KeyError, ValueError, TypeError) as error:
                raise ValueError(f"{path}: line {number} is not a point of a study: {error}") from error
    return points


def _row(point: Point) -> dict[str, Any]:
    row = {name: getattr(point.case, name) for name in _CASE} | {name: getattr(point, name) for name in _POINT}
    return row | {"status": str(point.status), "central": int(point.case.central)}


def _point(row: dict[str, Any]) -> Point:
    """Point of a row of numbers and strings."""
    case = {name: _parse(row[name], kind) for name, kind in _CASE.items()}
    return Point(Case(**case), **{name: _parse(row[name], kind) for name, kind in _POINT.items()})


def _parse(value: Any, kind: type) -> Any:
    if kind is float:
        return float(value) if value != "" else nan
    return bool(int(value)) if kind is bool else kind(value)
