"""A trajectory: truth against discovery, in three dimensions when there are three variables, and as series over time.

Every function takes the `trajectory` Dataset of a Report (or the record itself, before anything is discovered):
`truth`, `data` and `estimate` over (time, variable), of which `data` and `estimate` may be missing.
"""

from typing import Any

import numpy as np
import xarray as xr
from bokeh.models import ColumnDataSource, Range1d
from bokeh.plotting import figure

from workbench.plots import palette

HEIGHT = 420
MOST_POINTS = 4000
MOST_SERIES = 6
BAND = ("lower", "upper")
FAR = 2.15
"""Distance of the eye, in sides of the cube: the names of the axes are in view, too."""


def span(trajectory: xr.Dataset) -> tuple[float, float, float]:
    """First and last time, and the end of the part to show at first: what fits into MOST_POINTS / 2 points."""
    times = trajectory.time.values
    return float(times[0]), float(times[-1]), float(times[min(len(times), MOST_POINTS // 2) - 1])


def until(trajectory: xr.Dataset, end: float) -> xr.Dataset:
    """The part up to the time `end`, thinned evenly to at most MOST_POINTS points."""
    count = max(2, int(np.searchsorted(trajectory.time.values, end, side="right")))
    stride = -(-count // MOST_POINTS)
    return trajectory.isel(time=slice(0, count, stride))


def noisy(trajectory: xr.Dataset) -> bool:
    """Whether the data are to be drawn: they are something else than the truth, or that is not known."""
    if "data" not in trajectory:
        return False
    return "truth" not in trajectory or not np.array_equal(trajectory.data, trajectory.truth)


def axis_label(trajectory: xr.Dataset, name: str) -> str:
    """`time (s)`: a name with its unit, where the Dataset has one."""
    return with_unit(name, trajectory[name].attrs.get("units", "") if name in trajectory.coords else "")


def with_unit(name: str, unit: str) -> str:
    """`time (s)`; nothing is added for "1", which is dimensionless."""
    return f"{name} ({unit})" if unit and unit != "1" else name


def variable_label(trajectory: xr.Dataset, index: int) -> str:
    """`x (m)`: a variable with its unit, its own one where the Dataset has one for each."""
    shared = trajectory["truth" if "truth" in trajectory else "data"].attrs.get("units", "1")
    unit = str(trajectory["unit"].values[index]) if "unit" in trajectory.coords else shared
    return with_unit(str(trajectory.variable.values[index]), unit)


def caption(trajectory: xr.Dataset) -> str:
    """One line on what to see; the Dataset may say it itself."""
    if "caption" in trajectory.attrs:
        return str(trajectory.attrs["caption"])
    if "estimate" in trajectory:
        if np.isnan(trajectory["estimate"].values[0]).all():
            return "What was learned from the first part, rolled out over the rest."
        over = "truth" if "truth" in trajectory else "data"
        return f"What the discovered equations do from the first state on, over the {over}."
    return "The record to learn from."


def _found(trajectory: xr.Dataset) -> str:
    """What the estimate is called."""
    return str(trajectory["estimate"].attrs.get("short_name", "discovered"))


def legend(trajectory: xr.Dataset) -> str:
    """What is drawn, as HTML: a span of the class "key" per line, with "truth", "found" or "data"."""
    parts = [("truth", "truth")] if "truth" in trajectory else []
    parts += [("found", _found(trajectory))] if "estimate" in trajectory else []
    data = "data, with noise" if "truth" in trajectory else "data"
    parts += [("data", data)] if noisy(trajectory) else []
    return "".join(f'<span class="key {kind}">{words}</span>' for kind, words in parts)


def eye(trajectory: xr.Dataset) -> dict[str, float]:
    """Where to look from at three variables: across the plane in which the trajectory is largest, from a little above.

    The direction is the one of least variance, each variable taken in units of its range; a flat trajectory is seen
    from the side.
    """
    known = trajectory["truth" if "truth" in trajectory else "data"].values[:, :3]
    known = known[np.isfinite(known).all(axis=1)]
    spread = np.ptp(known, axis=0)
    scaled = (known - known.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    least = np.linalg.svd(scaled, full_matrices=False)[2][-1]
    least = np.array([1.0, 1.0, 0.0]) if abs(least[2]) > 0.8 else least * (1.0 if least[0] >= 0 else -1.0)
    view = least / np.linalg.norm(least) + np.array([0.0, 0.0, 0.35])
    return dict(zip("xyz", np.round(FAR * view / np.linalg.norm(view), 3).tolist(), strict=True))


def phase(trajectory: xr.Dataset, key: str, view: dict[str, float], *, dark: bool) -> dict[str, Any]:
    """A Plotly figure (plain dict) of three variables seen from `view`; the camera stays put while `key` does."""
    low, high = _limits(trajectory)
    traces = []
    if noisy(trajectory):
        traces.append(_points(trajectory.data.values, "data"))
    if "truth" in trajectory:
        traces.append(_line(trajectory.truth.values, "truth", palette.TRUTH, palette.TRUTH_WIDTH, 0.85))
    if "estimate" in trajectory:
        inside = ((trajectory.estimate >= low) & (trajectory.estimate <= high)).all("variable")
        traces.append(_line(trajectory.estimate.where(inside).values, _found(trajectory), palette.FOUND, 3, 1.0))
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
    """Grid lines in full colours: WebGL draws transparent ones not at all."""
    rule = palette.rule(dark)
    return {"showbackground": False, "showspikes": False, "gridcolor": rule, "zerolinecolor": rule, "nticks": 5}


def _limits(trajectory: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    known = trajectory["truth" if "truth" in trajectory else "data"].values[:, :3]
    low, high = np.nanmin(known, axis=0), np.nanmax(known, axis=0)
    margin = 0.12 * np.where(high > low, high - low, 1.0)
    return low - margin, high + margin


def _line(values: np.ndarray, name: str, color: str, width: float, opacity: float) -> dict[str, Any]:
    x, y, z = np.ascontiguousarray(values[:, :3].T, dtype=np.float32)
    line = {"color": color, "width": width}
    return {
        "type": "scatter3d",
        "mode": "lines",
        "name": name,
        "x": x,
        "y": y,
        "z": z,
        "line": line,
        "opacity": opacity,
        "hoverinfo": "name+x+y+z",
    }


def _points(values: np.ndarray, name: str) -> dict[str, Any]:
    x, y, z = np.ascontiguousarray(values[:, :3].T, dtype=np.float32)
    marker = {"color": palette.DATA, "size": 1.6, "opacity": 0.6}
    return {
        "type": "scatter3d",
        "mode": "markers",
        "name": name,
        "x": x,
        "y": y,
        "z": z,
        "marker": marker,
        "hoverinfo": "skip",
    }


def series_columns(trajectory: xr.Dataset) -> dict[str, np.ndarray]:
    """The columns `series` draws: time, and truth_0, data_0, estimate_0, truth_1, ... (NaN for what is not there).

    With `lower` and `upper`, the 95 % band of an estimate, also lower_0, upper_0, ...
    """
    columns = {"time": np.asarray(trajectory.time.values, dtype=float)}
    shown = {"truth": True, "estimate": True, "data": noisy(trajectory)}
    for index in range(min(trajectory.sizes["variable"], MOST_SERIES)):
        for name, wanted in shown.items():
            there = wanted and name in trajectory
            values = trajectory[name].values[:, index] if there else np.full(trajectory.sizes["time"], np.nan)
            columns[f"{name}_{index}"] = np.asarray(values, dtype=float)
        for name in BAND if set(BAND) <= set(trajectory.data_vars) else ():
            columns[f"{name}_{index}"] = np.asarray(trajectory[name].values[:, index], dtype=float)
    return columns


def series(source: ColumnDataSource, trajectory: xr.Dataset, height: int = HEIGHT) -> list[figure]:
    """One figure per variable (at most MOST_SERIES), stacked over the same time axis, `height` pixels in all.

    `source` holds `series_columns`; the caller replaces its data when the trajectory changes.
    """
    names = [str(name) for name in trajectory.variable.values[:MOST_SERIES]]
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
    known = trajectory["truth" if "truth" in trajectory else "data"].values[:, :count]
    low, high = np.nanmin(known, axis=0), np.nanmax(known, axis=0)
    margin = 0.08 * np.where(high > low, high - low, 1.0)
    return low - margin, high + margin
