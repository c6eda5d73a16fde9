"""Card of the diagnostics of discovered equations."""

from collections.abc import Callable
from typing import Any

from workbench.dashboard.app import theme
from workbench.dashboard.app.layouts import Row
from workbench.dashboard.app.theme import WIDE
from workbench.dashboard.cards.base import button_group, card, figure_pane, heading, html_pane, watch
from workbench.experiments.report import Report
from workbench.plots.equations import confidence
from workbench.plots.scrolled import scrolled

KINDS = ["Terms", "Simulation", "Residuals"]
CAPTIONS = {
    "Terms": "Pareto front: error against the number of terms. The ring marks the selected model.",
    "Simulation": "Discovered equations, simulated from the first state. Dashed line: end of the prediction horizon.",
    "Residuals": "One-step residuals of the equations: only noise if no term is missing.",
}


class DiagnosticsCard:
    """Confidence of every term, Pareto front, simulation and residuals; hidden for Reports without diagnostics.

    Figures, and the library that draws them, are created on first use.
    """

    def __init__(self, redraw: Callable[[], None]) -> None:
        self._drawn = None
        self.kind = button_group(KINDS, KINDS[0], 300)
        watch(redraw, self.kind)
        self._summary, self._caption = html_pane(""), html_pane("")
        self._plots = Row(styles=theme.PAIR, **WIDE)
        head = html_pane(heading("Diagnostics", "Confidence of the terms, prediction horizon, residuals."))
        self.view = card(head, self._summary, self._caption, self._plots, controls=[self.kind])

    def update(self, report: Report | None) -> None:
        """Show the diagnostics of a Report."""
        values = report.diagnostics if report else None
        self.view.visible = values is not None
        if values is None:
            self._drawn, self._plots.objects = None, []
            return
        if self._drawn is not None and self._drawn[0] is report and self._drawn[1] == self.kind.value:
            return
        from holoviews import render

        from workbench.plots.equations import diagnostics

        figures = diagnostics.figures(values, report.trajectory)
        kinds = [kind for kind in KINDS if kind in figures] or KINDS
        if kinds != self.kind.options:
            self.kind.param.update(options=kinds, value=self.kind.value if self.kind.value in kinds else kinds[0])
        self._drawn = report, self.kind.value
        table = confidence.table(report.coefficients) if report.coefficients is not None else ""
        self._summary.object = diagnostics.sentences(values) + scrolled(table, "confidence of the terms")
        self._caption.object = f'<div class="caption">{CAPTIONS.get(self.kind.value, "")}</div>'
        plots = [_fit_width(render(figure)) for figure in figures.get(self.kind.value, [])]
        self._plots.objects = [figure_pane(plot, styles=theme.flex(1, 330)) for plot in plots]


def _fit_width(plot: Any) -> Any:
    """Stretch a Bokeh figure to the available width and hide its toolbar until the pointer is over it."""
    plot.update(width=None, sizing_mode="stretch_width", outline_line_color=None, background_fill_color=None)
    plot.toolbar.update(logo=None, autohide=True)
    plot.title.standoff = 0
    for legend in plot.legend:
        legend.update(margin=0, padding=2, label_text_font_size="12px")
    return plot
