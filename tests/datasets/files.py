"""Files in memory, good and broken, of every format."""

import io
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import fastparquet
import h5py
import numpy as np
import pandas as pd
import xarray as xr

TIMES = 0.1 * np.arange(60)
SINE, COSINE = np.sin(TIMES), np.cos(TIMES)
DAYS = np.datetime64("2020-01-01") + np.arange(60)
HEADER = "time [s],x [m],y"
LINES = [f"{t:.2f},{x:.4f},{y:.4f}" for t, x, y in zip(TIMES, SINE, COSINE, strict=True)]
"""Line 2 of the file is the first of them."""


def csv(lines: dict[int, str | None] | None = None, *, header: str = HEADER) -> bytes:
    """A good file in which the lines with these numbers are others, or are not there."""
    every = {1: header, **dict(enumerate(LINES, start=2)), **(lines or {})}
    return "\n".join(text for _, text in sorted(every.items()) if text is not None).encode()


def column(heading: str, value: Callable[[int], object]) -> bytes:
    """A good file with one more column; `value` of a row counted from 0."""
    return "\n".join([f"{HEADER},{heading}", *(f"{line},{value(row)}" for row, line in enumerate(LINES))]).encode()


def table(header: str, row: Callable[[int], str], rows: int = 60) -> bytes:
    """A file of this header and these lines."""
    return "\n".join([header, *map(row, range(rows))]).encode()


def hdf5(fill: Callable[[h5py.File], object]) -> bytes:
    """What `fill` puts into an HDF5 file."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        fill(file)
    return buffer.getvalue()


def plain(file: h5py.Group, **datasets: np.ndarray) -> None:
    """Datasets by name."""
    for name, values in datasets.items():
        file.create_dataset(name, data=values)


def netcdf(dataset: xr.Dataset, engine: str = "h5netcdf") -> bytes:
    """A NetCDF-4 file, or with the engine "scipy" one of NetCDF-3."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "file.nc"
        dataset.to_netcdf(path, engine=engine)
        return path.read_bytes()


def parquet(frame: pd.DataFrame) -> bytes:
    """A Parquet file."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "file.parquet"
        fastparquet.write(str(path), frame)
        return path.read_bytes()
