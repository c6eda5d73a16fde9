"""Figures of trajectories: truth, data and estimate in three-dimensional phase space and as time series.

Every function takes the `trajectory` Dataset of a Report, or the data themselves: `truth`, `data` and `estimate` over
(time, variable), of which `estimate` and either `truth` or `data` may be missing.
"""

from typing import Any

import numpy as np
import xarray as xr
from bokeh.models import ColumnDataSource, Range1d
from bokeh.plotting import figure

from workbench._deprecated import moved_names
from workbench.plots import palette

HEIGHT = 420
MAX_POINTS = 4000
MAX_SERIES = 6
BAND = ("lower", "upper")
CAMERA_DISTANCE = 2.15
"""Distance of the camera in side lengths of the cube, with room for the axis titles."""


def span(trajectory: xr.Dataset) -> tuple[float, float, float]:
    """First and last time, and the end of the part shown initially, of at most MAX_POINTS / 2 grid points."""
    times = trajectory.time.values
    return float(times[0]), float(times[-1]), float(times[min(len(times), MAX_POINTS // 2) - 1])


def truncate(trajectory: xr.Dataset, end: float) -> xr.Dataset:
    """The part up to time `end`, thinned evenly to at most MAX_POINTS grid points."""
    count = max(2, int(np.searchsorted(trajectory.time.values, end, side="right")))
    stride = -(-count // MAX_POINTS)
    return trajectory.isel(time=slice(0, count, stride))


def shows_data(trajectory: xr.Dataset) -> bool:
    """Whether the data are drawn: they differ from the truth, or the truth is unknown."""
    if "data" not in trajectory:
        return False
    return "truth" not in trajectory or not np.array_equal(trajectory.data, trajectory.truth)


def axis_label(trajectory: xr.Dataset, name: str) -> str:
    """A name with its unit if the Dataset has one: `time (s)`."""
    return with_unit(name, trajectory[name].attrs.get("units", "") if name in trajectory.coords else "")


def with_unit(name: str, unit: str) -> str:
    """A name with its unit, `time (s)`; the name alone if dimensionless ("1")."""
    return f"{name} ({unit})" if unit and unit != "1" else name


def variable_label(trajectory: xr.Dataset, index: int) -> str:
    """A variable with its unit, `x (m)`; `unit` of the Dataset has precedence over that of the array."""
    shared = trajectory["truth" if "truth" in trajectory else "data"].attrs.get("units", "1")
    unit = str(trajectory["unit"].values[index]) if "unit" in trajectory.coords else shared
    return with_unit(str(trajectory.variable.values[index]), unit)


def caption(trajectory: xr.Dataset) -> str:
    """Caption: the attribute `caption` if present, else a default."""
    if "caption" in trajectory.attrs:
        return str(trajectory.attrs["caption"])
    if "estimate" in trajectory:
        if np.isnan(trajectory["estimate"].values[0]).all():
            return "Roll-out beyond the training data."
        over = "truth" if "truth" in trajectory else "data"
        return f"Simulation of the discovered equations from the first state, over the {over}."
    return "Training data."


def _estimate_name(trajectory: xr.Dataset) -> str:
    """Label of the estimate."""
    return str(trajectory["estimate"].attrs.get("short_name", "discovered"))


def legend(trajectory: xr.Dataset) -> str:
    """Legend as HTML: one span of class "key" per line, with class "truth", "found" or "data"."""
    parts = [("truth", "truth")] if "truth" in trajectory else []
    parts += [("found", _estimate_name(trajectory))] if "estimate" in trajectory else []
    data = "noisy data" if "truth" in trajectory else "data"
    parts += [("data", data)] if shows_data(trajectory) else []
    return "".join(f'<span class="key {kind}">{label}</span>' for kind, label in parts)


def camera_position(trajectory: xr.Dataset) -> dict[str, float]:
    """Camera position for three variables: perpendicular to the plane of largest variance, slightly from above.

    The direction is that of least variance of the variables in units of their ranges; flat trajectories are seen from
    the side.
    """
    reference = trajectory["truth" if "truth" in trajectory else "data"].values[:, :3]
    reference = reference[np.isfinite(reference).all(axis=1)]
    spread = np.ptp(reference, axis=0)
    scaled = (reference - reference.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    least = np.linalg.svd(scaled, full_matrices=False)[2][-1]
    least = np.array([1.0, 1.0, 0.0]) if abs(least[2]) > 0.8 else least * (1.0 if least[0] >= 0 else -1.0)
    view = least / np.linalg.norm(least) + np.array([0.0, 0.0, 0.35])
    return dict(zip("xyz", np.round(CAMERA_DISTANCE * view / np.linalg.norm(view), 3).tolist(), strict=True))


def phase(trajectory: xr.Dataset, key: str, view: dict[str, float], *, dark: bool) -> dict[str, Any]:
    """Plotly figure (dict) of three variables seen from `view`; the camera is kept as long as `key` is the same."""
    low, high = _limits(trajectory)
    traces = []
    if shows_data(trajectory):
        traces.append(_points(trajectory.data.values, "data"))
    if "truth" in trajectory:
        traces.append(_line(trajectory.truth.values, "truth", palette.TRUTH, palette.TRUTH_WIDTH, 0.85))
    if "estimate" in trajectory:
        inside = ((trajectory.estimate >= low) & (trajectory.estimate <= high)).all("variable")
        values = trajectory.estimate.where(inside).values
        traces.append(_line(values, _estimate_name(trajectory), palette.FOUND, 3, 1.0))
    axes = {
        f"{letter}axis": {
            "title": {"text": variable_label(trajectory, i)},
            "range": [float(low[i]), float(high[i])],
            **_axis(dark),
        }
        for i, letter in enumerate("xyz")
    }
    layout = {
        "template": {},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": palette.ink(dark)},
        "autosize": True,
        "uirevision": key,
        "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
        "showlegend": False,
        "scene": {
            "bgcolor": "rgba(0,0,0,0)",
            "aspectmode": "cube",
            "uirevision": key,
            "camera": {"eye": view, "center": {"x": 0, "y": 0, "z": -0.1}},
            **axes,
        },
    }
    return {"data": traces, "layout": layout}


def _axis(dark: bool) -> dict[str, Any]:
    """Options of an axis. Grid lines are opaque, as WebGL does not draw transparent ones."""
    rule = palette.rule(dark)
    return {"showbackground": False, "showspikes": False, "gridcolor": rule, "zerolinecolor": rule, "nticks": 5}


def _limits(trajectory: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    reference = trajectory["truth" if "truth" in trajectory else "data"].values[:, :3]
    low, high = np.nanmin(reference, axis=0), np.nanmax(reference, axis=0)
    margin = 0.12 * np.where(high > low, high - low, 1.0)
    return low - margin, high + margin


def _line(values: np.ndarray, name: str, color: str, width: float, opacity: float) -> dict[str, Any]:
    line = {"color": color, "width": width}
    return _scatter(values, name, mode="lines", line=line, opacity=opacity, hoverinfo="name+x+y+z")


def _points(values: np.ndarray, name: str) -> dict[str, Any]:
    marker = {"color": palette.DATA, "size": 1.6, "opacity": 0.6}
    return _scatter(values, name, mode="markers", marker=marker, hoverinfo="skip")


def _scatter(values: np.ndarray, name: str, **more: Any) -> dict[str, Any]:
    x, y, z = np.ascontiguousarray(values[:, :3].T, dtype=np.float32)
    return {"type": "scatter3d", "name": name, "x": x, "y": y, "z": z, **more}


def series_columns(trajectory: xr.Dataset) -> dict[str, np.ndarray]:
    """Columns of `series`: time, truth_0, data_0, estimate_0, truth_1, ..., NaN where missing.

    With `lower` and `upper`, the 95 % band of an estimate, also lower_0, upper_0, ...
    """
    columns = {"time": np.asarray(trajectory.time.values, dtype=float)}
    shown = {"truth": True, "estimate": True, "data": shows_data(trajectory)}
    for index in range(min(trajectory.sizes["variable"], MAX_SERIES)):
        for name, is_shown in shown.items():
            available = is_shown and name in trajectory
            values = trajectory[name].values[:, index] if available else np.full(trajectory.sizes["time"], np.nan)
            columns[f"{name}_{index}"] = np.asarray(values, dtype=float)
        for name in BAND if set(BAND) <= set(trajectory.data_vars) else ():
            columns[f"{name}_{index}"] = np.asarray(trajectory[name].values[:, index], dtype=float)
    return columns


def series(source: ColumnDataSource, trajectory: xr.Dataset, height: int = HEIGHT) -> list[figure]:
    """Figures of the variables (at most MAX_SERIES) with a shared time axis; `height`: total height in pixels.

    `source` contains `series_columns`; the caller replaces its data when the trajectory changes.
    """
    names = [str(name) for name in trajectory.variable.values[:MAX_SERIES]]
    low, high = _limits_all(trajectory, len(names))
    plots = []
    for index in range(len(names)):
        last = index == len(names) - 1
        plot = figure(
            height=(height - 44) // len(names) + (44 if last else 0),
            sizing_mode="stretch_width",
            y_axis_label=variable_label(trajectory, index),
            y_range=Range1d(low[index], high[index]),
            tools="xwheel_zoom,xpan,reset",
            toolbar_location=None,
            **({"x_range": plots[0].x_range} if plots else {}),
        )
        if f"lower_{index}" in source.data:
            band = {"y1": f"lower_{index}", "y2": f"upper_{index}", "fill_color": palette.FOUND, "fill_alpha": 0.2}
            plot.varea("time", source=source, **band)
        plot.scatter("time", f"data_{index}", source=source, color=palette.DATA, size=2, alpha=0.6)
        plot.line("time", f"truth_{index}", source=source, color=palette.TRUTH, line_width=5, alpha=palette.TRUTH_ALPHA)
        plot.line("time", f"estimate_{index}", source=source, color=palette.FOUND, line_width=1.6)
        plot.yaxis.ticker.desired_num_ticks = 4
        plot.xaxis.visible = last
        plot.outline_line_color = None
        plot.min_border_left = 64
        plots.append(plot)
    plots[-1].xaxis.axis_label = axis_label(trajectory, "time")
    return plots


def _limits_all(trajectory: xr.Dataset, count: int) -> tuple[np.ndarray, np.ndarray]:
    reference = trajectory["truth" if "truth" in trajectory else "data"].values[:, :count]
    low, high = np.nanmin(reference, axis=0), np.nanmax(reference, axis=0)
    margin = 0.08 * np.where(high > low, high - low, 1.0)
    return low - margin, high + margin


__getattr__ = moved_names(
    __name__,
    {
        "eye": "plots.trajectory:camera_position",
        "until": "plots.trajectory:truncate",
        "noisy": "plots.trajectory:shows_data",
    },
)
