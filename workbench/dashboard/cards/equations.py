"""Card of the discovered and true equations, metrics and warnings."""

from collections.abc import Callable
from html import escape

from workbench.dashboard.app import theme
from workbench.dashboard.app.layouts import Column, Row
from workbench.dashboard.app.theme import WIDE
from workbench.dashboard.cards.base import card, heading, html_pane, select, watch
from workbench.experiments.report import METRIC_LABELS, Report
from workbench.plots import summary
from workbench.plots.equations import equation


class EquationCard:
    """Discovered and true equations side by side, with metrics and warnings."""

    def __init__(self, redraw: Callable[[], None]) -> None:
        self.digits = select("Decimals", [1, 2, 3, 4, 6], 3, width=96)
        watch(redraw, self.digits)
        self._discovered, self._true = html_pane(""), html_pane("")
        self._metrics, self._warnings = html_pane(""), html_pane("")
        titles = html_pane('<h3 class="key found">Discovered</h3>'), html_pane('<h3 class="key truth">True</h3>')
        left = Column(titles[0], self._discovered, styles=theme.flex(7, 300), **WIDE)
        self._right = Column(titles[1], self._true, styles=theme.flex(6, 300), **WIDE)
        self.view = card(
            html_pane(heading("Equations", "Discovered and true equations.")),
            Row(left, self._right, styles=theme.PAIR, **WIDE),
            self._metrics,
            self._warnings,
            controls=[self.digits],
        )

    def update(self, report: Report | None) -> None:
        """Show equations, metrics and warnings of a Report; None: before the first Report."""
        if report is None:
            waiting = '<div class="caption">The first equations appear after the first step.</div>'
            self._discovered.object, self._true.object, self._metrics.object = waiting, "", ""
            self._warnings.object = ""
            self._right.visible = False
            return
        digits = self.digits.value
        none = '<div class="caption">This mode discovers no equation.</div>'
        self._discovered.object = equation.html(report.equations, digits, report.true_equations) or none
        self._true.object = equation.html(report.true_equations, digits)
        self._right.visible = bool(report.true_equations)
        units = summary.units(report.trajectory) if report.trajectory is not None and report.equations else ""
        caption = f'<div class="caption">Units: {escape(units)}.</div>' if units else ""
        self._metrics.object = caption + equation.metrics(report.metrics, METRIC_LABELS)
        self._warnings.object = equation.warnings(report.warnings)
