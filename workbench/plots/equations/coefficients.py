"""Every coefficient against its true value: over the steps, and as a table of dots in rings.

Every function takes the `coefficients` Dataset of a Report: `estimate` and, where known, `truth` over (candidate,
variable).
"""

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import xarray as xr
from bokeh.models import ColumnDataSource, DataRange1d, FixedTicker, LinearAxis
from bokeh.plotting import figure

from workbench.plots import palette
from workbench.plots.equations.equation import raised

HEIGHT = 260


def column(candidate: int, variable: int) -> str:
    """The name of the column that holds one coefficient over the steps."""
    return f"c_{candidate}_{variable}"


def columns(steps: Sequence[float], values: Sequence[np.ndarray] | np.ndarray) -> dict[str, np.ndarray]:
    """`step` and one column per coefficient, from the coefficients (step, candidate, variable)."""
    stack = np.asarray(values, dtype=float)
    found = {column(i, j): stack[:, i, j] for i in range(stack.shape[1]) for j in range(stack.shape[2])}
    return {"step": np.asarray(steps, dtype=float), **found}


def vanishing(coefficients: xr.Dataset) -> np.ndarray:
    """Which coefficients (candidate, variable) are zero in truth; none where the truth is not known."""
    truth = true_values(coefficients)
    return np.zeros(coefficients.estimate.shape, dtype=bool) if truth is None else truth == 0


def heads(step: float, values: np.ndarray, quiet: np.ndarray) -> dict[str, Any]:
    """The last point of every path: `step`, and per variable its values and colours, a row per candidate.

    values, quiet: (candidate, variable), the coefficients and what `vanishing` says of them.
    """
    there = np.asarray(values, dtype=float)
    found = {"step": np.full(len(there), float(step))}
    for j in range(there.shape[1]):
        found[f"v_{j}"] = there[:, j]
        found[f"color_{j}"] = np.where(quiet[:, j], palette.QUIET, palette.FOUND).tolist()
    return found


def paths(source: ColumnDataSource, ends: ColumnDataSource, coefficients: xr.Dataset, variable: int) -> figure:
    """The coefficients of one variable over the steps; true values as wide lines, named on the right.

    `source` holds `columns`, `ends` holds `heads`; the caller keeps both filled. Terms that are in the true equation
    are drawn in the colour of the discovery, the others grey; without a known truth all are drawn in it.
    """
    names = [str(name) for name in coefficients.candidate.values]
    truth = true_values(coefficients)
    plot = figure(
        height=HEIGHT,
        title=f"equation of {coefficients.variable.values[variable]}",
        sizing_mode="stretch_width",
        x_axis_label="step",
        x_range=DataRange1d(range_padding=0.02, min_interval=1.0),
        y_range=DataRange1d(range_padding=0.08),
        tools="xwheel_zoom,xpan,reset,save",
    )
    plot.outline_line_color = None
    plot.toolbar.logo = None
    plot.toolbar.autohide = True
    if truth is not None:
        _draw_truth(plot, truth[:, variable], names)
    for index, quiet in enumerate(vanishing(coefficients)[:, variable]):
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
    """One label per true value; terms whose values lie closer than 6 % of the span share one."""
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
    """The true coefficients (candidate, variable), None where they are not known."""
    if "truth" not in coefficients or not np.isfinite(coefficients.truth).all():
        return None
    return coefficients.truth.transpose("candidate", "variable").values


def verdict(coefficients: xr.Dataset) -> str:
    """One sentence: how many of the true terms were found, and how many besides."""
    truth = true_values(coefficients)
    found = coefficients.estimate.transpose("candidate", "variable").values != 0
    if truth is None:
        return f"{found.sum()} terms discovered; the true equations are not known."
    right, extra = int((found & (truth != 0)).sum()), int((found & (truth == 0)).sum())
    besides = "none besides" if extra == 0 else f"{extra} besides that the true equations do not have"
    return f"{right} of {int((truth != 0).sum())} true terms found, {besides}."


def table(coefficients: xr.Dataset, digits: int = 3) -> str:
    """An HTML table with a row per term that is true or discovered: true and discovered value, error, and whether it is
    right.
    """
    truth = true_values(coefficients)
    if truth is None:
        return _table_alone(coefficients)
    estimate = coefficients.estimate.transpose("candidate", "variable").values
    rows = []
    for j, variable in enumerate(coefficients.variable.values):
        scale = np.nanmax(np.abs(np.concatenate([truth[:, j], estimate[:, j]]))) or 1.0
        terms = [i for i in range(len(truth)) if truth[i, j] != 0 or estimate[i, j] != 0]
        for position, i in enumerate(terms):
            lead = f'<th scope="rowgroup" rowspan="{len(terms)}">{escape(str(variable))}</th>' if position == 0 else ""
            name = raised(str(coefficients.candidate.values[i]))
            rows.append(
                f"<tr>{lead}{_cells(name, float(truth[i, j]), float(estimate[i, j]), float(scale), digits)}</tr>"
            )
    head = "<th scope='col'>equation</th><th scope='col'>term</th>"
    head += "" if truth is None else "<th scope='col' class='number'>true</th>"
    head += "<th scope='col' class='number'>discovered</th>"
    head += (
        ""
        if truth is None
        else "<th scope='col' class='number'>error</th><th scope='col'>true and discovered</th><th></th>"
    )
    return f"<table class='coefficients'><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _table_alone(coefficients: xr.Dataset) -> str:
    """The table where no truth is known: discovered value, its 95 % interval and its unit, as far as they are there."""
    order = ("candidate", "variable")
    values = {str(name): array.transpose(*order).values for name, array in coefficients.items()}
    rows = []
    for j, variable in enumerate(coefficients.variable.values):
        terms = np.flatnonzero(values["estimate"][:, j])
        for position, i in enumerate(terms):
            span = f'<th scope="rowgroup" rowspan="{len(terms)}">{escape(str(variable))}</th>' if position == 0 else ""
            term = f"<td class='term'>{raised(str(coefficients.candidate.values[i]))}</td>"
            found = f"<td class='number found'>{values['estimate'][i, j]:.4g}</td>"
            more = ""
            if "lower" in values:
                more += f"<td class='number'>{values['lower'][i, j]:.4g} to {values['upper'][i, j]:.4g}</td>"
            if "unit" in values:
                more += f"<td>{escape(str(values['unit'][i, j]))}</td>"
            rows.append(f"<tr>{span}{term}{found}{more}</tr>")
    head = "<th scope='col'>equation</th><th scope='col'>term</th><th scope='col' class='number'>discovered</th>"
    head += "<th scope='col' class='number'>95 % interval</th>" if "lower" in values else ""
    head += "<th scope='col'>unit</th>" if "unit" in values else ""
    return f"<table class='coefficients'><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _cells(name: str, true: float, found: float, scale: float, digits: int) -> str:
    cells = f"<td class='term'>{name}</td><td class='number'>{true:.{digits}f}</td>"
    cells += f"<td class='number found'>{found:.{digits}f}</td>" if found != 0 else "<td class='number'>&ndash;</td>"
    mark, text = ("&#10003;", "right") if true and found else ("+", "extra") if found else ("&#8722;", "missing")
    error = f"{abs(found - true):.1e}"
    cells += f"<td class='number'>{error}</td><td>{_dots(true, found, scale)}</td>"
    return cells + f"<td class='verdict {text}'><span aria-hidden='true'>{mark}</span> {text}</td>"


def _dots(true: float, found: float, scale: float) -> str:
    def place(value: float) -> float:
        return 70 + 60 * float(np.clip(value / scale, -1, 1))

    ring = f"<circle cx='{place(true):.1f}' cy='9' r='5.5' class='ring'/>"
    dot = f"<circle cx='{place(found):.1f}' cy='9' r='3' class='dot'/>"
    frame = "<line x1='8' x2='132' y1='9' y2='9' class='rule'/><line x1='70' x2='70' y1='3' y2='15' class='rule'/>"
    return f"<svg class='dots' width='140' height='18' viewBox='0 0 140 18' aria-hidden='true'>{frame}{ring}{dot}</svg>"
