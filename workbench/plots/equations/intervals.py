"""Figures of 95 % intervals and inclusion probabilities of coefficients.

Both take coefficients over (candidate, variable): `estimate`, `lower`, `upper`, `inclusion` (the probability that the
term is in the equation) and, if known, `truth`.
"""

import holoviews as hv
import numpy as np
import xarray as xr

from workbench.plots import palette
from workbench.plots.picture import framed, options, shown_terms, ticks

SELECTED = 0.5
"""Least inclusion probability of a selected term."""


def intervals(coefficients: xr.Dataset, variable: str) -> hv.Overlay:
    """Estimate (dot), interval and true value (ring) of each term in the equation of one variable.

    Each row is scaled by its largest value, so that small terms are visible; labels give the values. Terms whose
    interval contains zero are grey and hollow.
    """
    terms = shown_terms(coefficients, variable)
    column = coefficients.sel(variable=variable).isel(candidate=terms)
    unit = _units(column)
    lower, upper, estimate = (column[name].values / unit for name in ("lower", "upper", "estimate"))
    rows = -np.arange(len(terms), dtype=float)
    uncertain = (lower <= 0) & (upper >= 0)
    parts = [options(hv.VLine(0), color=palette.QUIET, line_dash="dashed", line_width=1)]
    if "truth" in column:
        ring = hv.Scatter((column["truth"].values / unit, rows), "coefficient", "term", label="truth")
        ring = options(ring, fill_color=None, line_color=palette.TRUTH, line_width=3, size=14, marker="circle")
        parts.append(ring)
    for mask, color, fill, label in (
        (~uncertain, palette.FOUND, palette.FOUND, "discovered"),
        (uncertain, palette.QUIET, None, "may be zero"),
    ):
        bars = hv.Segments((lower[mask], rows[mask], upper[mask], rows[mask]), ["from", "row", "to", "end"])
        dots = hv.Scatter((estimate[mask], rows[mask]), "coefficient", "term", label=label)
        parts.append(options(bars, color=color, line_width=3))
        parts.append(options(dots, fill_color=fill, line_color=color, size=7, marker="circle"))
    return framed(
        hv.Overlay(parts),
        title=f"equation of {variable}: 95 % intervals, {int(uncertain.sum())} of {len(terms)} contain zero",
        xlabel="coefficient / largest value in its row",
        ylabel="term",
        xlim=(-1.12, 1.12),
        **ticks(_values(column)),
    )


def _units(column: xr.Dataset) -> np.ndarray:
    """Largest magnitude in each row, 1 if all are 0."""
    rows = [np.abs(column[name].values) for name in ("estimate", "lower", "upper", "truth") if name in column]
    largest = np.nanmax(rows, axis=0)
    return np.where(largest > 0, largest, 1.0)


def _values(column: xr.Dataset) -> list[str]:
    """Label of each row, `x y: 28.0 ± 0.3`, with the half-width of the interval."""
    halves = (column["upper"] - column["lower"]).values / 2
    rows = zip(column["candidate"].values, column["estimate"].values, halves, strict=True)
    return [f"{name}: {value:.4g} ± {half:.2g}" for name, value, half in rows]


def inclusion(coefficients: xr.Dataset, variable: str) -> hv.Overlay:
    """Inclusion probability of each term in the equation of one variable, as bars; grey below SELECTED."""
    terms = shown_terms(coefficients, variable)
    column = coefficients.sel(variable=variable).isel(candidate=terms)
    share = column["inclusion"].values
    rows = -np.arange(len(terms), dtype=float)
    selected = share >= SELECTED
    parts = []
    for mask, color in ((selected, palette.FOUND), (~selected, palette.QUIET)):
        corners = (np.zeros(mask.sum()), rows[mask] - 0.3, share[mask], rows[mask] + 0.3)
        parts.append(options(hv.Rectangles(corners, ["from", "low", "to", "high"]), color=color, line_color=None))
    parts.append(options(hv.VLine(SELECTED), color=palette.QUIET, line_dash="dashed", line_width=2))
    return framed(
        hv.Overlay(parts),
        title=f"equation of {variable}: {int(selected.sum())} of {len(terms)} terms selected",
        xlabel="inclusion probability",
        ylabel="term",
        xlim=(0, 1.02),
        **ticks([str(name) for name in column["candidate"].values]),
    )
