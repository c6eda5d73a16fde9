"""Card of the overlaid curves of the selected runs."""

from typing import Any

from bokeh.models import ColumnDataSource

from workbench.dashboard.app.layouts import Column
from workbench.dashboard.app.theme import WIDE
from workbench.dashboard.cards.base import button_group, card, figure_pane, heading, html_pane, select
from workbench.dashboard.runs.state import RunsState
from workbench.dashboard.runs.text import legend
from workbench.plots.studies import run_overlay


class CurvesCard:
    """One metric of the selected runs, against the step or the time."""

    def __init__(self, state: RunsState) -> None:
        self.state = state
        self._sources = []
        self._key = None
        self.metric = select("Curve", ["loss"], "loss", width=150)
        self.over = button_group(["step", "seconds"], "step", 140)
        self.scale = button_group(["log", "linear"], "log", 120)
        state.bind(self.metric, "curve")
        state.bind(self.over, "over")
        state.bind(self.scale, "scale")
        self._plot = Column(**WIDE)
        self._legend = html_pane("")
        head = html_pane(heading("Curves", "Selected runs; active runs are updated."))
        self.view = card(head, self._legend, self._plot, controls=[self.metric, self.over, self.scale])

    def redraw(self) -> None:
        """Make `update` rebuild the figure."""
        self._key = None

    def update(self) -> None:
        """Draw the curves; the figure is rebuilt when runs or settings have changed."""
        curves, values = self.state.curves(), self.state.values()
        self.view.visible = bool(self.state.selected())
        self._legend.object = legend([run for run, _, _ in curves], str(values["curve"]))
        options = sorted({*self.state.metrics(), values["curve"]} - {"step"})
        self.metric.param.update(options=options, value=values["curve"])
        self.over.value, self.scale.value = values["over"], values["scale"]
        key = ([run.id for run, _, _ in curves], values["curve"], values["over"], values["scale"])
        if key == self._key:
            self._extend(curves)
            return
        self._key = key
        self._sources = [ColumnDataSource(run_overlay.columns(x, y)) for _, x, y in curves]
        self._plot.objects = [self._figure([run.id for run, _, _ in curves], values)] if curves else []

    def _extend(self, curves: list[Any]) -> None:
        """Replace the columns of curves that have grown."""
        for source, (_, x, y) in zip(self._sources, curves, strict=True):
            if len(source.data["x"]) != len(x):
                source.data = run_overlay.columns(x, y)

    def _figure(self, labels: list[str], values: dict[str, Any]) -> Any:
        xlabel = "time (s)" if values["over"] == "seconds" else "step"
        is_log = values["scale"] == "log"
        plot = run_overlay.curves(self._sources, labels, xlabel=xlabel, ylabel=str(values["curve"]), log=is_log)
        return figure_pane(plot)
