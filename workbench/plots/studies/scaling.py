"""Cost against problem size on logarithmic axes, with fitted power laws and limits by the budget."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, Range1d, Span
from bokeh.plotting import figure

from workbench._deprecated import moved_names
from workbench.plots import palette
from workbench.plots.bokeh_figure import new_figure
from workbench.plots.studies import run_overlay

HEIGHT = 460
MARKERS = ("circle", "square", "triangle", "diamond", "inverted_triangle", "hex", "star", "plus")


def columns(
    sizes: Sequence[float], values: Sequence[float], marks: Sequence[tuple[float, str]], ceiling: float
) -> dict:
    """Columns of `scaling_curves`: measured points, and marks (size, label) at the height `ceiling`."""
    mark_sizes = np.array([size for size, _ in marks], dtype=float)
    labels = [label for _, label in marks]
    return {
        "points": {"size": np.asarray(sizes, dtype=float), "value": np.asarray(values, dtype=float)},
        "marks": {"size": mark_sizes, "value": np.full(len(mark_sizes), ceiling), "word": labels},
    }


def power_law(low: float, high: float, slope: float, intercept: float) -> dict[str, np.ndarray]:
    """Columns of value = exp(intercept) size^slope between two sizes."""
    sizes = np.geomspace(low, high, 2)
    return {"size": sizes, "value": np.exp(intercept + slope * np.log(sizes))}


def scaling_curves(
    curves: Sequence[tuple[str, int, bool, dict[str, ColumnDataSource]]], *, xlabel: str, ylabel: str, budget: float
) -> figure:
    """One curve per (label, colour index, whether faint, sources "points", "marks" and "law").

    budget: position of a horizontal line, NaN for none. The caller sets the ranges, see `axis_ranges`.
    """
    plot = new_figure(
        height=HEIGHT,
        x_axis_type="log",
        y_axis_type="log",
        x_range=Range1d(10, 1e4),
        y_range=Range1d(1e-4, 10),
        x_axis_label=xlabel,
        y_axis_label=ylabel,
        tools="wheel_zoom,pan,reset,save",
        tooltips=[("size", "@size{0,0}"), (ylabel, "@value{0.000e+0}")],
    )
    if np.isfinite(budget):
        plot.add_layout(Span(location=budget, dimension="width", line_color=palette.QUIET, line_dash="dashed"))
    for _, number, faint, sources in curves:
        color, alpha = run_overlay.color(number), 0.4 if faint else 1.0
        marker = MARKERS[number % len(MARKERS)]
        plot.line("size", "value", source=sources["law"], color=color, line_dash="dotted", line_width=1.6, alpha=alpha)
        plot.line("size", "value", source=sources["points"], color=color, line_width=2, alpha=alpha)
        plot.scatter("size", "value", source=sources["points"], color=color, size=9, marker=marker, alpha=alpha)
        plot.scatter(
            "size", "value", source=sources["marks"], color=color, size=13, marker="x", line_width=3, alpha=alpha
        )
        plot.text("size", "value", "word", source=sources["marks"], text_color=color, text_font_size="12px", x_offset=9)
    return plot


def axis_ranges(curves: Sequence[dict[str, Any]], budget: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """Ranges of sizes and values that contain all points and marks."""
    sizes = np.concatenate([curve[kind]["size"] for curve in curves for kind in ("points", "marks")] or [np.zeros(0)])
    values = np.concatenate([curve[kind]["value"] for curve in curves for kind in ("points", "marks")] or [np.zeros(0)])
    values = values[np.isfinite(values) & (values > 0)]
    if not len(sizes) or not len(values):
        return (10.0, 1e4), (1e-4, budget * 2 if np.isfinite(budget) else 10.0)
    return (sizes.min() / 1.4, sizes.max() * 2.5), (values.min() / 2, values.max() * 3)


__getattr__ = moved_names(
    __name__,
    {
        "growth": "plots.studies.scaling:scaling_curves",
        "law": "plots.studies.scaling:power_law",
        "spans": "plots.studies.scaling:axis_ranges",
    },
)
