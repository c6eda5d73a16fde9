"""Bokeh figures in the style of the workbench."""

from typing import Any

from bokeh.plotting import figure


def new_figure(**options: Any) -> figure:
    """A figure as wide as its container, without outline and logo."""
    plot = figure(sizing_mode="stretch_width", **options)
    plot.outline_line_color = None
    plot.toolbar.logo = None
    plot.toolbar.autohide = True
    return plot
