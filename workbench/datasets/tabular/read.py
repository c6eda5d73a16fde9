"""From the bytes of files to a record; the format is told from the bytes, not from the name."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import xarray as xr

from workbench.datasets.tabular import csv, hdf5, netcdf, parquet
from workbench.datasets.tabular.build import record
from workbench.datasets.tabular.sheet import Sheet, TableError

LIMIT = 32 * 2**20
"""Bytes of all files together."""
FORMATS = {
    "csv": (".csv", ".tsv", ".txt", ".dat", ".tab"),
    "parquet": (".parquet", ".pq", ".parq"),
    "hdf5": (".h5", ".hdf5", ".hdf", ".he5", ".nc", ".nc4"),
    "netcdf": (".nc", ".cdf", ".nc3"),
}
"""The endings of each format."""
ENDINGS = tuple(dict.fromkeys(ending for endings in FORMATS.values() for ending in endings))
_BEGINNINGS = (
    (b"\x89HDF\r\n\x1a\n", "hdf5"),
    (b"CDF\x01", "netcdf"),
    (b"CDF\x02", "netcdf"),
    (b"CDF\x05", "netcdf"),
    (b"PAR1", "parquet"),
)
_REFUSED = (
    (b"PK\x03\x04", "a ZIP archive or a spreadsheet: unpack it, or save the sheet as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old spreadsheet: save it as CSV"),
    (b"\x1f\x8b", "packed with gzip: unpack it first"),
    (b"BZh", "packed with bzip2: unpack it first"),
    (b"\xfd7zXZ", "packed with xz: unpack it first"),
    (b"%PDF", "a PDF document: expected CSV, Parquet, HDF5 or NetCDF"),
    (b"\x89PNG", "a picture: expected CSV, Parquet, HDF5 or NetCDF"),
    (b"\x93NUMPY", "a NumPy file: save it as CSV or HDF5"),
    (b"\x80\x04", "a pickle, which could run anything: save the values as CSV or HDF5"),
    (b"\x80\x05", "a pickle, which could run anything: save the values as CSV or HDF5"),
)


@dataclass(frozen=True)
class Source:
    """A file as it was handed over: its name, which opens nothing, and its bytes."""

    name: str
    content: bytes

    @classmethod
    def of(cls, path: Path) -> "Source":
        """The file at a path that a person at the shell named. Raises Refused if there is none, or it is too big."""
        if not path.is_file():
            raise TableError(f"there is no file {path}")
        size = path.stat().st_size
        if size > LIMIT:
            raise too_big(path.name, size)
        return cls(path.name, path.read_bytes())


def too_big(name: str, size: int) -> TableError:
    """The error for a file over the limit."""
    return TableError(
        f"{name} has {size / 2**20:.1f} MB: expected at most {LIMIT // 2**20} MB; "
        f"take every second row, or leave out columns"
    )


def read(sources: Sequence[Source], *, time: str = "", trajectory: str = "") -> xr.Dataset:
    """The record of one or several files, each of which adds its trajectories; `data` over (time, variable).

    time, trajectory: names of these columns; "": told from the names and what is in them. `attrs["repairs"]` holds a
    sentence per line on what was put right, `attrs["sampling"]` one on the times. Missing values are NaN.
    Raises Refused, naming file, row and column, for what cannot be put right.
    """
    if not sources:
        raise TableError("no file was given")
    size = sum(len(source.content) for source in sources)
    if size > LIMIT:
        raise too_big(" and ".join(source.name for source in sources), size)
    repairs: list[str] = []
    sheets = [sheet for source in sources for sheet in _sheets(_named(source), repairs)]
    return record(sheets, repairs, time=time, trajectory=trajectory)


def _named(source: Source) -> Source:
    """The file with a name that can stand in a sentence, whatever folder or sign it came with."""
    name = re.sub(r"[^\w .()+-]", "_", re.split(r"[/\\]", source.name)[-1])[:80].strip() or "file"
    return Source(name, source.content)


def _sheets(source: Source, repairs: list[str]) -> list[Sheet]:
    name, content = source.name, source.content
    if not content.strip():
        raise TableError(f"{name} is empty: expected a line of column names, and a line of numbers for each time")
    for beginning, what in _REFUSED:
        if content.startswith(beginning):
            raise TableError(f"{name} is {what}")
    kind = next((kind for beginning, kind in _BEGINNINGS if content.startswith(beginning)), "csv")
    ending = Path(name).suffix.lower()
    if kind == "csv" and ending in (*FORMATS["parquet"], *FORMATS["hdf5"]) and _is_binary(content):
        raise TableError(f"{name} does not begin as a {ending} file does; it may be broken: expected it whole")
    if ending in ENDINGS and ending not in FORMATS[kind]:
        repairs.append(f"{name} is called {ending}, but what is in it is {_TITLES[kind]}; read as that")
    if kind == "csv":
        return [csv.read(name, content, repairs)]
    if kind == "parquet":
        return parquet.read(name, content, repairs)
    if kind == "netcdf":
        return netcdf.read(name, content, repairs, engine="scipy")
    with hdf5.opened(name, content) as found:
        if not hdf5.is_netcdf(found):
            return hdf5.read(name, found, repairs)
    return netcdf.read(name, content, repairs, engine="h5netcdf")


_TITLES = {"csv": "text", "parquet": "Parquet", "hdf5": "HDF5", "netcdf": "NetCDF"}


def _is_binary(content: bytes) -> bool:
    return b"\x00" in content[:4096]
