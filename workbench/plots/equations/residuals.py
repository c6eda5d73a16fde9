"""What a model leaves over along the record: noise if the model is right, a pattern if a term is missing."""

from collections.abc import Sequence

import holoviews as hv
import numpy as np

from workbench.diagnostics import Residuals
from workbench.plots import palette
from workbench.plots.picture import framed, options, stacked, with_unit


def residuals(found: Residuals, names: Sequence[str], units: Sequence[str] = (), time_unit: str = "1") -> hv.Layout:
    """One figure per column of the residuals, called `names`; the band is twice their root mean square.

    units: of the columns; none given: dimensionless. Raises ValueError if names and columns differ in number.
    """
    figures = []
    units = units or ["1"] * len(names)
    for name, unit, values, correlation in zip(names, units, found.values.T, found.correlation, strict=True):
        band = 2 * float(np.sqrt(np.nanmean(values**2)))
        dots = hv.Scatter((found.times, values), "time", f"residual of {name}", label="left over")
        overlay = hv.Overlay(
            [
                options(hv.HSpan(-band, band), color=palette.QUIET, alpha=0.2),
                options(hv.HLine(0), color=palette.QUIET, line_dash="dashed", line_width=1),
                options(dots, color=palette.FOUND, size=3, alpha=0.7),
            ]
        )
        title = f"{name}: neighbours correlate by {correlation:.2f} (noise alone: -0.5)"
        labels = {"xlabel": with_unit("time", time_unit), "ylabel": with_unit(f"left over of {name}", unit)}
        figures.append(framed(overlay, title=title, show_legend=False, **labels))
    return stacked(figures)
