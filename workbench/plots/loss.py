"""Loss against step: raw values, and a smoothed curve on top; linear or logarithmic."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, DataRange1d
from bokeh.plotting import figure

from workbench.plots import palette
from workbench.plots.bokeh_figure import new_figure

HEIGHT = 470


def smooth(
    steps: Sequence[float], values: Sequence[float], scale: float, before: tuple[float, float] | None
) -> np.ndarray:
    """Exponentially weighted mean of `values` with time constant `scale` in steps; NaN values are skipped.

    before: last (step, mean) of the preceding values, None at the start. Weights exp(-distance / scale) depend on the
    distance in steps, so that thinned values give the same mean.
    """
    means = np.empty(len(values))
    step, mean = before if before is not None else (np.nan, np.nan)
    for index, (current, value) in enumerate(zip(steps, values, strict=True)):
        if np.isnan(mean):
            mean = value
        elif np.isfinite(value):
            mean = value + (mean - value) * np.exp(-(current - step) / scale)
        step = current
        means[index] = mean
    return means


def columns(records: Sequence[Any], metric: str, before: tuple[float, float] | None) -> dict[str, np.ndarray]:
    """Columns of `curve` for records with `step`, `total` and `metrics`, smoothed over 1/200 of all steps.

    Missing metrics are NaN. before: last (step, smoothed value) of the preceding records.
    """
    steps = np.array([record.step for record in records], dtype=float)
    raw = np.array([record.metrics.get(metric, np.nan) for record in records], dtype=float)
    scale = records[-1].total / 200 if len(records) else 1.0
    return {"step": steps, "raw": raw, "smooth": smooth(steps, raw, scale, before)}


def curve(source: ColumnDataSource, label: str, *, log: bool) -> figure:
    """Figure of the columns `step`, `raw` and `smooth` of `source`, which the caller updates."""
    plot = new_figure(
        height=HEIGHT,
        x_axis_label="step",
        y_axis_label=label,
        y_axis_type="log" if log else "linear",
        x_range=DataRange1d(range_padding=0.02, min_interval=1.0),
        tools="xwheel_zoom,xpan,reset,save",
        tooltips=[("step", "@step{0,0}"), (label, "@raw{0.000e+0}"), ("smoothed", "@smooth{0.000e+0}")],
    )
    plot.line("step", "raw", source=source, color=palette.LOSS, alpha=0.35, line_width=1)
    plot.scatter("step", "raw", source=source, color=palette.LOSS, alpha=0.35, size=3)
    plot.line("step", "smooth", source=source, color=palette.LOSS, line_width=2.5)
    return plot
