"""Sea-surface temperature as records: a column per ocean cell or region, times in years with their true lengths."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from workbench.datasets.schema import check

ICE = -1.8
"""degC of sea ice: the products hold the temperature there."""
DAYS_PER_YEAR = 365.2425


@dataclass(frozen=True)
class Region:
    """A box: latitudes in degrees north, longitudes in degrees east, west to east; it may cross 0."""

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
    """Dates as years: the first date's year and its part of it, then on in days; months keep their lengths."""
    first = dates[0].astype("datetime64[Y]")
    days = (dates - first.astype(dates.dtype)) / np.timedelta64(1, "D")
    return first.astype(int) + 1970 + days / DAYS_PER_YEAR


def from_series(series: xr.Dataset) -> xr.Dataset:
    """The record of `sst` (time, variable). Raises ValueError naming a missing value."""
    values = series["sst"].transpose("time", "variable").values.astype(np.float64)
    labels = [str(label) for label in series["variable"].values]
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        when = str(series["time"].values[bad[0, 0]])[:10]
        raise ValueError(f"{series.attrs['title']}: {labels[bad[0, 1]]} has no value on {when}: fill the gap or cut it")
    return _record(values, series, {"variable": ("variable", labels, {"long_name": "region"})})


def from_field(field: xr.Dataset, region: Region, *, training: int) -> xr.Dataset:
    """The record of the ice-free ocean cells of a region, one variable each, from north to south.

    A cell counts as ice-free if it stays above ICE in the first `training` times: later ones must not decide anything.
    The record also holds `latitude`, `longitude`, `area` (cos latitude) over (variable), and `ocean` (lat, lon) and
    `place` (variable), the cell's position in the flattened region, for maps.
    Raises ValueError for a region without ocean, and for a cell with gaps, naming it.
    """
    box = _box(field, region)
    ocean = box["ocean"].values
    if not ocean.any():
        raise ValueError(f"the region {region.title} has no ocean cell: it is all land; choose another")
    values = box["sst"].transpose("time", "lat", "lon").values.reshape(box.sizes["time"], -1)
    places = np.flatnonzero(ocean.ravel())
    seen = values[: max(training, 1), places]
    places = places[~(np.nanmin(np.where(np.isfinite(seen), seen, np.inf), axis=0) <= ICE + 1e-3)]
    if not places.size:
        raise ValueError(f"the region {region.title} has no ice-free ocean cell; choose another")
    lat, lon = (axis.ravel()[places] for axis in np.meshgrid(box["lat"].values, box["lon"].values, indexing="ij"))
    labels = [cell_name(*where) for where in zip(lat.tolist(), lon.tolist(), strict=True)]
    kept = values[:, places].astype(np.float64)
    _require_complete(kept, labels, box)
    coordinates = {
        "variable": ("variable", labels, {"long_name": "ocean cell"}),
        "latitude": ("variable", lat.astype(float), {"units": "degrees north", "long_name": "latitude"}),
        "longitude": ("variable", lon.astype(float), {"units": "degrees east", "long_name": "longitude"}),
        "area": ("variable", np.cos(np.deg2rad(lat.astype(float))), {"units": "1", "long_name": "area weight"}),
        "place": ("variable", places, {"units": "1", "long_name": "position in the flattened map"}),
        "lat": ("lat", box["lat"].values.astype(float), {"units": "degrees north", "long_name": "latitude"}),
        "lon": ("lon", box["lon"].values.astype(float), {"units": "degrees east", "long_name": "longitude"}),
    }
    record = _record(kept, field, coordinates)
    record.attrs["title"] += f", {region.title}"
    return record.assign(ocean=(("lat", "lon"), ocean, {"long_name": "ocean"}))


def cell_name(lat: float, lon: float) -> str:
    """10N 150E, 4.5S 170W."""
    east = lon if lon <= 180 else lon - 360
    return f"{abs(lat):g}{'N' if lat >= 0 else 'S'} {abs(east):g}{'E' if east >= 0 else 'W'}"


def _box(field: xr.Dataset, region: Region) -> xr.Dataset:
    """The part of a field inside a region, as far as the field reaches."""
    lon = field["lon"].values % 360
    width = region.east - region.west
    inside = (lon - region.west) % 360 <= width if width < 360 else np.ones(len(lon), dtype=bool)
    rows = (field["lat"] >= region.south) & (field["lat"] <= region.north)
    if not (inside.any() and bool(rows.any())):
        raise ValueError(f"the region {region.title} lies outside of this field")
    columns = np.flatnonzero(inside)
    columns = columns[np.argsort((lon[columns] - region.west) % 360, kind="stable")]
    box = field[["sst", "ocean"]].isel(lat=np.flatnonzero(rows.values), lon=columns)
    turned = region.west + (box["lon"].values % 360 - region.west) % 360
    return box.assign_coords(lon=turned)


def _require_complete(values: np.ndarray, labels: list[str], box: xr.Dataset) -> None:
    missing = ~np.isfinite(values)
    if missing.any():
        column = int(missing.any(axis=0).argmax())
        when = str(box["time"].values[int(missing[:, column].argmax())])[:10]
        raise ValueError(
            f"the cell {labels[column]} has no value on {when} ({int(missing[:, column].sum())} of {len(values)} are "
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
