"""The discovered equations simulated, over what was measured."""

import holoviews as hv
import numpy as np
import xarray as xr

from workbench.plots import palette
from workbench.plots.picture import framed, options, stacked, with_unit
from workbench.plots.trajectory import axis_label, noisy


def simulated(trajectory: xr.Dataset, horizon: float | None = None) -> hv.Layout:
    """One figure per variable of `truth`, `data` and `estimate` over (time, variable), as far as they are there.

    horizon: the time, from the first one on, up to which the simulation can be trusted; a dashed line marks it.
    """
    return stacked([_variable(trajectory, index, horizon) for index in range(trajectory.sizes["variable"])])


def _variable(trajectory: xr.Dataset, index: int, horizon: float | None) -> hv.Overlay:
    name = str(trajectory["variable"].values[index])
    times = trajectory["time"].values
    own = trajectory.isel(variable=index)
    parts = []
    if noisy(trajectory) or "truth" not in trajectory:
        dots = hv.Scatter((times, own["data"].values), "time", f"state of {name}", label="data")
        parts.append(options(dots, color=palette.DATA, size=3, alpha=0.6))
    if "truth" in trajectory:
        road = hv.Curve((times, own["truth"].values), "time", f"state of {name}", label="truth")
        parts.append(options(road, color=palette.TRUTH, line_width=5, alpha=palette.TRUTH_ALPHA))
    if "estimate" in trajectory:
        line = hv.Curve((times, own["estimate"].values), "time", f"state of {name}", label="simulated")
        parts.append(options(line, color=palette.FOUND, line_width=palette.FOUND_WIDTH))
    if horizon is not None:
        mark = hv.VLine(float(times[0]) + horizon)
        parts.append(options(mark, color=palette.QUIET, line_dash="dashed", line_width=2))
    known = own["truth" if "truth" in trajectory else "data"]
    low, high = float(np.nanmin(known)), float(np.nanmax(known))
    # a simulation that runs away must not flatten what was measured
    margin = 0.15 * ((high - low) or 1.0)
    return framed(
        hv.Overlay(parts),
        title=_title(name, trajectory, horizon),
        xlabel=axis_label(trajectory, "time"),
        ylabel=with_unit(name, known.attrs.get("units", "1")),
        ylim=(low - margin, high + margin),
    )


def _title(name: str, trajectory: xr.Dataset, horizon: float | None) -> str:
    if "estimate" not in trajectory:
        return f"{name}: the record"
    if horizon is None:
        return f"{name}: simulated from the first state on"
    unit = trajectory["time"].attrs.get("units", "1")
    return f"{name}: foretold for {horizon:.4g}" + (f" {unit}" if unit != "1" else "")
