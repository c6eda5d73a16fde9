"""The card that says how far discovered equations can be trusted."""

from collections.abc import Callable
from typing import Any

from workbench.dashboard.app import theme
from workbench.dashboard.app.layouts import Row
from workbench.dashboard.app.theme import WIDE
from workbench.dashboard.cards.cards import card, drawing, heading, segments, text, watch
from workbench.experiments.report import Report
from workbench.plots.equations import confidence
from workbench.plots.scrolled import scrolled

KINDS = ["Terms", "Simulation", "Residuals"]
CAPTIONS = {
    "Terms": "Error against the number of terms, from all to none; the ring is the model that was chosen.",
    "Simulation": "The discovered equations from the first state on; the dashed line: they have left the record.",
    "Residuals": "What the equations leave over from one grid point to the next: noise, if no term is missing.",
}


class JudgementCard:
    """Certainty of every term, Pareto front, simulation and residuals of a Report that has a judgement.

    Figures are made when they are chosen, and the library that draws them is not loaded before.
    """

    def __init__(self, redraw: Callable[[], None]) -> None:
        self._drawn = None
        self.kind = segments(KINDS, KINDS[0], 300)
        watch(redraw, self.kind)
        self._words, self._caption = text(""), text("")
        self._plots = Row(styles=theme.PAIR, **WIDE)
        head = text(heading("How sure", "How sure each term is, and how far the equations foretell."))
        self.view = card(head, self._words, self._caption, self._plots, controls=[self.kind])

    def update(self, report: Report | None) -> None:
        """Show the judgement of a Report; nothing where it has none."""
        found = report.judgement if report else None
        self.view.visible = found is not None
        if found is None:
            self._drawn, self._plots.objects = None, []
            return
        if self._drawn is not None and self._drawn[0] is report and self._drawn[1] == self.kind.value:
            return
        from holoviews import render

        from workbench.plots.equations import diagnostics

        figures = diagnostics.figures(found, report.trajectory)
        kinds = [kind for kind in KINDS if kind in figures] or KINDS
        if kinds != self.kind.options:
            self.kind.param.update(options=kinds, value=self.kind.value if self.kind.value in kinds else kinds[0])
        self._drawn = report, self.kind.value
        table = confidence.table(report.coefficients) if report.coefficients is not None else ""
        self._words.object = diagnostics.sentences(found) + scrolled(table, "how sure each term is")
        self._caption.object = f'<div class="caption">{CAPTIONS.get(self.kind.value, "")}</div>'
        plots = [_wide(render(figure)) for figure in figures.get(self.kind.value, [])]
        self._plots.objects = [drawing(plot, styles=theme.share(1, 330)) for plot in plots]


def _wide(plot: Any) -> Any:
    """A Bokeh figure that takes the room there is, and shows its tools when they are wanted."""
    plot.update(width=None, sizing_mode="stretch_width", outline_line_color=None, background_fill_color=None)
    plot.toolbar.update(logo=None, autohide=True)
    plot.title.standoff = 0
    for legend in plot.legend:
        legend.update(margin=0, padding=2, label_text_font_size="12px")
    return plot
