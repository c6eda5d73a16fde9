"""Curves of several runs in one figure, distinguished by colour and dash."""

from collections.abc import Sequence

import numpy as np
from bokeh.models import ColumnDataSource, DataRange1d, HoverTool
from bokeh.plotting import figure

from workbench.plots.bokeh_figure import new_figure

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8A8F98", "#8E6BBF")
"""Colours of Okabe and Ito, and two more, in the order in which they are used."""
DASHES = ("solid", "dashed", "dotdash", "dotted")
HEIGHT = 380


def color(index: int) -> str:
    """Colour of the curve with the given index."""
    return COLORS[index % len(COLORS)]


def columns(x: Sequence[float], y: Sequence[float]) -> dict[str, np.ndarray]:
    """Columns of the source of one curve."""
    return {"x": np.asarray(x, dtype=float), "y": np.asarray(y, dtype=float)}


def curves(
    sources: Sequence[ColumnDataSource], labels: Sequence[str], *, xlabel: str, ylabel: str, log: bool
) -> figure:
    """One line per source, which contains `columns` and is updated by the caller."""
    plot = new_figure(
        height=HEIGHT,
        x_axis_label=xlabel,
        y_axis_label=ylabel,
        y_axis_type="log" if log else "linear",
        x_range=DataRange1d(range_padding=0.02),
        tools="xwheel_zoom,xpan,reset,save",
    )
    for index, (source, label) in enumerate(zip(sources, labels, strict=True)):
        dash = DASHES[index // 2 % len(DASHES)]
        line = plot.line("x", "y", source=source, color=color(index), line_width=2.2, line_dash=dash)
        tips = [("run", label), (xlabel, "@x{0.[00]}"), (ylabel, "@y{0.000e+0}")]
        plot.add_tools(HoverTool(renderers=[line], tooltips=tips, mode="mouse"))
    return plot
