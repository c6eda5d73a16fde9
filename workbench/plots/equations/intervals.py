"""How sure the coefficients are: their 95 % intervals beside the true values, and how often each term is kept.

Both take coefficients over (candidate, variable): `estimate`, `lower` and `upper` (the interval), where known `truth`,
and `inclusion`, the probability that the term is in the equation.
"""

import holoviews as hv
import numpy as np
import xarray as xr

from workbench.plots import palette
from workbench.plots.picture import framed, options, shown_terms, ticks

KEPT = 0.5
"""Inclusion probability from which a term counts as kept."""


def intervals(coefficients: xr.Dataset, variable: str) -> hv.Overlay:
    """The equation of one variable: a dot and its interval per term, a ring at the true value.

    Every row is drawn over its own largest number, so that small terms are seen beside large ones; the numbers stand at
    the row. Grey and hollow: the interval holds zero, the term may as well be absent.
    """
    terms = shown_terms(coefficients, variable)
    own = coefficients.sel(variable=variable).isel(candidate=terms)
    unit = _units(own)
    lower, upper, estimate = (own[name].values / unit for name in ("lower", "upper", "estimate"))
    rows = -np.arange(len(terms), dtype=float)
    unsure = (lower <= 0) & (upper >= 0)
    parts = [options(hv.VLine(0), color=palette.QUIET, line_dash="dashed", line_width=1)]
    if "truth" in own:
        ring = hv.Scatter((own["truth"].values / unit, rows), "coefficient", "term", label="truth")
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
        xlabel="coefficient, over the largest number of its row",
        ylabel="term",
        xlim=(-1.12, 1.12),
        **ticks(_values(own)),
    )


def _units(own: xr.Dataset) -> np.ndarray:
    """The largest number in each row, 1 where all are 0."""
    rows = [np.abs(own[name].values) for name in ("estimate", "lower", "upper", "truth") if name in own]
    largest = np.nanmax(rows, axis=0)
    return np.where(largest > 0, largest, 1.0)


def _values(own: xr.Dataset) -> list[str]:
    """`x y: 28.0 ± 0.3` per row, the second number half the interval."""
    halves = (own["upper"] - own["lower"]).values / 2
    rows = zip(own["candidate"].values, own["estimate"].values, halves, strict=True)
    return [f"{name}: {value:.4g} ± {half:.2g}" for name, value, half in rows]


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
        title=f"equation of {variable}: {int(kept.sum())} of {len(terms)} terms kept",
        xlabel="inclusion probability",
        ylabel="term",
        xlim=(0, 1.02),
        **ticks([str(name) for name in own["candidate"].values]),
    )
