"""Error against number of terms: every model a dot, the front a line, a ring around the one that was chosen."""

import holoviews as hv
import numpy as np

from workbench.diagnostics import Front
from workbench.plots import palette
from workbench.plots.picture import framed, options

RING = 14
MOST = 7
"""Decades that have room for a label each."""


def pareto(front: Front, *, chosen: int | None = None, error: str = "error (standard deviations)") -> hv.Overlay:
    """The Pareto front; the ring is around the model at the place `chosen`, None: around the knee.

    `error` names the vertical axis. Models without an error are left out.
    """
    terms, errors = front.terms, front.errors
    best = list(front.front)
    place, label = (front.knee, "knee") if chosen is None else (chosen, "chosen")
    models = hv.Scatter((terms, errors), "terms", "error", label="models")
    line = hv.Curve((terms[best], errors[best]), "terms", "error", label="not beaten")
    dots = hv.Scatter((terms[best], errors[best]), "terms", "error", label="not beaten")
    ring = hv.Scatter(([terms[place]], [errors[place]]), "terms", "error", label=label)
    overlay = hv.Overlay(
        [
            options(models, color=palette.QUIET, size=5, marker="circle"),
            options(line, color=palette.FOUND, line_width=palette.FOUND_WIDTH),
            options(dots, color=palette.FOUND, size=7, marker="square"),
            options(ring, fill_color=None, line_color=palette.TRUTH, line_width=3, size=RING, marker="circle"),
        ]
    )
    known = errors[np.isfinite(errors)]
    positive = bool((known > 0).all())
    ticks = {"yticks": _ticks(known)} if positive and known.size else {}
    title = f"{terms[place]} terms do; more gain little" if chosen is None else f"the model of {terms[place]} terms"
    return framed(overlay, title=title, xlabel="number of terms", ylabel=error, logy=positive, **ticks)


def _ticks(errors: np.ndarray) -> list[float]:
    """Of a logarithmic axis: 1, 2 and 5 times the powers of ten over two decades at most, else these powers alone, and
    no more of them than have room."""
    decades = range(int(np.floor(np.log10(errors.min()))), int(np.ceil(np.log10(errors.max()))) + 1)
    factors = (1, 2, 5) if len(decades) <= 3 else (1,)
    return [factor * 10.0**decade for decade in decades[:: -(-len(decades) // MOST)] for factor in factors]
