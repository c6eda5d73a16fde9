"""Cards of the coefficients of discovered equations and of the parameters of many curves."""

from collections.abc import Callable, Sequence

from bokeh.models import ColumnDataSource

from workbench.dashboard.app import theme
from workbench.dashboard.app.layouts import Row
from workbench.dashboard.app.theme import WIDE
from workbench.dashboard.cards.base import ROLLOVER, card, figure_pane, heading, html_pane
from workbench.experiments.report import Report
from workbench.plots.equations import coefficients, parameters
from workbench.plots.scrolled import scrolled
from workbench.training import Record

CAPTIONS = {
    True: (
        "Wide blue: true value. Orange: true term. Grey: term whose true coefficient is zero.",
        "The dot should lie in the ring.",
    ),
    False: (
        "The coefficient of a superfluous term drops to zero and stays there.",
        "95 % confidence intervals.",
    ),
}
"""Captions of the coefficient paths and of the table, by whether the true values are known."""


class CoefficientCard:
    """Coefficients over the steps, one figure per variable, and a table of the current values."""

    def __init__(self, rewind: Callable[[], None]) -> None:
        self._rewind = rewind
        self._values = None
        self._shape = None
        self._vanishing = None
        self._source = None
        self._heads = None
        self._paths = Row(styles=theme.PAIR, **WIDE)
        self._table = html_pane("")
        self._captions = html_pane(""), html_pane("")
        self.over_steps = card(self._captions[0], self._paths)
        self.now = card(self._captions[1], self._table)

    def update_report(self, report: Report | None) -> None:
        """Show the table of a Report; a changed shape rebuilds the figures."""
        self._values = values = report.coefficients if report else None
        self.over_steps.visible = self.now.visible = values is not None
        if values is None:
            self.clear()
            return
        paths, table = CAPTIONS[coefficients.true_values(values) is not None]
        self._captions[0].object = heading("Coefficients over the steps", paths)
        self._captions[1].object = heading("Current coefficients", table)
        shape = (tuple(values.candidate.values), tuple(values.variable.values))
        if shape != self._shape:
            self._shape, self._source = shape, None
            self._vanishing = coefficients.is_zero(values)
            self._rewind()
        table = scrolled(coefficients.table(values), "coefficients")
        self._table.object = f"<p>{coefficients.support_summary(values)}</p>{table}"

    def clear(self) -> None:
        """Drop the figures; the next Report starts from the first record."""
        self._shape = self._source = None

    def update(self, records: Sequence[Record], *, restart: bool) -> None:
        """Append records; `restart` clears the curves first.

        Nothing is drawn before the first Report of a run, which rewinds to the first record.
        """
        records = [record for record in records if record.coefficients is not None]
        if restart and not records:
            self.clear()
        if self._shape is None or not records:
            return
        columns = coefficients.columns([r.step for r in records], [r.coefficients for r in records])
        heads = coefficients.end_points(records[-1].step, records[-1].coefficients, self._vanishing)
        if self._source is None:
            self._source, self._heads = ColumnDataSource(columns), ColumnDataSource(heads)
            n_variables = len(self._shape[1])
            plots = [coefficients.paths(self._source, self._heads, self._values, i) for i in range(n_variables)]
            self._paths.objects = [figure_pane(plot, styles=theme.flex(1, 250)) for plot in plots]
            return
        self._heads.data = heads
        if restart:
            self._source.data = columns
        else:
            self._source.stream(columns, rollover=ROLLOVER)


class ParameterCard:
    """Estimated against true parameters of many curves; hidden for Reports without parameters."""

    def __init__(self) -> None:
        self._source = None
        self._plots = Row(styles=theme.PAIR, **WIDE)
        caption = "One dot per curve; dots on the blue line are exact."
        self.view = card(html_pane(heading("Parameters", caption)), self._plots)

    def update(self, report: Report | None) -> None:
        """Show the parameters of a Report."""
        values = report.parameters if report else None
        self.view.visible = values is not None
        if values is None:
            self._source = None
            return
        columns = parameters.columns(values)
        if self._source is None or len(self._source.data["truth_0"]) != values.sizes["curve"]:
            self._source = ColumnDataSource(columns)
            plots = parameters.scatters(self._source, values)
            self._plots.objects = [figure_pane(plot, styles=theme.flex(1, 300)) for plot in plots]
        else:
            self._source.data = columns
