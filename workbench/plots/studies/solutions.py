"""One problem, several solvers: what each found over time, how far they differ, how far the closed form is."""

from collections.abc import Sequence

import numpy as np
from bokeh.models import ColumnDataSource, DataRange1d, Range1d
from bokeh.plotting import figure

from workbench.plots import palette
from workbench.plots.studies import run_overlay

HEIGHT = 300
MOST_POINTS = 2000
FLOOR = 1e-18
"""What a difference of 0 is drawn as on the logarithmic axis."""


def thin(values: np.ndarray) -> np.ndarray:
    """At most MOST_POINTS of them, evenly; the last always."""
    stride = -(-len(values) // MOST_POINTS)
    kept = values[::stride]
    return kept if (len(values) - 1) % stride == 0 else np.append(kept, values[-1:], axis=0)


def columns(time: np.ndarray, u: np.ndarray, difference: np.ndarray | None, error: np.ndarray | None) -> dict:
    """What the source of one solver holds: over time, u, and what is known of |difference| and |error|; all (T)."""
    unknown = np.full(len(time), np.nan)
    logs = [unknown if x is None else np.maximum(x, FLOOR) for x in (difference, error)]
    return {
        name: thin(np.asarray(x, dtype=float))
        for name, x in zip(("time", "u", "difference", "error"), (time, u, *logs), strict=True)
    }


def empty() -> dict[str, list[float]]:
    """The columns of a solver that gave nothing."""
    return {name: [] for name in ("time", "u", "difference", "error")}


def solutions(sources: Sequence[ColumnDataSource], labels: Sequence[str], truth: ColumnDataSource) -> figure:
    """u over time, one line per source; the closed form (`truth`: time, u) a wide road, readings (data) points."""
    plot = _figure("u", "linear")
    plot.line("time", "u", source=truth, color=palette.TRUTH, line_width=palette.TRUTH_WIDTH, alpha=0.45)
    plot.scatter("time", "data", source=truth, color=palette.DATA, size=3, alpha=0.6)
    _lines(plot, sources, labels, "u")
    return plot


def span(sources: Sequence[dict], column: str) -> tuple[float, float]:
    """The range of a logarithmic axis that shows all values of a column, whatever there is; 1e-16 .. 1 of nothing."""
    values = np.concatenate([np.asarray(source[column], dtype=float) for source in sources] or [np.zeros(0)])
    values = values[np.isfinite(values) & (values > FLOOR)]
    return (float(values.min()) / 3, float(values.max()) * 3) if len(values) else (1e-16, 1.0)


def distances(sources: Sequence[ColumnDataSource], labels: Sequence[str], column: str, title: str) -> figure:
    """|difference| or |error| (the column) over time, on a logarithmic axis whose range (`span`) the caller keeps."""
    plot = _figure(title, "log")
    _lines(plot, sources, labels, column)
    return plot


def _figure(label: str, scale: str) -> figure:
    plot = figure(
        height=HEIGHT,
        sizing_mode="stretch_width",
        x_axis_label="time",
        y_axis_label=label,
        y_axis_type=scale,
        x_range=DataRange1d(range_padding=0.01),
        y_range=DataRange1d(range_padding=0.08) if scale == "linear" else Range1d(1e-16, 1.0),
        tools="xwheel_zoom,xpan,reset,save",
    )
    plot.outline_line_color = None
    plot.toolbar.logo = None
    plot.toolbar.autohide = True
    plot.min_border_left = 70
    return plot


def _lines(plot: figure, sources: Sequence[ColumnDataSource], labels: Sequence[str], column: str) -> None:
    for index, (source, label) in enumerate(zip(sources, labels, strict=True)):
        dash = run_overlay.DASHES[index % len(run_overlay.DASHES)]
        plot.line(
            "time", column, source=source, color=run_overlay.color(index + 1), line_width=2, line_dash=dash, name=label
        )
