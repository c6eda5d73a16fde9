"""Valid and malformed files of every format, in memory."""

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
"""Lines of the valid file, from line 2."""


def csv(lines: dict[int, str | None] | None = None, *, header: str = HEADER) -> bytes:
    """The valid file with the lines of these numbers replaced, or removed (None)."""
    numbered = {1: header, **dict(enumerate(LINES, start=2)), **(lines or {})}
    return "\n".join(text for _, text in sorted(numbered.items()) if text is not None).encode()


def column(heading: str, value: Callable[[int], object]) -> bytes:
    """The valid file with an additional column; `value` takes the row, from 0."""
    return "\n".join([f"{HEADER},{heading}", *(f"{line},{value(row)}" for row, line in enumerate(LINES))]).encode()


def table(header: str, row: Callable[[int], str], rows: int = 60) -> bytes:
    """A file of a header and generated lines."""
    return "\n".join([header, *map(row, range(rows))]).encode()


def hdf5(fill: Callable[[h5py.File], object]) -> bytes:
    """An HDF5 file with the contents that `fill` writes."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        fill(file)
    return buffer.getvalue()


def plain(file: h5py.Group, **datasets: np.ndarray) -> None:
    """Create datasets by name."""
    for name, values in datasets.items():
        file.create_dataset(name, data=values)


def netcdf(dataset: xr.Dataset, engine: str = "h5netcdf") -> bytes:
    """A NetCDF-4 file, or NetCDF-3 with the engine "scipy"."""
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
