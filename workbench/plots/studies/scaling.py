"""Cost against size on logarithmic axes: points, the fitted power law, marks where a budget ends a curve."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, Range1d, Span
from bokeh.plotting import figure

from workbench.plots import palette
from workbench.plots.studies import run_overlay

HEIGHT = 460
MARKERS = ("circle", "square", "triangle", "diamond", "inverted_triangle", "hex", "star", "plus")


def columns(
    sizes: Sequence[float], values: Sequence[float], marks: Sequence[tuple[float, str]], ceiling: float
) -> dict:
    """What is measured, and marks (size, word), which stand at the `ceiling`: for `growth`."""
    known = {"size": np.asarray(sizes, dtype=float), "value": np.asarray(values, dtype=float)}
    places = np.array([size for size, _ in marks], dtype=float)
    return {
        "points": known,
        "marks": {"size": places, "value": np.full(len(places), ceiling), "word": [word for _, word in marks]},
    }


def law(low: float, high: float, slope: float, intercept: float) -> dict[str, np.ndarray]:
    """The line value = exp(intercept) size^slope from one size to another."""
    sizes = np.geomspace(low, high, 2)
    return {"size": sizes, "value": np.exp(intercept + slope * np.log(sizes))}


def growth(
    curves: Sequence[tuple[str, int, bool, dict[str, ColumnDataSource]]], *, xlabel: str, ylabel: str, budget: float
) -> figure:
    """One curve per (label, number of its colour, whether faint, sources "points", "marks", "law").

    budget: a line across, NaN for none. The ranges are the caller's to keep: see `spans`.
    """
    plot = figure(
        height=HEIGHT,
        sizing_mode="stretch_width",
        x_axis_type="log",
        y_axis_type="log",
        x_range=Range1d(10, 1e4),
        y_range=Range1d(1e-4, 10),
        x_axis_label=xlabel,
        y_axis_label=ylabel,
        tools="wheel_zoom,pan,reset,save",
        tooltips=[("size", "@size{0,0}"), (ylabel, "@value{0.000e+0}")],
    )
    plot.outline_line_color = None
    plot.toolbar.logo = None
    plot.toolbar.autohide = True
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


def spans(found: Sequence[dict[str, Any]], budget: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """The ranges of sizes and values that show all points and marks, and the budget where marks stand at it."""
    sizes = np.concatenate([one[kind]["size"] for one in found for kind in ("points", "marks")] or [np.zeros(0)])
    values = np.concatenate([one[kind]["value"] for one in found for kind in ("points", "marks")] or [np.zeros(0)])
    values = values[np.isfinite(values) & (values > 0)]
    if not len(sizes) or not len(values):
        return (10.0, 1e4), (1e-4, budget * 2 if np.isfinite(budget) else 10.0)
    return (sizes.min() / 1.4, sizes.max() * 2.5), (values.min() / 2, values.max() * 3)
