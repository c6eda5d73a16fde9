"""Simulation of the discovered equations, with data and truth."""

import holoviews as hv
import numpy as np
import xarray as xr

from workbench.plots import palette
from workbench.plots.picture import framed, options, stacked
from workbench.plots.trajectory import axis_label, shows_data, with_unit


def simulated(trajectory: xr.Dataset, horizon: float | None = None) -> hv.Layout:
    """One figure per variable of the available `truth`, `data` and `estimate` over (time, variable).

    horizon: prediction horizon from the first time, marked by a dashed line.
    """
    return stacked([_variable(trajectory, index, horizon) for index in range(trajectory.sizes["variable"])])


def _variable(trajectory: xr.Dataset, index: int, horizon: float | None) -> hv.Overlay:
    name = str(trajectory["variable"].values[index])
    times = trajectory["time"].values
    column = trajectory.isel(variable=index)
    parts = []
    if shows_data(trajectory) or "truth" not in trajectory:
        dots = hv.Scatter((times, column["data"].values), "time", f"state of {name}", label="data")
        parts.append(options(dots, color=palette.DATA, size=3, alpha=0.6))
    if "truth" in trajectory:
        truth_line = hv.Curve((times, column["truth"].values), "time", f"state of {name}", label="truth")
        parts.append(options(truth_line, color=palette.TRUTH, line_width=5, alpha=palette.TRUTH_ALPHA))
    if "estimate" in trajectory:
        line = hv.Curve((times, column["estimate"].values), "time", f"state of {name}", label="simulated")
        parts.append(options(line, color=palette.FOUND, line_width=palette.FOUND_WIDTH))
    if horizon is not None:
        mark = hv.VLine(float(times[0]) + horizon)
        parts.append(options(mark, color=palette.QUIET, line_dash="dashed", line_width=2))
    reference = column["truth" if "truth" in trajectory else "data"]
    low, high = float(np.nanmin(reference)), float(np.nanmax(reference))
    # a diverging simulation must not set the range
    margin = 0.15 * ((high - low) or 1.0)
    return framed(
        hv.Overlay(parts),
        title=_title(name, trajectory, horizon),
        xlabel=axis_label(trajectory, "time"),
        ylabel=with_unit(name, reference.attrs.get("units", "1")),
        ylim=(low - margin, high + margin),
    )


def _title(name: str, trajectory: xr.Dataset, horizon: float | None) -> str:
    if "estimate" not in trajectory:
        return f"{name}: data"
    if horizon is None:
        return f"{name}: simulated from the first state"
    unit = trajectory["time"].attrs.get("units", "1")
    return f"{name}: prediction horizon {horizon:.4g}" + (f" {unit}" if unit != "1" else "")
