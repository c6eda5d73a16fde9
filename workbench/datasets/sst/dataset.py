"""Records of sea-surface temperature: one variable per ocean cell or region, times in years."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from workbench.datasets.schema import check

ICE = -1.8
"""Temperature of sea ice in degC, at which the products clip."""
DAYS_PER_YEAR = 365.2425


@dataclass(frozen=True)
class Region:
    """A box of latitudes in degrees north and longitudes in degrees east; it may cross the prime meridian."""

    title: str
    south: float
    north: float
    west: float
    east: float


REGIONS = {
    "world": Region("60 S to 60 N", -60, 60, 0, 360),
    "pacific": Region("tropical Pacific, 20 S to 20 N, 120 to 280 E", -20, 20, 120, 280),
    "nino34": Region("Nino 3.4, 5 S to 5 N, 190 to 240 E", -5, 5, 190, 240),
}


def years(dates: np.ndarray) -> np.ndarray:
    """Dates as years: the year of the first date plus the days since the start of that year / DAYS_PER_YEAR."""
    first = dates[0].astype("datetime64[Y]")
    days = (dates - first.astype(dates.dtype)) / np.timedelta64(1, "D")
    return first.astype(int) + 1970 + days / DAYS_PER_YEAR


def from_series(series: xr.Dataset) -> xr.Dataset:
    """A record of `sst` (time, variable). Raises ValueError for a missing value, naming variable and date."""
    values = series["sst"].transpose("time", "variable").values.astype(np.float64)
    labels = [str(label) for label in series["variable"].values]
    missing = np.argwhere(~np.isfinite(values))
    if len(missing):
        date = str(series["time"].values[missing[0, 0]])[:10]
        label = labels[missing[0, 1]]
        raise ValueError(f"{series.attrs['title']}: {label} has no value on {date}: fill the gap or select a period")
    return _record(values, series, {"variable": ("variable", labels, {"long_name": "region"})})


def from_field(field: xr.Dataset, region: Region, *, training: int) -> xr.Dataset:
    """A record of the ice-free ocean cells of a region, one variable per cell, from north to south.

    A cell is ice-free if it stays above ICE in the first `training` times; later times are not used, to prevent data
    leakage. The record also has `latitude`, `longitude` and `area` (cos latitude) over (variable), and for maps `ocean`
    (lat, lon) and `place` (variable), the index of the cell in the flattened region.
    Raises ValueError for a region without ice-free ocean, and for a cell with gaps, naming it.
    """
    box = _box(field, region)
    ocean = box["ocean"].values
    if not ocean.any():
        raise ValueError(f"the region {region.title} has no ocean cell: it is all land; choose another region")
    values = box["sst"].transpose("time", "lat", "lon").values.reshape(box.sizes["time"], -1)
    cells = np.flatnonzero(ocean.ravel())
    early = values[: max(training, 1), cells]
    cells = cells[~(np.nanmin(np.where(np.isfinite(early), early, np.inf), axis=0) <= ICE + 1e-3)]
    if not cells.size:
        raise ValueError(f"the region {region.title} has no ice-free ocean cell; choose another region")
    lat, lon = (axis.ravel()[cells] for axis in np.meshgrid(box["lat"].values, box["lon"].values, indexing="ij"))
    labels = [cell_name(*position) for position in zip(lat.tolist(), lon.tolist(), strict=True)]
    temperatures = values[:, cells].astype(np.float64)
    _require_complete(temperatures, labels, box)
    coordinates = {
        "variable": ("variable", labels, {"long_name": "ocean cell"}),
        "latitude": ("variable", lat.astype(float), {"units": "degrees north", "long_name": "latitude"}),
        "longitude": ("variable", lon.astype(float), {"units": "degrees east", "long_name": "longitude"}),
        "area": ("variable", np.cos(np.deg2rad(lat.astype(float))), {"units": "1", "long_name": "area weight"}),
        "place": ("variable", cells, {"units": "1", "long_name": "position in the flattened map"}),
        "lat": ("lat", box["lat"].values.astype(float), {"units": "degrees north", "long_name": "latitude"}),
        "lon": ("lon", box["lon"].values.astype(float), {"units": "degrees east", "long_name": "longitude"}),
    }
    record = _record(temperatures, field, coordinates)
    record.attrs["title"] += f", {region.title}"
    return record.assign(ocean=(("lat", "lon"), ocean, {"long_name": "ocean"}))


def cell_name(lat: float, lon: float) -> str:
    """Name of a cell, such as 10N 150E or 4.5S 170W."""
    east = lon if lon <= 180 else lon - 360
    return f"{abs(lat):g}{'N' if lat >= 0 else 'S'} {abs(east):g}{'E' if east >= 0 else 'W'}"


def _box(field: xr.Dataset, region: Region) -> xr.Dataset:
    """The part of a field inside a region. Raises ValueError if it is empty."""
    lon = field["lon"].values % 360
    width = region.east - region.west
    inside = (lon - region.west) % 360 <= width if width < 360 else np.ones(len(lon), dtype=bool)
    rows = (field["lat"] >= region.south) & (field["lat"] <= region.north)
    if not (inside.any() and bool(rows.any())):
        raise ValueError(f"the region {region.title} is outside of the field")
    columns = np.flatnonzero(inside)
    columns = columns[np.argsort((lon[columns] - region.west) % 360, kind="stable")]
    box = field[["sst", "ocean"]].isel(lat=np.flatnonzero(rows.values), lon=columns)
    wrapped = region.west + (box["lon"].values % 360 - region.west) % 360
    return box.assign_coords(lon=wrapped)


def _require_complete(values: np.ndarray, labels: list[str], box: xr.Dataset) -> None:
    missing = ~np.isfinite(values)
    if missing.any():
        column = int(missing.any(axis=0).argmax())
        date = str(box["time"].values[int(missing[:, column].argmax())])[:10]
        raise ValueError(
            f"the cell {labels[column]} has no value on {date} ({int(missing[:, column].sum())} of {len(values)} are "
            f"missing, {int(missing.any(axis=0).sum())} cells have gaps): fill the gaps or choose another region"
        )


def _record(values: np.ndarray, source: xr.Dataset, coordinates: dict) -> xr.Dataset:
    attributes = {"units": "degC", "long_name": "sea-surface temperature"}
    time = ("time", years(source["time"].values), {"units": "year", "long_name": "time"})
    return check(
        xr.Dataset(
            {name: (("time", "variable"), values, attributes) for name in ("truth", "data")},
            coords={"time": time, **coordinates},
            attrs={"title": source.attrs["title"], "cadence": source.attrs["cadence"]},
        )
    )
