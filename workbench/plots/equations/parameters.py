"""Estimated against true parameters of many curves, one figure per parameter.

Takes the `parameters` Dataset of a Report: `estimate` and `truth` over (parameter, curve).
"""

import numpy as np
import xarray as xr
from bokeh.models import ColumnDataSource, Range1d, Slope
from bokeh.plotting import figure

from workbench.plots import palette
from workbench.plots.bokeh_figure import new_figure

HEIGHT = 300


def columns(parameters: xr.Dataset) -> dict[str, np.ndarray]:
    """Columns `truth_0`, `estimate_0`, `truth_1`, ... with one row per curve."""
    return {
        f"{name}_{index}": np.asarray(parameters[name].transpose("parameter", "curve").values[index], dtype=float)
        for index in range(parameters.sizes["parameter"])
        for name in ("truth", "estimate")
    }


def scatters(source: ColumnDataSource, parameters: xr.Dataset) -> list[figure]:
    """One figure per parameter; exact estimates are on the diagonal. `source` contains `columns`."""
    plots = []
    for index, name in enumerate(parameters["parameter"].values):
        low, high = _range(parameters["truth"].transpose("parameter", "curve").values[index])
        plot = new_figure(
            height=HEIGHT,
            title=f"{name} of {parameters.sizes['curve']:,} curves",
            x_axis_label=f"true {name}",
            y_axis_label=f"estimated {name}",
            x_range=Range1d(low, high),
            y_range=Range1d(low, high),
            tools="box_zoom,xwheel_zoom,reset,save",
        )
        line = {"line_color": palette.TRUTH, "line_width": palette.TRUTH_WIDTH, "line_alpha": palette.TRUTH_ALPHA}
        plot.add_layout(Slope(gradient=1, y_intercept=0, level="underlay", **line))
        plot.scatter(f"truth_{index}", f"estimate_{index}", source=source, color=palette.FOUND, size=3, alpha=0.5)
        plots.append(plot)
    return plots


def _range(values: np.ndarray) -> tuple[float, float]:
    """Range of the true values with a margin; estimates outside are not shown."""
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    margin = 0.06 * ((high - low) or 1.0)
    return low - margin, high + margin
