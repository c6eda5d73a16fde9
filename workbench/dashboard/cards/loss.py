"""Card of the learning curve."""

from collections.abc import Callable, Sequence

from bokeh.models import ColumnDataSource

from workbench.dashboard.app import theme
from workbench.dashboard.app.layouts import Column
from workbench.dashboard.app.theme import WIDE
from workbench.dashboard.cards.base import ROLLOVER, button_group, card, figure_pane, heading, html_pane, select, watch
from workbench.plots import loss
from workbench.training import Record


class LossCard:
    """Loss, or another metric, against the step; raw and smoothed, linear or logarithmic.

    The figure is created from the first records: a log axis without data has no range, and a source must be known to
    the browser before it can be updated. It is placed in a plain Column: in a layout of panel_material_ui a figure
    added later may be measured before it is laid out (its issue 548).
    """

    def __init__(self, rewind: Callable[[], None]) -> None:
        self._rewind = rewind
        self._source = None
        self.metric = select("Curve", ["loss"], "loss", width=130)
        self.scale = button_group(["log", "linear"], "log", 120)
        self._plot = Column(**WIDE)
        watch(self._restart, self.metric, self.scale)
        self.view = card(
            html_pane(heading("Learning curve", "Raw values pale, smoothed values on top.")),
            self._plot,
            controls=[self.metric, self.scale],
            **theme.flex(3, 330),
        )

    def _restart(self) -> None:
        self._source = None
        self._rewind()

    def clear(self) -> None:
        """Remove the figure."""
        self._source, self._plot.objects = None, []

    def update(self, records: Sequence[Record], *, restart: bool) -> None:
        """Append records; `restart` clears the curve first."""
        if not records:
            if restart:  # a run without a step
                self.clear()
            return
        if not set(records[-1].metrics) <= set(self.metric.options):
            self.metric.options = list(records[-1].metrics)
        previous = None if restart or self._source is None else self._source.data
        last_point = None if previous is None else (previous["step"][-1], previous["smooth"][-1])
        columns = loss.columns(records, self.metric.value, last_point)
        if self._source is None:
            self._source = ColumnDataSource(columns)
            plot = loss.curve(self._source, self.metric.value, log=self.scale.value == "log")
            self._plot.objects = [figure_pane(plot)]
        elif restart:
            self._source.data = columns
        else:
            self._source.stream(columns, rollover=ROLLOVER)
