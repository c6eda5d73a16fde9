"""How far discovered equations can be trusted: sentences, and the figures that go with them."""

from html import escape

import holoviews as hv
import xarray as xr

from workbench.diagnostics import Diagnostics
from workbench.plots.equations.pareto import pareto
from workbench.plots.equations.residuals import residuals
from workbench.plots.equations.simulation import simulated
from workbench.plots.picture import options

HEIGHT = 270


def sentences(found: Diagnostics) -> str:
    """What was found, as an HTML list."""
    items = "".join(f"<li>{escape(sentence[:1].upper() + sentence[1:])}.</li>" for sentence in found.sentences)
    return f'<div class="judgement"><ul>{items}</ul></div>'


def figures(found: Diagnostics, trajectory: xr.Dataset | None) -> dict[str, list[hv.Overlay]]:
    """Figures by what they show; what is not known has none."""
    shown = {}
    if found.front is not None:
        shown["Terms"] = [pareto(found.front, chosen=found.chosen)]
    if trajectory is not None and "estimate" in trajectory:
        horizon = None if found.horizon is None or found.horizon.whole else found.horizon.time
        shown["Simulation"] = list(simulated(trajectory, horizon))
    if found.residuals is not None:
        unit = "1" if trajectory is None else str(trajectory["time"].attrs.get("units", "1"))
        shown["Residuals"] = list(residuals(found.residuals, found.inputs, found.units, unit))
    return {
        name: [options(figure, height=HEIGHT, legend_position="top") for figure in own] for name, own in shown.items()
    }
