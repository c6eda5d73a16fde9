"""The loss against the step: every value pale, the smoothed curve on top; linear or logarithmic."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, DataRange1d
from bokeh.plotting import figure

from workbench.plots import palette

HEIGHT = 470


def smooth(
    steps: Sequence[float], values: Sequence[float], scale: float, before: tuple[float, float] | None
) -> np.ndarray:
    """Exponentially weighted mean of `values` over `scale` steps; `before` is the last (step, mean) already drawn.

    The weight of the past is exp(-distance / scale), with the distance in steps, so that thinned values smooth alike. A
    NaN leaves the mean where it was.
    """
    means = np.empty(len(values))
    step, mean = before if before is not None else (np.nan, np.nan)
    for index, (here, value) in enumerate(zip(steps, values, strict=True)):
        if np.isnan(mean):
            mean = value
        elif np.isfinite(value):
            mean = value + (mean - value) * np.exp(-(here - step) / scale)
        step = here
        means[index] = mean
    return means


def columns(records: Sequence[Any], metric: str, before: tuple[float, float] | None) -> dict[str, np.ndarray]:
    """The columns of `curve` for these records (`step`, `total`, `metrics`); smoothed over a two-hundredth of all
    steps.

    A metric that a record lacks is NaN. `before` is the last (step, smoothed value) that is drawn already.
    """
    steps = np.array([record.step for record in records], dtype=float)
    raw = np.array([record.metrics.get(metric, np.nan) for record in records], dtype=float)
    scale = records[-1].total / 200 if len(records) else 1.0
    return {"step": steps, "raw": raw, "smooth": smooth(steps, raw, scale, before)}


def curve(source: ColumnDataSource, label: str, *, log: bool) -> figure:
    """A figure of the columns step, raw and smooth of `source`, which the caller keeps filled."""
    plot = figure(
        height=HEIGHT,
        sizing_mode="stretch_width",
        x_axis_label="step",
        y_axis_label=label,
        y_axis_type="log" if log else "linear",
        x_range=DataRange1d(range_padding=0.02, min_interval=1.0),
        tools="xwheel_zoom,xpan,reset,save",
        tooltips=[("step", "@step{0,0}"), (label, "@raw{0.000e+0}"), ("smoothed", "@smooth{0.000e+0}")],
    )
    plot.outline_line_color = None
    plot.toolbar.logo = None
    plot.toolbar.autohide = True
    plot.line("step", "raw", source=source, color=palette.LOSS, alpha=0.35, line_width=1)
    plot.scatter("step", "raw", source=source, color=palette.LOSS, alpha=0.35, size=3)
    plot.line("step", "smooth", source=source, color=palette.LOSS, line_width=2.5)
    return plot
