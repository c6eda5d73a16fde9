"""Coefficients against their true values: curves over the steps, and tables.

Every function takes the `coefficients` Dataset of a Report: `estimate` and, if known, `truth` over (candidate,
variable).
"""

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import xarray as xr
from bokeh.models import ColumnDataSource, DataRange1d, FixedTicker, LinearAxis
from bokeh.plotting import figure

from workbench._deprecated import moved_names
from workbench.plots import palette
from workbench.plots.bokeh_figure import new_figure
from workbench.plots.equations.equation import with_superscripts

HEIGHT = 260


def column(candidate: int, variable: int) -> str:
    """Name of the column of one coefficient over the steps."""
    return f"c_{candidate}_{variable}"


def columns(steps: Sequence[float], values: Sequence[np.ndarray] | np.ndarray) -> dict[str, np.ndarray]:
    """Columns `step` and one per coefficient, of coefficients (step, candidate, variable)."""
    stack = np.asarray(values, dtype=float)
    by_name = {column(i, j): stack[:, i, j] for i in range(stack.shape[1]) for j in range(stack.shape[2])}
    return {"step": np.asarray(steps, dtype=float), **by_name}


def is_zero(coefficients: xr.Dataset) -> np.ndarray:
    """Whether the true coefficients (candidate, variable) are zero; False if the truth is unknown."""
    truth = true_values(coefficients)
    return np.zeros(coefficients.estimate.shape, dtype=bool) if truth is None else truth == 0


def end_points(step: float, values: np.ndarray, quiet: np.ndarray) -> dict[str, Any]:
    """Columns of the last point of each curve: `step`, and per variable the values and colours of the candidates.

    values, quiet (candidate, variable): the coefficients and the result of `is_zero`.
    """
    values = np.asarray(values, dtype=float)
    points = {"step": np.full(len(values), float(step))}
    for j in range(values.shape[1]):
        points[f"v_{j}"] = values[:, j]
        points[f"color_{j}"] = np.where(quiet[:, j], palette.QUIET, palette.FOUND).tolist()
    return points


def paths(source: ColumnDataSource, ends: ColumnDataSource, coefficients: xr.Dataset, variable: int) -> figure:
    """Coefficients of one variable over the steps, with true values as wide lines labelled on the right.

    `source` contains `columns`, `ends` contains `end_points`; the caller updates both. Terms outside of the true
    equation are grey, all others have the colour of the discovery.
    """
    names = [str(name) for name in coefficients.candidate.values]
    truth = true_values(coefficients)
    plot = new_figure(
        height=HEIGHT,
        title=f"equation of {coefficients.variable.values[variable]}",
        x_axis_label="step",
        x_range=DataRange1d(range_padding=0.02, min_interval=1.0),
        y_range=DataRange1d(range_padding=0.08),
        tools="xwheel_zoom,xpan,reset,save",
    )
    if truth is not None:
        _draw_truth(plot, truth[:, variable], names)
    for index, quiet in enumerate(is_zero(coefficients)[:, variable]):
        color, width = (palette.QUIET, 1) if quiet else (palette.FOUND, 2)
        plot.line("step", column(index, variable), source=source, color=color, line_width=width)
    plot.scatter("step", f"v_{variable}", source=ends, color=f"color_{variable}", size=5)
    return plot


def _draw_truth(plot: figure, truth: np.ndarray, names: list[str]) -> None:
    values = truth[truth != 0]
    plot.hspan(
        y=np.unique(values), line_color=palette.TRUTH, line_width=palette.TRUTH_WIDTH, line_alpha=palette.TRUTH_ALPHA
    )
    plot.scatter(x=np.ones(len(values)), y=values, size=0)
    labels = _labels(truth, names)
    axis = LinearAxis(ticker=FixedTicker(ticks=list(labels)), major_label_overrides=labels)
    plot.add_layout(axis, "right")


def _labels(truth: np.ndarray, names: list[str]) -> dict[float, str]:
    """One label per true value; terms closer than 6 % of the range share a label."""
    span = np.ptp(np.append(truth, 0.0)) or 1.0
    labels = {}
    for index in np.argsort(truth, kind="stable"):
        value = float(truth[index])
        if value == 0:
            continue
        near = next((other for other in labels if abs(other - value) < 0.06 * span), None)
        if near is None:
            labels[value] = names[index]
        else:
            labels[near] += f", {names[index]}"
    return labels


def true_values(coefficients: xr.Dataset) -> np.ndarray | None:
    """The true coefficients (candidate, variable), None if unknown."""
    if "truth" not in coefficients or not np.isfinite(coefficients.truth).all():
        return None
    return coefficients.truth.transpose("candidate", "variable").values


def support_summary(coefficients: xr.Dataset) -> str:
    """Numbers of true and false terms discovered, in one sentence."""
    truth = true_values(coefficients)
    discovered = coefficients.estimate.transpose("candidate", "variable").values != 0
    if truth is None:
        return f"{discovered.sum()} terms discovered; the true equations are unknown."
    correct, false = int((discovered & (truth != 0)).sum()), int((discovered & (truth == 0)).sum())
    return f"{correct} of {int((truth != 0).sum())} true terms discovered, {false or 'no'} false terms."


def table(coefficients: xr.Dataset, digits: int = 3) -> str:
    """HTML table with one row per true or discovered term: true and discovered value, error and correctness."""
    truth = true_values(coefficients)
    if truth is None:
        return _table_without_truth(coefficients)
    estimate = coefficients.estimate.transpose("candidate", "variable").values
    rows = []
    for j, variable in enumerate(coefficients.variable.values):
        scale = np.nanmax(np.abs(np.concatenate([truth[:, j], estimate[:, j]]))) or 1.0
        terms = [i for i in range(len(truth)) if truth[i, j] != 0 or estimate[i, j] != 0]
        for position, i in enumerate(terms):
            lead = f'<th scope="rowgroup" rowspan="{len(terms)}">{escape(str(variable))}</th>' if position == 0 else ""
            name = with_superscripts(str(coefficients.candidate.values[i]))
            rows.append(
                f"<tr>{lead}{_cells(name, float(truth[i, j]), float(estimate[i, j]), float(scale), digits)}</tr>"
            )
    head = "<th scope='col'>equation</th><th scope='col'>term</th>"
    head += "".join(f"<th scope='col' class='number'>{name}</th>" for name in ("true", "discovered", "error"))
    head += "<th scope='col'>true and discovered</th><th></th>"
    return f"<table class='coefficients'><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _table_without_truth(coefficients: xr.Dataset) -> str:
    """HTML table of discovered values, and their 95 % intervals and units if available."""
    order = ("candidate", "variable")
    values = {str(name): array.transpose(*order).values for name, array in coefficients.items()}
    rows = []
    for j, variable in enumerate(coefficients.variable.values):
        terms = np.flatnonzero(values["estimate"][:, j])
        for position, i in enumerate(terms):
            span = f'<th scope="rowgroup" rowspan="{len(terms)}">{escape(str(variable))}</th>' if position == 0 else ""
            term = f"<td class='term'>{with_superscripts(str(coefficients.candidate.values[i]))}</td>"
            estimate = f"<td class='number found'>{values['estimate'][i, j]:.4g}</td>"
            more = ""
            if "lower" in values:
                more += f"<td class='number'>{values['lower'][i, j]:.4g} to {values['upper'][i, j]:.4g}</td>"
            if "unit" in values:
                more += f"<td>{escape(str(values['unit'][i, j]))}</td>"
            rows.append(f"<tr>{span}{term}{estimate}{more}</tr>")
    head = "<th scope='col'>equation</th><th scope='col'>term</th><th scope='col' class='number'>discovered</th>"
    head += "<th scope='col' class='number'>95 % interval</th>" if "lower" in values else ""
    head += "<th scope='col'>unit</th>" if "unit" in values else ""
    return f"<table class='coefficients'><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _cells(name: str, true: float, discovered: float, scale: float, digits: int) -> str:
    cells = f"<td class='term'>{name}</td><td class='number'>{true:.{digits}f}</td>"
    absent = "<td class='number'>&ndash;</td>"
    cells += f"<td class='number found'>{discovered:.{digits}f}</td>" if discovered != 0 else absent
    if true and discovered:
        mark, text = "&#10003;", "right"
    else:
        mark, text = ("+", "extra") if discovered else ("&#8722;", "missing")
    error = f"{abs(discovered - true):.1e}"
    cells += f"<td class='number'>{error}</td><td>{_dots(true, discovered, scale)}</td>"
    return cells + f"<td class='verdict {text}'><span aria-hidden='true'>{mark}</span> {text}</td>"


def _dots(true: float, discovered: float, scale: float) -> str:
    def position(value: float) -> float:
        return 70 + 60 * float(np.clip(value / scale, -1, 1))

    ring = f"<circle cx='{position(true):.1f}' cy='9' r='5.5' class='ring'/>"
    dot = f"<circle cx='{position(discovered):.1f}' cy='9' r='3' class='dot'/>"
    frame = "<line x1='8' x2='132' y1='9' y2='9' class='rule'/><line x1='70' x2='70' y1='3' y2='15' class='rule'/>"
    return f"<svg class='dots' width='140' height='18' viewBox='0 0 140 18' aria-hidden='true'>{frame}{ring}{dot}</svg>"


__getattr__ = moved_names(
    __name__,
    {
        "heads": "plots.equations.coefficients:end_points",
        "vanishing": "plots.equations.coefficients:is_zero",
        "verdict": "plots.equations.coefficients:support_summary",
    },
)
