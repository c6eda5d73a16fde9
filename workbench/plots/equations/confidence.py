"""How sure every term is, as a table: its coefficient, the 95 % interval, and how often it is kept."""

from collections.abc import Iterator
from html import escape

import numpy as np
import xarray as xr

from workbench.plots.equations.equation import raised

RARE = 0.2
"""Inclusion probability below which a term that is not kept is not worth a row."""


def rows(coefficients: xr.Dataset) -> Iterator[tuple[str, str, str, str, str, str]]:
    """Variable, term, estimate, interval, inclusion probability and verdict, of all terms that are or may be there.

    coefficients: `estimate`, `lower`, `upper` and `inclusion` over (candidate, variable). As many digits are written as
    the interval has two of.
    """
    for variable in coefficients["variable"].values:
        own = coefficients.sel(variable=variable)
        columns = (own[name].values for name in ("estimate", "lower", "upper", "inclusion"))
        for name, value, low, high, share in zip(own["candidate"].values, *columns, strict=True):
            if value == 0 and share < RARE:
                continue
            if value == 0:
                yield str(variable), str(name), "–", "", f"{share:.0%}", "left out"
                continue
            width = max(high - low, 1e-300)
            digits = min(max(0, 1 - int(np.floor(np.log10(width)))), 12)
            verdict = "may be absent" if low < 0 < high or share < 0.5 else "sure" if share >= 0.95 else "likely"
            interval = f"{low:.{digits}f} to {high:.{digits}f}"
            yield str(variable), str(name), f"{value:.{digits}f}", interval, f"{share:.0%}", verdict


def table(coefficients: xr.Dataset) -> str:
    """The rows as an HTML table; nothing where intervals or inclusion are not known."""
    if not {"lower", "upper", "inclusion"} <= set(coefficients):
        return ""
    found, body = list(rows(coefficients)), []
    for index, (variable, *cells) in enumerate(found):
        count = sum(other[0] == variable for other in found)
        first = index == 0 or found[index - 1][0] != variable
        lead = f'<th scope="rowgroup" rowspan="{count}">{escape(variable)}</th>' if first else ""
        estimate, interval, share, verdict = map(escape, cells[1:])
        kind = "right" if verdict in ("sure", "left out") else "extra"
        body.append(
            f"<tr>{lead}<td class='term'>{raised(cells[0])}</td><td class='number found'>{estimate}</td>"
            f"<td class='number'>{interval}</td><td class='number'>{share}</td>"
            f"<td class='verdict {kind}'>{verdict}</td></tr>"
        )
    heads = ("equation", "term", "discovered", "95 % interval", "inclusion", "")
    classes = ("", "", "number", "number", "number", "")
    head = "".join(f"<th scope='col' class='{c}'>{h}</th>" for h, c in zip(heads, classes, strict=True))
    return f"<table class='coefficients'><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
