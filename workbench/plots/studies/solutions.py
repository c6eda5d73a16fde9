"""Solutions of one problem by several solvers: solution, differences and errors over time."""

from collections.abc import Sequence

import numpy as np
from bokeh.models import ColumnDataSource, DataRange1d, Range1d
from bokeh.plotting import figure

from workbench._deprecated import moved_names
from workbench.plots import palette
from workbench.plots.bokeh_figure import new_figure
from workbench.plots.studies import run_overlay

HEIGHT = 300
MAX_POINTS = 2000
FLOOR = 1e-18
"""Smallest difference on the logarithmic axis; 0 is drawn here."""


def thin(values: np.ndarray) -> np.ndarray:
    """Evenly thinned values, about MAX_POINTS, including the last."""
    stride = -(-len(values) // MAX_POINTS)
    thinned = values[::stride]
    return thinned if (len(values) - 1) % stride == 0 else np.append(thinned, values[-1:], axis=0)


def columns(time: np.ndarray, u: np.ndarray, difference: np.ndarray | None, error: np.ndarray | None) -> dict:
    """Columns of one solver: time, u, |difference| and |error|, NaN if None; all (T)."""
    unknown = np.full(len(time), np.nan)
    logs = [unknown if x is None else np.maximum(x, FLOOR) for x in (difference, error)]
    return {
        name: thin(np.asarray(x, dtype=float))
        for name, x in zip(("time", "u", "difference", "error"), (time, u, *logs), strict=True)
    }


def empty() -> dict[str, list[float]]:
    """Columns of a solver without a solution."""
    return {name: [] for name in ("time", "u", "difference", "error")}


def solutions(sources: Sequence[ColumnDataSource], labels: Sequence[str], truth: ColumnDataSource) -> figure:
    """u over time, one line per source; closed form (`truth`: time, u) as a wide line, data as points."""
    plot = _figure("u", "linear")
    plot.line("time", "u", source=truth, color=palette.TRUTH, line_width=palette.TRUTH_WIDTH, alpha=0.45)
    plot.scatter("time", "data", source=truth, color=palette.DATA, size=3, alpha=0.6)
    _lines(plot, sources, labels, "u")
    return plot


def span(sources: Sequence[dict], column: str) -> tuple[float, float]:
    """Range of a logarithmic axis that contains all values of a column; (1e-16, 1) without values."""
    values = np.concatenate([np.asarray(source[column], dtype=float) for source in sources] or [np.zeros(0)])
    values = values[np.isfinite(values) & (values > FLOOR)]
    return (float(values.min()) / 3, float(values.max()) * 3) if len(values) else (1e-16, 1.0)


def error_curves(sources: Sequence[ColumnDataSource], labels: Sequence[str], column: str, title: str) -> figure:
    """The column |difference| or |error| over time, on a logarithmic axis; the caller sets its range, see `span`."""
    plot = _figure(title, "log")
    _lines(plot, sources, labels, column)
    return plot


def _figure(label: str, scale: str) -> figure:
    plot = new_figure(
        height=HEIGHT,
        x_axis_label="time",
        y_axis_label=label,
        y_axis_type=scale,
        x_range=DataRange1d(range_padding=0.01),
        y_range=DataRange1d(range_padding=0.08) if scale == "linear" else Range1d(1e-16, 1.0),
        tools="xwheel_zoom,xpan,reset,save",
    )
    plot.min_border_left = 70
    return plot


def _lines(plot: figure, sources: Sequence[ColumnDataSource], labels: Sequence[str], column: str) -> None:
    for index, (source, label) in enumerate(zip(sources, labels, strict=True)):
        dash = run_overlay.DASHES[index % len(run_overlay.DASHES)]
        plot.line(
            "time", column, source=source, color=run_overlay.color(index + 1), line_width=2, line_dash=dash, name=label
        )


__getattr__ = moved_names(
    __name__,
    {
        "distances": "plots.studies.solutions:error_curves",
    },
)
