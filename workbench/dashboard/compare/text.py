"""Tables and formatting of the Compare and Scaling pages."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from workbench.compare import FORMS
from workbench.dashboard.compare.state import VARIANTS
from workbench.plots.scrolled import scrolled
from workbench.plots.studies.run_overlay import color


def results_table(labels: Sequence[str], results: Mapping[str, Any], memory: Mapping[str, float], busy: str) -> str:
    """HTML table of the results of all solvers (`compare.VariantResult` by label); failures show their status."""
    available = [results[label] for label in labels if label in results]
    fastest = min((result.seconds for result in available if result.u is not None), default=math.nan)
    rows = [_row(label, results.get(label), memory.get(label, math.nan), fastest, busy) for label in labels]
    references = [result.reference.label for result in available if result.reference]
    difference = f"difference to {escape(references[0])}" if references else "difference"
    titles = ("forward", "backward", "time / fastest", "peak memory", difference, "error")
    head = "".join(f"<th scope='col' class='number'>{title}</th>" for title in titles)
    head = f"<thead><tr><th scope='col'>solver</th>{head}</tr></thead>"
    return scrolled(f"<table class='plain'>{head}<tbody>{''.join(rows)}</tbody></table>", "costs and errors")


def _row(label: str, result: Any, memory: float, fastest: float, busy: str) -> str:
    head = f"<tr><th scope='row'>{_key(label)}</th>"
    if result is None:
        return head + f"<td colspan='6' class='unit'>{'solving &hellip;' if busy else 'not run'}</td></tr>"
    if result.u is None:
        message = f"<b class='verdict missing'>{escape(str(result.status))}</b> {escape(result.words)}"
        return head + f"<td colspan='6' class='mark'>{message}</td></tr>"
    ratio = result.seconds / fastest
    cells = [
        milliseconds(result.forward),
        milliseconds(result.backward),
        f"&times; {ratio:.3g}",
        megabytes(memory),
        f"{result.largest_difference:.1e}",
        "–" if result.error is None else f"{result.largest_error:.1e}",
    ]
    return head + "".join(f"<td class='number'>{cell}</td>" for cell in cells) + "</tr>"


def problem(example: Any, labels: Sequence[str]) -> str:
    """Equation and legend (HTML)."""
    equation = FORMS[example.form].title
    for name, value in example.values.items():
        factor = "" if value == 1 else f"{value:g} "
        equation = equation.replace(f"{name} ", factor).replace(name, f"{value:g}")
    keys = "".join(_key(label) for label in labels)
    data = "<span class='key data'>measurements</span>" if example.noise else ""
    return (
        f"{escape(equation)} on {example.T:,} grid points. <br><span class='key truth'>closed form</span>{data}{keys}"
    )


def _key(label: str) -> str:
    line = color(list(VARIANTS).index(label) + 1)
    return f"<span class='key' style='--line: {line}'>{escape(solver_title(label))}</span>"


POWER_LAW = "Time or memory = constant × size^exponent; the predicted limit is where the power law reaches the budget."
TITLES = {
    "banded cholesky": "banded cholesky (as published)",
    "mnn cholesky": "mnn cholesky (original MNN)",
}


def solver_title(label: str) -> str:
    """Title of a solver by its label."""
    return TITLES.get(label, label)


def milliseconds(seconds: float) -> str:
    """Format a time with its unit."""
    if not math.isfinite(seconds):
        return "–"
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1e3 * seconds:.3g} ms"


def megabytes(count: float) -> str:
    """Format a memory size with its unit."""
    return f"{count / 1e6:,.3g} MB" if math.isfinite(count) else "&hellip;"
