"""Figures of fields over (time, x): images, single frames, animations, errors per frame, maps of coefficients.

Every function takes a part of a Report: `image` over (time, x), `profile` over (frame), `maps` over (order, frame, x).
"""

from collections.abc import Mapping
from typing import Any

import holoviews as hv
import numpy as np
import xarray as xr
from bokeh.models import BasicTicker, ColorBar, ColumnDataSource, DataRange1d, LinearColorMapper, Range1d
from bokeh.palettes import Cividis256
from bokeh.plotting import figure

from workbench._deprecated import moved_names
from workbench.plots import palette
from workbench.plots.bokeh_figure import new_figure
from workbench.plots.picture import framed, options

HEIGHT = 300
NAMES = {"truth": "truth", "data": "noisy data", "estimate": "estimate"}
LINES = {"truth": palette.TRUTH, "data": palette.DATA, "estimate": palette.FOUND}
MAX_FRAMES = 70
"""Maximum number of frames of an animation."""


def panels(image: xr.Dataset) -> dict[str, np.ndarray]:
    """Images by title: truth, noisy data, estimate and its error, as far as available."""
    shown = {"truth": image["truth"].values} if "truth" in image else {}
    if shows_data(image):
        shown[NAMES["data"]] = image["data"].values
    elif "truth" not in image:
        shown["field"] = image["data"].values
    if "estimate" in image:
        shown[NAMES["estimate"]] = image["estimate"].values
        if "truth" in image:
            shown["error"] = image["estimate"].values - image["truth"].values
    return shown


def shows_data(image: xr.Dataset) -> bool:
    """Whether the data differ from the truth."""
    return "data" in image and "truth" in image and not np.array_equal(image.data, image.truth)


def scale(image: xr.Dataset) -> float:
    """Limit of the symmetric colour scale: largest magnitude of the truth, else of the data."""
    reference = image["truth" if "truth" in image else "data"].values
    return float(np.nanmax(np.abs(reference))) or 1.0


def image_columns(image: xr.Dataset) -> dict[str, dict[str, list]]:
    """Columns of `images`, by title."""
    return {title: {"image": [values.astype(np.float32)]} for title, values in panels(image).items()}


def images(sources: Mapping[str, ColumnDataSource], image: xr.Dataset) -> list[figure]:
    """Images of x against time with a shared colour scale, suited to grey print and colour blindness.

    sources: of `image_columns`, by title; the caller replaces their data when the image changes.
    """
    end = scale(image)
    mapper = LinearColorMapper(palette=Cividis256, low=-end, high=end, nan_color="#ffffff")
    time, x = image["time"].values, image["x"].values
    corner = {"x": x[0], "y": time[0], "dw": x[-1] - x[0], "dh": time[-1] - time[0]}
    plots = []
    for title, source in sources.items():
        shared = {"x_range": plots[0].x_range, "y_range": plots[0].y_range} if plots else {}
        plot = _frame(title, "x", "time", HEIGHT, **shared)
        plot.image(image="image", source=source, color_mapper=mapper, **{k: float(v) for k, v in corner.items()})
        plots.append(plot)
    plots[-1].add_layout(ColorBar(color_mapper=mapper, width=10, padding=2, title="u"), "right")
    return plots


def _frame(title: str, across: str, up: str, height: int, **more: Any) -> figure:
    plot = new_figure(
        title=title or None, height=height, x_axis_label=across, y_axis_label=up,
        tools="xwheel_zoom,xpan,reset,save", **more,
    )  # fmt: skip
    plot.grid.visible = False
    plot.xaxis.ticker.desired_num_ticks = 4
    for axis_range in (plot.x_range, plot.y_range):
        if isinstance(axis_range, DataRange1d):
            axis_range.range_padding = 0
    return plot


def lines(image: xr.Dataset, frame: int) -> dict[str, np.ndarray]:
    """Columns of `snapshot`: x, and truth, data and estimate of one frame, NaN where missing."""
    shown = {"x": image["x"].values}
    for name in NAMES:
        available = name in image and (name != "data" or shows_data(image))
        shown[name] = image[name].values[frame] if available else np.full(image.sizes["x"], np.nan)
    return shown


def snapshot(source: ColumnDataSource, image: xr.Dataset) -> figure:
    """Curves of one frame over x; `source` contains `lines`."""
    end = 1.15 * scale(image)
    plot = _frame("", "x", "u", HEIGHT, y_range=Range1d(-end, end))
    plot.grid.visible = True
    plot.scatter("x", "data", source=source, color=palette.DATA, size=3, alpha=0.6)
    plot.line("x", "truth", source=source, color=palette.TRUTH, line_width=5, alpha=palette.TRUTH_ALPHA)
    plot.line("x", "estimate", source=source, color=palette.FOUND, line_width=palette.FOUND_WIDTH)
    return plot


def profile_columns(errors: xr.Dataset) -> dict[str, dict[str, np.ndarray]]:
    """Columns of `profile`."""
    return {"profile": {"frame": errors.frame.values, **{str(name): errors[name].values for name in errors}}}


def profile(sources: Mapping[str, ColumnDataSource], errors: xr.Dataset) -> list[figure]:
    """Error per forecast frame, of the forecast and of persistence, on a logarithmic axis."""
    plot = _frame("", "frames ahead", "normalised mean square error", HEIGHT, y_axis_type="log")
    plot.grid.visible = True
    styles = {"forecast": (palette.FOUND, "solid"), "persistence": (palette.QUIET, "dashed")}
    for name, (color, dash) in styles.items():
        if name in errors:
            label = errors[name].attrs.get("long_name", name)
            source = sources["profile"]
            plot.line("frame", name, source=source, color=color, line_dash=dash, line_width=2, legend_label=label)
    plot.legend.location = "bottom_right"
    return [plot]


def map_columns(coefficients: xr.Dataset) -> dict[str, dict[str, list]]:
    """Columns of `maps`, by title."""
    values = {
        f"coefficient of {_order(int(order))}": coefficients["coefficients"].sel(order=order)
        for order in coefficients.order
    }
    if "forcing" in coefficients:
        values["right-hand side"] = coefficients["forcing"]
    return {title: {"image": [array.values.astype(np.float32)]} for title, array in values.items()}


def maps(sources: Mapping[str, ColumnDataSource], coefficients: xr.Dataset) -> list[figure]:
    """Images of the coefficients of the ODE at every grid point, one per order, and of the right-hand side.

    Colour scales differ, as units do.
    """
    x, frame = coefficients["x"].values, coefficients["frame"].values
    corner = {"x": float(x[0]), "y": float(frame[0]) - 0.5, "dw": float(x[-1] - x[0]), "dh": float(len(frame))}
    plots = []
    for title, source in sources.items():
        mapper = LinearColorMapper(palette=Cividis256)
        plot = _frame(title, "x", "frame", 190)
        plot.image(image="image", source=source, color_mapper=mapper, **corner)
        bar = ColorBar(color_mapper=mapper, width=8, padding=2, ticker=BasicTicker(desired_num_ticks=4))
        plot.add_layout(bar, "right")
        plots.append(plot)
    return plots


def _order(order: int) -> str:
    return ("u", "u'", "u''", "u'''")[order] if order < 4 else f"u({order})"


def caption(image: xr.Dataset) -> str:
    """Caption of the images."""
    if "estimate" in image:
        return "Horizontal axis x, vertical axis time, shared colour scale; a uniform error image means a small error."
    return "Training data: horizontal axis x, vertical axis time."


def rollout(image: xr.Dataset) -> hv.HoloMap:
    """Animation of the frames for notebooks, thinned to at most MAX_FRAMES."""
    stride = -(-image.sizes["time"] // MAX_FRAMES)
    end = 1.15 * scale(image)
    shown = [name for name in NAMES if name in image and (name != "data" or shows_data(image))]

    def frame(index: int) -> hv.Overlay:
        styles = {"truth": {"line_width": 5, "alpha": palette.TRUTH_ALPHA}}
        parts = [
            options(
                hv.Curve((image["x"].values, image[name].values[index]), "x", "u", label=NAMES[name]),
                color=LINES[name],
                **styles.get(name, {"line_width": palette.FOUND_WIDTH}),
            )
            for name in shown
        ]
        title = f"time {image['time'].values[index]:.1f}"
        return framed(hv.Overlay(parts), title=title, xlabel="x", ylabel="u", ylim=(-end, end))

    frames = range(0, image.sizes["time"], stride)
    return hv.HoloMap({float(image["time"].values[index]): frame(index) for index in frames}, kdims=["time"])


__getattr__ = moved_names(
    __name__,
    {
        "moment": "plots.fields.images:snapshot",
        "noisy": "plots.fields.images:shows_data",
    },
)
