"""Error against number of terms: every model a dot, the front a line, a ring around the one that was chosen."""

import holoviews as hv

from workbench.judging import Front
from workbench.views import palette
from workbench.views.picture import framed, options

RING = 14


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
    positive = bool((errors[errors == errors] > 0).all())
    title = f"{terms[place]} terms do; more gain little" if chosen is None else f"the model of {terms[place]} terms"
    return framed(overlay, title=title, xlabel="number of terms", ylabel=error, logy=positive)
