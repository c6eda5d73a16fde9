"""How sure the coefficients are: their 95 % intervals beside the true values, and how often each term is kept.

Both take coefficients over (candidate, variable): `estimate`, `lower` and `upper` (the interval), where known `truth`,
and `inclusion`, the probability that the term is in the equation.
"""

import holoviews as hv
import numpy as np
import xarray as xr

from workbench.views import palette
from workbench.views.picture import framed, options, shown_terms, ticks, with_unit

KEPT = 0.5
"""Inclusion probability from which a term counts as kept."""


def intervals(coefficients: xr.Dataset, variable: str) -> hv.Overlay:
    """The equation of one variable: a dot and its interval per term, a ring at the true value.

    Grey and hollow: the interval holds zero, so that the term may as well not be there.
    """
    terms = shown_terms(coefficients, variable)
    own = coefficients.sel(variable=variable).isel(candidate=terms)
    lower, upper, estimate = (own[name].values for name in ("lower", "upper", "estimate"))
    rows = -np.arange(len(terms), dtype=float)
    unsure = (lower <= 0) & (upper >= 0)
    parts = [options(hv.VLine(0), color=palette.QUIET, line_dash="dashed", line_width=1)]
    if "truth" in own:
        ring = hv.Scatter((own["truth"].values, rows), "coefficient", "term", label="truth")
        ring = options(ring, fill_color=None, line_color=palette.TRUTH, line_width=3, size=14, marker="circle")
        parts.append(ring)
    for chosen, color, fill, label in (
        (~unsure, palette.FOUND, palette.FOUND, "discovered"),
        (unsure, palette.QUIET, None, "may be zero"),
    ):
        bars = hv.Segments((lower[chosen], rows[chosen], upper[chosen], rows[chosen]), ["from", "row", "to", "end"])
        dots = hv.Scatter((estimate[chosen], rows[chosen]), "coefficient", "term", label=label)
        parts.append(options(bars, color=color, line_width=3))
        parts.append(options(dots, fill_color=fill, line_color=color, size=7, marker="circle"))
    return framed(
        hv.Overlay(parts),
        title=f"equation of {variable}: 95 % intervals, {int(unsure.sum())} of {len(terms)} hold zero",
        xlabel=with_unit("coefficient", coefficients["estimate"].attrs.get("units", "1")),
        ylabel="term",
        **ticks([str(name) for name in own["candidate"].values]),
    )


def inclusion(coefficients: xr.Dataset, variable: str) -> hv.Overlay:
    """The equation of one variable: a bar per term, its inclusion probability; those below KEPT are grey."""
    terms = shown_terms(coefficients, variable)
    own = coefficients.sel(variable=variable).isel(candidate=terms)
    share = own["inclusion"].values
    rows = -np.arange(len(terms), dtype=float)
    kept = share >= KEPT
    parts = []
    for chosen, color in ((kept, palette.FOUND), (~kept, palette.QUIET)):
        corners = (np.zeros(chosen.sum()), rows[chosen] - 0.3, share[chosen], rows[chosen] + 0.3)
        parts.append(options(hv.Rectangles(corners, ["from", "low", "to", "high"]), color=color, line_color=None))
    parts.append(options(hv.VLine(KEPT), color=palette.QUIET, line_dash="dashed", line_width=2))
    return framed(
        hv.Overlay(parts),
        title=f"equation of {variable}: {int(kept.sum())} of {len(terms)} terms are kept more often than not",
        xlabel="inclusion probability",
        ylabel="term",
        xlim=(0, 1.02),
        **ticks([str(name) for name in own["candidate"].values]),
    )
