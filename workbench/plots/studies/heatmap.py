"""Results of a study: an HTML grid of cell states, and a heat map of a metric over two axes."""

from html import escape
from typing import Any

import numpy as np
import xarray as xr
from bokeh.models import BasicTicker, ColorBar, HoverTool, LinearColorMapper, LogColorMapper
from bokeh.palettes import Cividis256
from bokeh.plotting import figure

from workbench.plots import palette
from workbench.plots.scrolled import scrolled

SIGNS = {"finished": "●", "failed": "✕", "missing": "·"}


def grid(results: xr.Dataset) -> str:
    """HTML table with one row per combination of the axes and one mark per seed.

    Marks: finished, failed (with the reason as tooltip) or missing.
    """
    axes = [name for name in results.status.dims if name != "seed"]
    rows = results.status.stack(cell=axes) if axes else results.status.expand_dims("cell")
    messages = results.message.stack(cell=axes) if axes else results.message.expand_dims("cell")
    head = "".join(f"<th scope='col'>{escape(axis)}</th>" for axis in axes)
    seeds = "".join(f"<th scope='col' class='mark'>{seed}</th>" for seed in results.seed.values.tolist())
    body = []
    for index in range(rows.sizes["cell"]):
        statuses = rows.isel(cell=index)
        values = "".join(f"<th scope='row'>{escape(_format(statuses[axis].item()))}</th>" for axis in axes)
        pairs = zip(statuses.values.tolist(), messages.isel(cell=index).values.tolist(), strict=True)
        marks = "".join(_mark(status, message) for status, message in pairs)
        body.append(f"<tr>{values}{marks}</tr>")
    table = f"<thead><tr>{head}{seeds}</tr></thead><tbody>{''.join(body)}</tbody>"
    return STYLE + scrolled(f"<table class='cells' aria-label='cells by seed'>{table}</table>", "cells")


STYLE = f"""<style>
table.cells {{ width: auto; border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }}
table.cells th {{ font-weight: 500; text-align: right; padding: 2px 14px 2px 0; white-space: nowrap; }}
table.cells .mark {{ text-align: center; padding: 2px 0; min-width: 24px; }}
table.cells td {{ min-width: 22px; height: 22px; text-align: center; border: 2px solid transparent; padding: 0;
  background-clip: padding-box; border-radius: 6px; }}
table.cells td.finished {{ background-color: {palette.LOSS}; color: #fff; }}
table.cells td.failed {{ background-color: {palette.FOUND}; color: #fff; font-weight: 700; }}
table.cells td.missing {{ background-color: color-mix(in srgb, currentColor 12%, transparent); }}
</style>"""


def _mark(status: str, message: str) -> str:
    title = f"{status}: {message}" if message else status
    return f"<td class='{status}' title='{escape(title, quote=True)}' aria-label='{status}'>{SIGNS[status]}</td>"


def metrics(results: xr.Dataset) -> list[str]:
    """Names of the numeric variables for a heat map; the costs common to all cells are last."""
    names = [name for name in results.data_vars if results[name].dtype.kind == "f"]
    return sorted(names, key=lambda name: (name in ("seconds", "memory_mb", "steps"), name != "rmse", name))


def heat_map(results: xr.Dataset, metric: str, *, dark: bool) -> Any:
    """Heat map over two axes of the median of a metric over seeds and further axes."""
    values, across, down = _flat(results[metric])
    columns, rows = [[_format(value) for value in values[axis].values.tolist()] for axis in (across, down)]
    flat = values.transpose(down, across).values.ravel()
    finite = flat[np.isfinite(flat)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    kind = LogColorMapper if low > 0 and high > 30 * low else LinearColorMapper
    high = high if high > low else low + (abs(low) or 1.0)
    mapper = kind(palette=Cividis256, low=low, high=high, nan_color=palette.QUIET + "40")
    units = results[metric].attrs.get("units", "")
    title = f"{metric}{f' ({units})' if units else ''}, median over {results.sizes['seed']} seeds"
    plot = figure(
        x_range=columns, y_range=rows[::-1], height=120 + 52 * len(rows), sizing_mode="stretch_width", title=title,
        x_axis_label=across, y_axis_label="" if down == NONE else down, tools="", toolbar_location=None,
    )  # fmt: skip
    data = {
        "x": columns * len(rows),
        "y": np.repeat(rows, len(columns)).tolist(),
        "value": flat.tolist(),
        "text": [f"{value:.3g}" if np.isfinite(value) else "–" for value in flat],
        "ink": [_ink(value, low, high, log=kind is LogColorMapper, dark=dark) for value in flat],
    }
    squares = plot.rect(
        "x", "y", 0.97, 0.94, source=data, fill_color={"field": "value", "transform": mapper}, line_color=None
    )
    plot.text("x", "y", "text", source=data, text_color="ink", text_align="center", text_baseline="middle")
    plot.add_tools(HoverTool(renderers=[squares], tooltips=[(across, "@x"), (down, "@y"), (metric, "@text")]))
    plot.add_layout(ColorBar(color_mapper=mapper, ticker=BasicTicker(desired_num_ticks=4), width=10), "right")
    return _themed(plot, dark)


NONE = " "


def _flat(values: xr.DataArray) -> tuple[xr.DataArray, str, str]:
    """Median of the values over all but their two longest axes, and the names of these."""
    values = values.median("seed")
    axes = sorted(values.dims, key=lambda axis: -values.sizes[axis])[:2]
    values = values.median([axis for axis in values.dims if axis not in axes])
    for name in (NONE, NONE * 2)[: 2 - len(axes)]:
        values = values.expand_dims({name: [""]})
        axes.append(name)
    return values, axes[0], axes[1]


def _ink(value: float, low: float, high: float, *, log: bool, dark: bool) -> str:
    """Text colour on the square of a value."""
    if not np.isfinite(value):
        return palette.ink(dark)
    share = np.log(value / low) / np.log(high / low) if log else (value - low) / (high - low)
    return "#000000" if share > 0.5 else "#ffffff"


def _themed(plot: Any, dark: bool) -> Any:
    ink = palette.ink(dark)
    plot.background_fill_alpha = plot.border_fill_alpha = 0
    plot.outline_line_color = plot.grid.grid_line_color = None
    plot.title.text_color = ink
    for axis in plot.axis:
        axis.axis_label_text_color = axis.major_label_text_color = ink
        axis.axis_line_color = axis.major_tick_line_color = None
    for bar in plot.right:
        bar.update(background_fill_alpha=0, major_label_text_color=ink)
    return plot


def _format(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
