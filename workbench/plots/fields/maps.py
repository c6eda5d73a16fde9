"""Maps over (lat, lon), in a colour map suited to grey print, with coastlines from the mask of the data.

The functions take the `globe` Dataset of a Report, or one of its variables: quantities with `units` and `long_name`,
and the mask `ocean`.
"""

import numpy as np
import xarray as xr
from bokeh.models import BasicTicker, ColorBar, FixedTicker, LinearColorMapper, Range1d
from bokeh.palettes import Cividis256
from bokeh.plotting import figure

from workbench.plots import palette
from workbench.plots.bokeh_figure import new_figure

HEIGHT = 360
BOUND = 0.02
"""Fraction of the cells beyond each end of the colour scale."""
LAND = "#8A8F98"


def names(maps: xr.Dataset) -> dict[str, str]:
    """Label -> variable name of the quantities that have finite values."""
    shown = [name for name in maps.data_vars if name != "ocean" and bool(np.isfinite(maps[name]).any())]
    return {label(maps[name]): str(name) for name in shown}


def label(quantity: xr.DataArray) -> str:
    """Long name and unit, such as `damping of anomalies (1/year)`."""
    unit = quantity.attrs.get("units", "1")
    return quantity.attrs["long_name"] + (f" ({unit})" if unit != "1" else "")


def limits(quantity: xr.DataArray) -> tuple[float, float]:
    """Limits of the colour scale: the quantiles BOUND and 1 - BOUND; 0 and 12 for months."""
    if quantity.attrs.get("units", "").startswith("months"):
        return 0.0, 12.0
    values = quantity.values[np.isfinite(quantity.values)]
    low, high = np.quantile(values, [BOUND, 1 - BOUND])
    return (float(low), float(high)) if high > low else (float(low) - 0.5, float(high) + 0.5)


def coastline(ocean: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    """Longitudes and latitudes (2, n) of the ends of the edges between ocean and land cells."""
    mask = ocean.transpose("lat", "lon").values
    lat, lon = _edges(ocean["lat"].values), _edges(ocean["lon"].values)
    i, j = np.nonzero(mask[:, 1:] != mask[:, :-1])
    vertical = np.stack([lon[j + 1], lon[j + 1]]), np.stack([lat[i], lat[i + 1]])
    i, j = np.nonzero(mask[1:] != mask[:-1])
    horizontal = np.stack([lon[j], lon[j + 1]]), np.stack([lat[i + 1], lat[i + 1]])
    return np.hstack([vertical[0], horizontal[0]]), np.hstack([vertical[1], horizontal[1]])


def chart(maps: xr.Dataset, name: str) -> figure:
    """Map of one quantity; cells without a value are empty, land is grey."""
    quantity = maps[name].transpose("lat", "lon")
    lon, lat = _edges(quantity["lon"].values), _edges(quantity["lat"].values)
    low, high = limits(quantity)
    plot = new_figure(
        height=HEIGHT,
        title=label(quantity),
        x_axis_label="longitude (degrees east)",
        y_axis_label="latitude (degrees north)",
        x_range=Range1d(lon[0], lon[-1]),
        y_range=Range1d(min(lat[0], lat[-1]), max(lat[0], lat[-1])),
        tools="xwheel_zoom,pan,reset,save,hover",
        tooltips=[("latitude", "$y{0.0}"), ("longitude", "$x{0.0}"), (quantity.attrs["long_name"], "@image{0.000}")],
    )
    mapper = LinearColorMapper(Cividis256, low=low, high=high, nan_color="rgba(0, 0, 0, 0)")
    # bokeh draws row 0 at the bottom
    values = quantity.values.astype(float)
    land = ~maps["ocean"].transpose("lat", "lon").values
    if lat[0] > lat[-1]:
        values, land = values[::-1], land[::-1]
    frame = {"x": lon[0], "y": min(lat[0], lat[-1]), "dw": lon[-1] - lon[0], "dh": abs(lat[-1] - lat[0])}
    shade = LinearColorMapper([LAND], low=0, high=1, nan_color="rgba(0, 0, 0, 0)")
    land_image = plot.image(image=[np.where(land, 0.5, np.nan)], color_mapper=shade, alpha=0.35, **frame)
    value_image = plot.image(image=[values], color_mapper=mapper, **frame)
    plot.hover.renderers = [value_image]
    land_image.level = value_image.level = "image"
    x, y = coastline(maps["ocean"])
    plot.segment(x0=x[0], y0=y[0], x1=x[1], y1=y[1], color=palette.QUIET, line_width=1)
    months = quantity.attrs.get("units", "").startswith("months")
    ticker = FixedTicker(ticks=list(range(0, 13, 2))) if months else BasicTicker(desired_num_ticks=6)
    plot.add_layout(ColorBar(color_mapper=mapper, ticker=ticker, width=12, padding=4), "right")
    return plot


def bands(maps: xr.Dataset, x: str = "damping", y: str = "amplitude") -> figure:
    """Scatter plot of two coefficients of every cell, coloured by absolute latitude."""
    lat = np.abs(xr.broadcast(maps[x], maps["lat"])[1].transpose(*maps[x].dims).values.ravel())
    columns = maps[x].values.ravel(), maps[y].values.ravel()
    finite = np.isfinite(columns[0]) & np.isfinite(columns[1])
    mapper = LinearColorMapper(Cividis256, low=0, high=float(lat[finite].max()) if finite.any() else 60.0)
    plot = new_figure(
        height=HEIGHT,
        title="Coefficients of the cells, coloured by latitude",
        x_axis_label=label(maps[x]),
        y_axis_label=label(maps[y]),
        tools="xwheel_zoom,pan,reset,save",
    )
    source = {"x": columns[0][finite], "y": columns[1][finite], "lat": lat[finite]}
    plot.scatter("x", "y", source=source, size=4, alpha=0.6, color={"field": "lat", "transform": mapper})
    bar = ColorBar(color_mapper=mapper, width=12, padding=4, title="|latitude| (degrees)")
    plot.add_layout(bar, "right")
    return plot


def _edges(centres: np.ndarray) -> np.ndarray:
    """Edges of cells with the given centres."""
    if len(centres) == 1:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    middle = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middle[0]], middle, [2 * centres[-1] - middle[-1]]])
