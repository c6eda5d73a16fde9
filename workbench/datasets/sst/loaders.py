"""Load published sea-surface temperature: gridded fields (lazy), weekly Nino regions, a monthly series.

A field is `sst` (time, lat, lon) in degC, latitudes from north to south, NaN over land, with a boolean `ocean` (lat,
lon); a series is `sst` (time, variable). Loaders raise ValueError for other products, truncated files, other units and
gaps in time.

Sources: Reynolds et al., J. Climate 15 (2002), 1609-1625 (OISST v2); Huang et al., J. Climate 30 (2017), 8179-8205,
doi:10.1175/JCLI-D-16-0836.1 (ERSST v5); NOAA CPC (weekly Nino regions).
"""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

CHUNK = 64
"""Time steps per dask chunk of a large field."""
WARMEST, COLDEST = 45.0, -5.0
"""Bounds of sea-surface temperature in degC; values outside are missing or in another unit."""
NINO = ("Nino 1+2", "Nino 3", "Nino 3.4", "Nino 4")
_NINO_COLUMNS = (15, 28, 41, 54)


@dataclass(frozen=True)
class Product:
    """Properties of a product: grid spacing in degrees, shortest and longest time step in days."""

    title: str
    degrees: float
    days: tuple[float, float]
    cadence: str


ERSST = Product("NOAA ERSST v5, monthly means", 2.0, (28, 31), "month")
OISST = Product("NOAA OISST v2, weekly means", 1.0, (7, 7), "week")


def open_ersst(path: Path) -> xr.Dataset:
    """Lazy field of an ERSST v5 file (`sst.mnmean.nc` or a part of it); missing cells are land."""
    field = _open_field(path, ERSST)
    # the land mask is constant in time
    return field.assign(ocean=np.isfinite(field["sst"].isel(time=0, drop=True)).compute())


def open_oisst(path: Path, mask: Path) -> xr.Dataset:
    """Lazy field of an OISST v2 weekly file; land, which the file fills by interpolation, is set to NaN.

    mask: file of the land-sea mask of the product (1: ocean).
    """
    field = _open_field(path, OISST)
    ocean = open_mask(mask)
    for axis in ("lat", "lon"):
        if field.sizes[axis] != ocean.sizes[axis] or not np.allclose(field[axis], ocean[axis]):
            raise ValueError(f"{mask}: its {axis} differ from those of {path}: expected the mask of the same product")
    ocean = ocean.assign_coords(lat=field["lat"], lon=field["lon"])
    return field.assign(sst=field["sst"].where(ocean), ocean=ocean)


def open_mask(path: Path) -> xr.DataArray:
    """`ocean` (lat, lon) of the OISST v2 land-sea mask: True over the ocean."""
    data = _open(path)
    if "mask" not in data or data["mask"].dims != ("time", "lat", "lon"):
        raise ValueError(f"{path}: expected a variable 'mask' over (time, lat, lon), found {_contents(data)}")
    values = data["mask"].isel(time=0, drop=True).load()
    if not np.isin(values, (0, 1)).all():
        raise ValueError(f"{path}: expected 0 (land) and 1 (ocean) in 'mask', found {np.unique(values)[:5]}")
    return (values == 1).rename("ocean")


def read_nino(path: Path) -> xr.Dataset:
    """Weekly `sst` and `anomaly` (time, variable) of the four Nino regions, from the fixed-width text of NOAA CPC.

    Columns are split by position because there is no space before a negative anomaly.
    """
    try:
        lines = Path(path).read_text(encoding="ascii").splitlines()
    except UnicodeDecodeError:
        raise ValueError(f"{path}: expected fixed-width text of NOAA CPC, found other bytes") from None
    if not any("Nino1+2" in line and "Nino34" in line for line in lines[:4]):
        raise ValueError(f"{path}: expected the header 'Nino1+2 Nino3 Nino34 Nino4' of NOAA CPC in its first 4 lines")
    rows = [(number, line) for number, line in enumerate(lines, 1) if number > 4 and line.strip()]
    if len(rows) < 2:
        raise ValueError(f"{path}: expected at least 2 weeks after 4 header lines, found {len(rows)}")
    values = np.array([_nino_row(path, number, line) for number, line in rows])
    dates = np.array([_nino_date(path, number, line) for number, line in rows])
    _require_times(path, dates, OISST)
    sst = _in_celsius(values[:, 0], "degC", path)
    return xr.Dataset(
        {
            "sst": (("time", "variable"), sst, {"units": "degC", "long_name": "sea-surface temperature"}),
            "anomaly": (("time", "variable"), values[:, 1], {"units": "degC", "long_name": "anomaly to 1991-2020"}),
        },
        coords={"time": dates, "variable": list(NINO)},
        attrs={"title": "NOAA CPC weekly SST of the Nino regions", "cadence": "week"},
    )


def _nino_row(path: Path, number: int, line: str) -> list[list[float]]:
    """Temperatures and anomalies of one week. Raises ValueError with the line number."""
    try:
        return [[float(line[c + shift : c + shift + 4]) for c in _NINO_COLUMNS] for shift in (0, 4)]
    except ValueError:
        raise ValueError(
            f"{path}, line {number}: expected temperature and anomaly at columns 15, 28, 41 and 54, found {line!r}; "
            "the file may be truncated"
        ) from None


def _nino_date(path: Path, number: int, line: str) -> np.datetime64:
    months = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
    text = line[1:10]
    try:
        return np.datetime64(f"{int(text[5:])}-{months.index(text[2:5]) + 1:02d}-{int(text[:2]):02d}", "ns")
    except ValueError:
        raise ValueError(f"{path}, line {number}: expected a date as 02SEP1981, found {text!r}") from None


def elnino() -> xr.Dataset:
    """Monthly `sst` (time, variable) of Nino 1+2, 1950-2010, as shipped with statsmodels; needs no network.

    Raises ModuleNotFoundError if statsmodels is not installed.
    """
    spec = importlib.util.find_spec("statsmodels")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the monthly Nino 1+2 series is part of statsmodels: pip install statsmodels")
    table = np.loadtxt(Path(spec.origin).parent / "datasets/elnino/elnino.csv", delimiter=",", skiprows=1)
    first = np.datetime64(f"{int(table[0, 0])}-01", "M")
    dates = (first + np.arange(12 * len(table))).astype("datetime64[ns]")
    values = table[:, 1:].reshape(-1, 1)
    return xr.Dataset(
        {"sst": (("time", "variable"), values, {"units": "degC", "long_name": "sea-surface temperature"})},
        coords={"time": dates, "variable": [NINO[0]]},
        attrs={"title": "Nino 1+2, monthly, 1950-2010 (NOAA, as embedded in statsmodels)", "cadence": "month"},
    )


# open and check


def _open(path: Path) -> xr.Dataset:
    """Lazy Dataset of a NetCDF-3 or NetCDF-4 file."""
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    with path.open("rb") as file:
        magic = file.read(8)
    engine = "scipy" if magic[:3] == b"CDF" else "h5netcdf" if magic[1:4] == b"HDF" else ""
    if not engine:
        raise ValueError(f"{path}: expected a NetCDF file, found the first bytes {magic!r}")
    try:
        return xr.open_dataset(path, engine=engine, chunks={"time": CHUNK})
    # a corrupt file can raise any exception
    except Exception as error:
        raise ValueError(f"{path}: cannot be read ({error}); it may be truncated: download it again") from error


def _open_field(path: Path, product: Product) -> xr.Dataset:
    """Lazy `sst` of a gridded product in degC, NaN where missing. Raises ValueError for another product or unit."""
    data = _open(path)
    if "sst" not in data or set(data["sst"].dims) != {"time", "lat", "lon"}:
        raise ValueError(f"{path}: expected 'sst' over (time, lat, lon) of {product.title}, found {_contents(data)}")
    sst = data["sst"].transpose("time", "lat", "lon").sortby("lat", ascending=False)
    spacing = float(np.abs(np.median(np.diff(sst["lat"].values)))) if sst.sizes["lat"] > 1 else product.degrees
    if abs(spacing - product.degrees) > 1e-3:
        raise ValueError(
            f"{path}: the latitude spacing is {spacing:g} degrees, expected {product.degrees:g} of {product.title}"
        )
    _require_times(path, sst["time"].values, product)
    unit = str(sst.attrs.get("units", ""))
    sample = _sample(path, sst)
    _in_celsius(sample, unit, path)
    # published files mark land by -9.97e36 although _FillValue is NaN
    clean = sst.where((sst > COLDEST) & (sst < WARMEST)).assign_attrs(units="degC", long_name="sea-surface temperature")
    return xr.Dataset({"sst": clean}, attrs={"title": product.title, "cadence": product.cadence})


def _sample(path: Path, sst: xr.DataArray) -> np.ndarray:
    """Values at the first, middle and last time. Raises ValueError for a truncated file."""
    indices = sorted({0, sst.sizes["time"] // 2, sst.sizes["time"] - 1})
    try:
        return sst.isel(time=indices).values
    except Exception as error:
        raise ValueError(f"{path}: cannot be read to the end ({error}); it is truncated: download it again") from error


def _in_celsius(values: np.ndarray, unit: str, path: Path) -> np.ndarray:
    """The values unchanged. Raises ValueError if their unit or their range is not that of degC."""
    valid = np.abs(values[np.isfinite(values)])
    valid = valid[valid < 1e4]
    if not valid.size:
        raise ValueError(f"{path}: there are no valid temperatures")
    median = float(np.median(valid))
    guess = "Kelvin" if median > 200 else "Fahrenheit" if float(np.quantile(valid, 0.9)) > WARMEST else ""
    name = unit.lower().replace("degree", "deg").replace("_", "").replace(" ", "").rstrip("s")
    if guess or name not in ("degc", "c", "°c", "degcelsiu", "celsiu", ""):
        raise ValueError(
            f"{path}: expected temperatures in degC, found a median of {median:.4g} {unit} "
            f"({guess or 'another unit'}): convert them"
        )
    return values


def _require_times(path: Path, dates: np.ndarray, product: Product) -> None:
    """Raise ValueError unless times are consecutive months or weeks, as in the product."""
    if len(dates) < 2:
        raise ValueError(f"{path}: expected at least 2 times, found {len(dates)}")
    days = np.diff(dates) / np.timedelta64(1, "D")
    shortest, longest = product.days
    irregular = np.flatnonzero((days < shortest) | (days > longest))
    if irregular.size:
        i = int(irregular[0])
        interval = f"{str(dates[i])[:10]} is followed by {str(dates[i + 1])[:10]}"
        kind = "a gap" if days[i] > longest else f"less than a {product.cadence}"
        raise ValueError(f"{path}: expected consecutive {product.cadence}s, but {interval}: {kind}")


def _contents(data: xr.Dataset) -> str:
    return ", ".join(f"{name} over ({', '.join(map(str, data[name].dims))})" for name in data.data_vars) or "nothing"
