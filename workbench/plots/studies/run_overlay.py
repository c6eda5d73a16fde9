"""Curves of several runs over each other; colours and dashes tell them apart."""

from collections.abc import Sequence

import numpy as np
from bokeh.models import ColumnDataSource, DataRange1d, HoverTool
from bokeh.plotting import figure

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8A8F98", "#8E6BBF")
"""Those of Okabe and Ito, and two more; in this order on every page."""
DASHES = ("solid", "dashed", "dotdash", "dotted")
HEIGHT = 380


def color(index: int) -> str:
    """The colour of the curve of that number."""
    return COLORS[index % len(COLORS)]


def columns(x: Sequence[float], y: Sequence[float]) -> dict[str, np.ndarray]:
    """What the source of one curve holds."""
    return {"x": np.asarray(x, dtype=float), "y": np.asarray(y, dtype=float)}


def curves(
    sources: Sequence[ColumnDataSource], labels: Sequence[str], *, xlabel: str, ylabel: str, log: bool
) -> figure:
    """One line per source, which holds `columns` and which the caller keeps filled."""
    plot = figure(
        height=HEIGHT,
        sizing_mode="stretch_width",
        x_axis_label=xlabel,
        y_axis_label=ylabel,
        y_axis_type="log" if log else "linear",
        x_range=DataRange1d(range_padding=0.02),
        tools="xwheel_zoom,xpan,reset,save",
    )
    plot.outline_line_color = None
    plot.toolbar.logo = None
    plot.toolbar.autohide = True
    for index, (source, label) in enumerate(zip(sources, labels, strict=True)):
        dash = DASHES[index // 2 % len(DASHES)]
        line = plot.line("x", "y", source=source, color=color(index), line_width=2.2, line_dash=dash)
        tips = [("run", label), (xlabel, "@x{0.[00]}"), (ylabel, "@y{0.000e+0}")]
        plot.add_tools(HoverTool(renderers=[line], tooltips=tips, mode="mouse"))
    return plot
