"""Error against number of terms: every model a dot, the front a line, the knee in a ring."""

import holoviews as hv

from workbench.judging import Front
from workbench.views import palette
from workbench.views.picture import framed, options

RING = 14


def pareto(front: Front, *, error: str = "error (standard deviations)") -> hv.Overlay:
    """The Pareto front; `error` names the vertical axis. Models without an error are left out."""
    terms, errors = front.terms, front.errors
    chosen = list(front.front)
    models = hv.Scatter((terms, errors), "terms", "error", label="models")
    line = hv.Curve((terms[chosen], errors[chosen]), "terms", "error", label="not beaten")
    dots = hv.Scatter((terms[chosen], errors[chosen]), "terms", "error", label="not beaten")
    knee = hv.Scatter(([terms[front.knee]], [errors[front.knee]]), "terms", "error", label="knee")
    overlay = hv.Overlay(
        [
            options(models, color=palette.QUIET, size=5, marker="circle"),
            options(line, color=palette.FOUND, line_width=palette.FOUND_WIDTH),
            options(dots, color=palette.FOUND, size=7, marker="square"),
            options(knee, fill_color=None, line_color=palette.TRUTH, line_width=3, size=RING, marker="circle"),
        ]
    )
    positive = bool((errors[errors == errors] > 0).all())
    title = f"{terms[front.knee]} terms do; more gain little"
    return framed(overlay, title=title, xlabel="number of terms", ylabel=error, logy=positive)
