"""Results of a study, read from its run files, as one xarray.Dataset over its axes."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr

from workbench.datasets.store import replacing
from workbench.studies.study import RESERVED, Study
from workbench.training import run_file

UNITS = {"seconds": "s", "memory_mb": "MB"}
NAMES = {"seconds": "time spent in training steps", "memory_mb": "largest resident memory of the process"}
NUMBERS = ("seconds", "memory_mb", "steps")
TEXTS = ("status", "message", "run")
MISSING = {"metrics": {}, "status": "missing", "message": "", "run": "", **dict.fromkeys(NUMBERS, np.nan)}


def results(study: Study, known: dict[Path, dict[str, Any]] | None = None) -> xr.Dataset:
    """Dataset over the axes, the seed last, of every metric, `seconds`, `memory_mb` and `steps` (NaN if missing).

    `status` is "finished", "failed" or "missing", `message` the error of a failed cell, `run` its run file.
    known: cache of the rows of complete cells, which never change.
    """
    known = {} if known is None else known
    paths = [study.path(cell) for cell in study.cells]
    known.update({path: _row(path) for path in paths if path not in known and path.exists()})
    rows = [known.get(path, MISSING) for path in paths]
    shape = tuple(len(values) for values in study.dims.values())
    metrics = sorted({name for row in rows for name in row["metrics"]})
    variables = {}
    for name in metrics:
        label = f"metric_{name}" if name in RESERVED | set(study.dims) else name
        variables[label] = np.array([row["metrics"].get(name, np.nan) for row in rows], dtype=float)
    variables |= {name: np.array([row[name] for row in rows], dtype=float) for name in NUMBERS}
    variables |= {name: np.array([row[name] for row in rows], dtype=object) for name in TEXTS}
    dataset = xr.Dataset(
        {name: (tuple(study.dims), column.reshape(shape)) for name, column in variables.items()},
        coords={name: _coordinate(values) for name, values in study.dims.items()},
        attrs={
            "experiment": study.experiment,
            "settings": json.dumps(dict(study.settings)),
            "versions": json.dumps(run_file.versions()),
        },
    )
    for name, units in UNITS.items():
        dataset[name].attrs = {"units": units, "long_name": NAMES[name]}
    return dataset


def save(study: Study) -> xr.Dataset:
    """Write the results to study.nc in the folder of the study, and return them."""
    dataset = results(study)
    with replacing(study.folder / "study.nc") as part:
        dataset.to_netcdf(part, engine="h5netcdf")
    return dataset


def _coordinate(values: tuple[Any, ...]) -> np.ndarray:
    """Values of an axis in a type that NetCDF can store."""
    if any(isinstance(value, bool | str) or value is None for value in values):
        return np.array([json.dumps(value) if not isinstance(value, str) else value for value in values], dtype=object)
    return np.array(values)


def _row(path: Path) -> dict[str, Any]:
    """Row of one run file."""
    summary = run_file.summarise(path)
    row = MISSING | {"metrics": summary.metrics, "run": path.name, "steps": summary.steps}
    row |= {"status": summary.status or "failed", "message": summary.message or summary.error}
    if summary.steps:
        with h5py.File(path) as file:
            row["seconds"] = float(file["records/seconds"][-1])
            row["memory_mb"] = float(file["records/memory_mb"][:].max())
    return row
