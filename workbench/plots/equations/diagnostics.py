"""Diagnostics of discovered equations: text summary and figures."""

from html import escape

import holoviews as hv
import xarray as xr

from workbench.diagnostics import Diagnostics
from workbench.plots.equations.pareto import pareto
from workbench.plots.equations.residuals import residuals
from workbench.plots.equations.simulation import simulated
from workbench.plots.picture import options

HEIGHT = 270


def sentences(diagnostics: Diagnostics) -> str:
    """Text summary as an HTML list."""
    items = "".join(f"<li>{escape(sentence[:1].upper() + sentence[1:])}.</li>" for sentence in diagnostics.sentences)
    return f'<div class="diagnostics"><ul>{items}</ul></div>'


def figures(diagnostics: Diagnostics, trajectory: xr.Dataset | None) -> dict[str, list[hv.Overlay]]:
    """Figures of the available diagnostics, by title."""
    shown = {}
    if diagnostics.front is not None:
        shown["Terms"] = [pareto(diagnostics.front, chosen=diagnostics.chosen)]
    if trajectory is not None and "estimate" in trajectory:
        horizon = None if diagnostics.horizon is None or diagnostics.horizon.whole else diagnostics.horizon.time
        shown["Simulation"] = list(simulated(trajectory, horizon))
    if diagnostics.residuals is not None:
        unit = "1" if trajectory is None else str(trajectory["time"].attrs.get("units", "1"))
        shown["Residuals"] = list(residuals(diagnostics.residuals, diagnostics.inputs, diagnostics.units, unit))
    return {
        title: [options(figure, height=HEIGHT, legend_position="top") for figure in group]
        for title, group in shown.items()
    }
