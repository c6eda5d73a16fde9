"""Residuals over time: white noise for a correct model, a pattern if a term is missing."""

from collections.abc import Sequence

import holoviews as hv
import numpy as np

from workbench.diagnostics import Residuals
from workbench.plots import palette
from workbench.plots.picture import framed, options, stacked
from workbench.plots.trajectory import with_unit


def residuals(result: Residuals, names: Sequence[str], units: Sequence[str] = (), time_unit: str = "1") -> hv.Layout:
    """One figure per column of the residuals, with a band of twice their root mean square.

    names, units: of the columns; dimensionless without units. Raises ValueError for different numbers of names and
    columns.
    """
    figures = []
    units = units or ["1"] * len(names)
    for name, unit, values, correlation in zip(names, units, result.values.T, result.correlation, strict=True):
        band = 2 * float(np.sqrt(np.nanmean(values**2)))
        dots = hv.Scatter((result.times, values), "time", f"residual of {name}", label="residual")
        overlay = hv.Overlay(
            [
                options(hv.HSpan(-band, band), color=palette.QUIET, alpha=0.2),
                options(hv.HLine(0), color=palette.QUIET, line_dash="dashed", line_width=1),
                options(dots, color=palette.FOUND, size=3, alpha=0.7),
            ]
        )
        title = f"{name}: lag-one correlation {correlation:.2f} (white noise: -0.5)"
        labels = {"xlabel": with_unit("time", time_unit), "ylabel": with_unit(f"residual of {name}", unit)}
        figures.append(framed(overlay, title=title, show_legend=False, **labels))
    return stacked(figures)
