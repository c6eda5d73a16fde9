"""Read files into a record; the format is detected from the content, not from the name."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import xarray as xr

from workbench.datasets.tabular import csv, hdf5, netcdf, parquet
from workbench.datasets.tabular.build import build_record
from workbench.datasets.tabular.sheet import Sheet, TableError

LIMIT = 32 * 2**20
"""Bytes of all files together."""
FORMATS = {
    "csv": (".csv", ".tsv", ".txt", ".dat", ".tab"),
    "parquet": (".parquet", ".pq", ".parq"),
    "hdf5": (".h5", ".hdf5", ".hdf", ".he5", ".nc", ".nc4"),
    "netcdf": (".nc", ".cdf", ".nc3"),
}
"""File name extensions of each format."""
ENDINGS = tuple(dict.fromkeys(ending for endings in FORMATS.values() for ending in endings))
_SIGNATURES = (
    (b"\x89HDF\r\n\x1a\n", "hdf5"),
    (b"CDF\x01", "netcdf"),
    (b"CDF\x02", "netcdf"),
    (b"CDF\x05", "netcdf"),
    (b"PAR1", "parquet"),
)
_UNSUPPORTED = (
    (b"PK\x03\x04", "a ZIP archive or a spreadsheet: unpack it, or save the sheet as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old spreadsheet: save it as CSV"),
    (b"\x1f\x8b", "compressed with gzip: unpack it first"),
    (b"BZh", "compressed with bzip2: unpack it first"),
    (b"\xfd7zXZ", "compressed with xz: unpack it first"),
    (b"%PDF", "a PDF document: expected CSV, Parquet, HDF5 or NetCDF"),
    (b"\x89PNG", "an image: expected CSV, Parquet, HDF5 or NetCDF"),
    (b"\x93NUMPY", "a NumPy file: save it as CSV or HDF5"),
    (b"\x80\x04", "a pickle, which can execute code: save the values as CSV or HDF5"),
    (b"\x80\x05", "a pickle, which can execute code: save the values as CSV or HDF5"),
)


@dataclass(frozen=True)
class Source:
    """Name and content of a file; the name is used in messages only."""

    name: str
    content: bytes

    @classmethod
    def of(cls, path: Path) -> "Source":
        """Load the file at a path given on the command line. Raises TableError if it is missing or too large."""
        if not path.is_file():
            raise TableError(f"there is no file {path}")
        size = path.stat().st_size
        if size > LIMIT:
            raise _size_error(path.name, size)
        return cls(path.name, path.read_bytes())


def _size_error(name: str, size: int) -> TableError:
    """The error for files above `LIMIT`."""
    return TableError(
        f"{name} has {size / 2**20:.1f} MB: expected at most {LIMIT // 2**20} MB; use every second row or fewer columns"
    )


def read(sources: Sequence[Source], *, time: str = "", trajectory: str = "") -> xr.Dataset:
    """The record of one or several files, each adding its trajectories: `data` over (time, variable), NaN if missing.

    time, trajectory: names of these columns; "": detected from names and values. `attrs["repairs"]` has one line per
    correction, `attrs["sampling"]` one sentence on the sampling.
    Raises TableError, naming file, row and column, for files that cannot be read.
    """
    if not sources:
        raise TableError("no file was given")
    size = sum(len(source.content) for source in sources)
    if size > LIMIT:
        raise _size_error(" and ".join(source.name for source in sources), size)
    warnings: list[str] = []
    sheets = [sheet for source in sources for sheet in _sheets(_with_safe_name(source), warnings)]
    return build_record(sheets, warnings, time=time, trajectory=trajectory)


def _with_safe_name(source: Source) -> Source:
    """The file with a name that is safe in a message: no folders, markup or control characters."""
    name = re.sub(r"[^\w .()+-]", "_", re.split(r"[/\\]", source.name)[-1])[:80].strip() or "file"
    return Source(name, source.content)


def _sheets(source: Source, warnings: list[str]) -> list[Sheet]:
    name, content = source.name, source.content
    if not content.strip():
        raise TableError(f"{name} is empty: expected a header line and one line of numbers per time")
    for signature, problem in _UNSUPPORTED:
        if content.startswith(signature):
            raise TableError(f"{name} is {problem}")
    kind = next((kind for signature, kind in _SIGNATURES if content.startswith(signature)), "csv")
    ending = Path(name).suffix.lower()
    if kind == "csv" and ending in (*FORMATS["parquet"], *FORMATS["hdf5"]) and _is_binary(content):
        raise TableError(f"{name} is not a valid {ending} file: its first bytes are wrong, it may be corrupt")
    if ending in ENDINGS and ending not in FORMATS[kind]:
        warnings.append(f"{name} has the extension {ending} but is read as {_TITLES[kind]}, from its content")
    if kind == "csv":
        return [csv.read(name, content, warnings)]
    if kind == "parquet":
        return parquet.read(name, content, warnings)
    if kind == "netcdf":
        return netcdf.read(name, content, warnings, engine="scipy")
    with hdf5.open_checked(name, content) as opened:
        if not hdf5.is_netcdf(opened):
            return hdf5.read(name, opened, warnings)
    return netcdf.read(name, content, warnings, engine="h5netcdf")


_TITLES = {"csv": "text", "parquet": "Parquet", "hdf5": "HDF5", "netcdf": "NetCDF"}


def _is_binary(content: bytes) -> bool:
    return b"\x00" in content[:4096]
