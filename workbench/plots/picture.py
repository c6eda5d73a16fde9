"""What the HoloViews figures share: the size, the tools, and labels with units."""

from typing import Any

import holoviews as hv
import holoviews.plotting.bokeh  # options can only be set once it is there
import numpy as np
import xarray as xr

from workbench.plots.trajectory import with_unit as with_unit

WIDTH, HEIGHT = 560, 300
ROW = 26
"""Height of one candidate on an axis of candidates."""


def options(element: Any, **more: Any) -> Any:
    """The element with options for Bokeh, whatever backend a notebook has chosen."""
    return element.opts(backend="bokeh", **more)


def framed(overlay: hv.Overlay, *, title: str, xlabel: str, ylabel: str, **more: Any) -> hv.Overlay:
    """One figure; the title says what to see, the labels carry units."""
    shared = {"width": WIDTH, "height": HEIGHT, "show_grid": True, "legend_position": "right"}
    return options(overlay, title=title, xlabel=xlabel, ylabel=ylabel, **(shared | more))


def stacked(figures: list[hv.Overlay]) -> hv.Layout:
    """Figures over the same axis, one under the other."""
    return options(hv.Layout(figures).cols(1), shared_axes=True)


def ticks(names: list[str]) -> dict[str, Any]:
    """Options of a vertical axis with a name at each whole number from the top down."""
    places = [(-i, name) for i, name in enumerate(names)]
    return {"yticks": places, "ylim": (0.6 - len(names), 0.6), "height": 90 + ROW * len(names)}


def shown_terms(coefficients: xr.Dataset, variable: str) -> list[int]:
    """The candidates worth a row: those that are, or may be, in the equation of a variable, by position."""
    own = coefficients.sel(variable=variable)
    alive = np.zeros(own.sizes["candidate"], dtype=bool)
    for name in ("estimate", "truth", "lower", "upper", "inclusion"):
        if name in own:
            alive |= np.nan_to_num(own[name].values) != 0
    return np.flatnonzero(alive).tolist()
