"""Table of the confidence of terms: coefficient, 95 % interval and inclusion probability."""

from collections.abc import Iterator
from html import escape

import numpy as np
import xarray as xr

from workbench.plots.equations.equation import with_superscripts

MIN_INCLUSION = 0.2
"""Inclusion probability below which an absent term is not listed."""


def rows(coefficients: xr.Dataset) -> Iterator[tuple[str, str, str, str, str, str]]:
    """Variable, term, estimate, interval, inclusion probability and assessment of all present and likely terms.

    coefficients: `estimate`, `lower`, `upper` and `inclusion` over (candidate, variable). Numbers have two significant
    digits of the width of the interval.
    """
    for variable in coefficients["variable"].values:
        column = coefficients.sel(variable=variable)
        columns = (column[name].values for name in ("estimate", "lower", "upper", "inclusion"))
        for name, value, low, high, share in zip(column["candidate"].values, *columns, strict=True):
            if value == 0 and share < MIN_INCLUSION:
                continue
            if value == 0:
                yield str(variable), str(name), "–", "", f"{share:.0%}", "not selected"
                continue
            width = max(high - low, 1e-300)
            digits = min(max(0, 1 - int(np.floor(np.log10(width)))), 12)
            likely = "certain" if share >= 0.95 else "likely"
            assessment = "uncertain" if low < 0 < high or share < 0.5 else likely
            interval = f"{low:.{digits}f} to {high:.{digits}f}"
            yield str(variable), str(name), f"{value:.{digits}f}", interval, f"{share:.0%}", assessment


def table(coefficients: xr.Dataset) -> str:
    """The rows as an HTML table; "" without intervals or inclusion probabilities."""
    if not {"lower", "upper", "inclusion"} <= set(coefficients):
        return ""
    terms, body = list(rows(coefficients)), []
    for index, (variable, *cells) in enumerate(terms):
        count = sum(other[0] == variable for other in terms)
        first = index == 0 or terms[index - 1][0] != variable
        lead = f'<th scope="rowgroup" rowspan="{count}">{escape(variable)}</th>' if first else ""
        estimate, interval, share, assessment = map(escape, cells[1:])
        kind = "right" if assessment in ("certain", "not selected") else "extra"
        body.append(
            f"<tr>{lead}<td class='term'>{with_superscripts(cells[0])}</td><td class='number found'>{estimate}</td>"
            f"<td class='number'>{interval}</td><td class='number'>{share}</td>"
            f"<td class='verdict {kind}'>{assessment}</td></tr>"
        )
    heads = ("equation", "term", "discovered", "95 % interval", "inclusion", "")
    classes = ("", "", "number", "number", "number", "")
    head = "".join(f"<th scope='col' class='{c}'>{h}</th>" for h, c in zip(heads, classes, strict=True))
    return f"<table class='coefficients'><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
