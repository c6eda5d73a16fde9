"""What the Compare and Scaling pages say of solvers in words and numbers."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from workbench.compare import FORMS
from workbench.dashboard.compare.state import VARIANTS
from workbench.plots.scrolled import scrolled
from workbench.plots.studies.run_overlay import color


def results(labels: Sequence[str], found: Mapping[str, Any], memory: Mapping[str, float], busy: str) -> str:
    """An HTML table of what every solver gave (`compare.Result` by label), marks in words among them."""
    known = [found[label].seconds for label in labels if label in found and found[label].u is not None]
    rows = [
        _result(label, found.get(label), memory.get(label, math.nan), min(known, default=math.nan), busy)
        for label in labels
    ]
    bases = [found[label].reference.label for label in labels if label in found and found[label].reference]
    apart = f"difference to {escape(bases[0])}" if bases else "difference"
    titles = ("forward", "backward", "time, of the quickest", "peak memory", apart, "error")
    head = "".join(f"<th scope='col' class='number'>{title}</th>" for title in titles)
    head = f"<thead><tr><th scope='col'>solver</th>{head}</tr></thead>"
    return scrolled(f"<table class='plain'>{head}<tbody>{''.join(rows)}</tbody></table>", "costs and distances")


def _result(label: str, result: Any, memory: float, quickest: float, busy: str) -> str:
    lead = f"<tr><th scope='row'>{_key(label)}</th>"
    if result is None:
        return lead + f"<td colspan='6' class='unit'>{'solving &hellip;' if busy else 'not run'}</td></tr>"
    if result.u is None:
        said = f"<b class='verdict missing'>{escape(str(result.status))}</b> {escape(result.words)}"
        return lead + f"<td colspan='6' class='mark'>{said}</td></tr>"
    ratio = result.seconds / quickest
    cells = [
        milliseconds(result.forward),
        milliseconds(result.backward),
        f"&times; {ratio:.3g}",
        megabytes(memory),
        f"{result.largest_difference:.1e}",
        "–" if result.error is None else f"{result.largest_error:.1e}",
    ]
    return lead + "".join(f"<td class='number'>{cell}</td>" for cell in cells) + "</tr>"


def problem(example: Any, labels: Sequence[str]) -> str:
    """The equation, and what is drawn how."""
    equation = FORMS[example.form].title
    for name, value in example.values.items():
        written = "" if value == 1 else f"{value:g} "
        equation = equation.replace(f"{name} ", written).replace(name, f"{value:g}")
    keys = "".join(_key(label) for label in labels)
    data = "<span class='key data'>readings</span>" if example.noise else ""
    return (
        f"{escape(equation)} on {example.T:,} grid points. <br><span class='key truth'>closed form</span>{data}{keys}"
    )


def _key(label: str) -> str:
    return (
        f"<span class='key' style='--line: {color(list(VARIANTS).index(label) + 1)}'>{escape(title_of(label))}</span>"
    )


LAWS = "time or memory = constant × size^exponent; the limit is where the law meets the budget of one point."
TITLES = {
    "banded cholesky": "banded cholesky (as published)",
    "mnn cholesky": "mnn cholesky (original MNN)",
}


def title_of(label: str) -> str:
    """What a solver is, where its name does not say it."""
    return TITLES.get(label, label)


def milliseconds(seconds: float) -> str:
    """A time with its unit."""
    if not math.isfinite(seconds):
        return "–"
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1e3 * seconds:.3g} ms"


def megabytes(count: float) -> str:
    """A memory with its unit."""
    return f"{count / 1e6:,.3g} MB" if math.isfinite(count) else "&hellip;"
