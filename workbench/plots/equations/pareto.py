"""Error against number of terms: models, Pareto front and selected model."""

import holoviews as hv
import numpy as np

from workbench.diagnostics import Front
from workbench.plots import palette
from workbench.plots.picture import framed, options

RING = 14
MAX_DECADES = 7
"""Maximum number of labelled decades."""


def pareto(front: Front, *, chosen: int | None = None, error: str = "error (standard deviations)") -> hv.Overlay:
    """Models and their Pareto front, with a ring around the model of index `chosen`; None: around the knee.

    error: label of the vertical axis. Models without an error are omitted.
    """
    terms, errors = front.terms, front.errors
    best = list(front.front)
    marked, label = (front.knee, "knee") if chosen is None else (chosen, "selected")
    models = hv.Scatter((terms, errors), "terms", "error", label="models")
    line = hv.Curve((terms[best], errors[best]), "terms", "error", label="Pareto front")
    dots = hv.Scatter((terms[best], errors[best]), "terms", "error", label="Pareto front")
    ring = hv.Scatter(([terms[marked]], [errors[marked]]), "terms", "error", label=label)
    overlay = hv.Overlay(
        [
            options(models, color=palette.QUIET, size=5, marker="circle"),
            options(line, color=palette.FOUND, line_width=palette.FOUND_WIDTH),
            options(dots, color=palette.FOUND, size=7, marker="square"),
            options(ring, fill_color=None, line_color=palette.TRUTH, line_width=3, size=RING, marker="circle"),
        ]
    )
    finite = errors[np.isfinite(errors)]
    positive = bool((finite > 0).all())
    ticks = {"yticks": _ticks(finite)} if positive and finite.size else {}
    title = f"{'knee' if chosen is None else 'selected model'}: {terms[marked]} terms"
    return framed(overlay, title=title, xlabel="number of terms", ylabel=error, logy=positive, **ticks)


def _ticks(errors: np.ndarray) -> list[float]:
    """Logarithmic ticks: 1, 2 and 5 times powers of ten up to two decades, else at most MAX_DECADES powers."""
    decades = range(int(np.floor(np.log10(errors.min()))), int(np.ceil(np.log10(errors.max()))) + 1)
    factors = (1, 2, 5) if len(decades) <= 3 else (1,)
    return [factor * 10.0**decade for decade in decades[:: -(-len(decades) // MAX_DECADES)] for factor in factors]
