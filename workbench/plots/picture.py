"""Shared size, options and labels of HoloViews figures."""

from typing import Any

import holoviews as hv
import holoviews.plotting.bokeh  # registers the backend for options
import numpy as np
import xarray as xr

WIDTH, HEIGHT = 560, 300
ROW = 26
"""Height of one row on an axis of candidates."""


def options(element: Any, **more: Any) -> Any:
    """The element with options for Bokeh, independent of the current backend."""
    return element.opts(backend="bokeh", **more)


def framed(overlay: hv.Overlay, *, title: str, xlabel: str, ylabel: str, **more: Any) -> hv.Overlay:
    """A figure with title and axis labels."""
    shared = {"width": WIDTH, "height": HEIGHT, "show_grid": True, "legend_position": "right"}
    return options(overlay, title=title, xlabel=xlabel, ylabel=ylabel, **(shared | more))


def stacked(figures: list[hv.Overlay]) -> hv.Layout:
    """Figures in one column with shared axes."""
    return options(hv.Layout(figures).cols(1), shared_axes=True)


def ticks(names: list[str]) -> dict[str, Any]:
    """Options of a vertical axis with names at 0, -1, -2, ... from the top."""
    positions = [(-i, name) for i, name in enumerate(names)]
    return {"yticks": positions, "ylim": (0.6 - len(names), 0.6), "height": 90 + ROW * len(names)}


def shown_terms(coefficients: xr.Dataset, variable: str) -> list[int]:
    """Indices of the candidates that are, or may be, in the equation of a variable."""
    column = coefficients.sel(variable=variable)
    shown = np.zeros(column.sizes["candidate"], dtype=bool)
    for name in ("estimate", "truth", "lower", "upper", "inclusion"):
        if name in column:
            shown |= np.nan_to_num(column[name].values) != 0
    return np.flatnonzero(shown).tolist()
