"""The Compare page: one problem solved by several solvers, and a race of two solvers."""

from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource

from workbench.dashboard.app import theme
from workbench.dashboard.app.buttons import button
from workbench.dashboard.app.layouts import Column, Row
from workbench.dashboard.app.notices import Notices
from workbench.dashboard.app.theme import WIDE
from workbench.dashboard.cards.base import card, figure_pane, heading, html_pane
from workbench.dashboard.compare import text
from workbench.dashboard.compare.race_card import RaceCard
from workbench.dashboard.compare.state import VARIANTS, CompareState
from workbench.dashboard.forms.form import Controls
from workbench.dashboard.forms.page_state import Notice
from workbench.plots.studies import solutions

AXES = {"difference": "|difference to the reference|", "error": "|error against the closed form|"}
TITLES = {"difference": "Difference to the reference", "error": "Error against the closed form"}


class ComparePage:
    """Widgets of the Compare page (see `shell.Page`)."""

    def __init__(self, search: str, shell: Any) -> None:
        self.state = state = CompareState(search)
        state.comparison.on_result = shell.request_refresh
        self._drawn = None
        self._shown = False
        self._plots = {}
        self._controls = Controls(state)
        self.side = Column(self._controls.view, **theme.SIDE)
        self._notices = Notices(state.dismiss)
        self._sources = {label: ColumnDataSource(solutions.empty()) for label in VARIANTS}
        self._truth = ColumnDataSource({"time": [], "u": [], "data": []})
        self._busy = html_pane("", sizing_mode=None)
        self.cancel = button("Cancel", "stop", state.comparison.cancel, shell.request_refresh, visible=False)
        self._head, self._table = html_pane(heading("Solutions", "")), html_pane("")
        self._figures = {name: Column(**WIDE) for name in ("u", *AXES)}
        solutions_card = card(self._head, self._figures["u"], controls=[self._busy, self.cancel])
        caption = "Time of the forward and backward pass; largest difference and error."
        costs = card(html_pane(heading("Costs and errors", caption)), self._table)
        pair = [
            card(html_pane(heading(title, "")), self._figures[name], **theme.flex(1, 330))
            for name, title in TITLES.items()
        ]
        for part in (solutions_card, costs, *pair):
            part.visible = True
        self.race = RaceCard(state, shell.request_refresh)
        self.main = Column(
            self._notices.view,
            solutions_card,
            Row(*pair, styles=theme.PAIR, **WIDE),
            costs,
            self.race.view,
            styles=theme.PAGE_BODY,
            **WIDE,
        )

    def show(self) -> None:
        """Make `refresh` draw figures."""
        self._shown = True

    def redraw(self) -> None:
        """Make `refresh` redraw everything."""
        self._drawn = None

    def _version(self) -> tuple[Any, ...]:
        return self._shown, self.state.revision, self.state.comparison.version, self.race.version()

    def stale(self) -> bool:
        """Whether `refresh` has changes to draw."""
        return self._drawn != self._version()

    def refresh(self) -> None:
        """Draw the page."""
        version = self._version()
        before = self._drawn or (None,) * 4
        if version[1] != before[1]:
            self._controls.update()
        if version[:3] != before[:3]:
            self._draw_results()
        if version[0] != before[0] or version[1] != before[1] or version[3] != before[3]:
            self.race.update(with_figures=self._shown)
        self._drawn = version

    def _draw_results(self) -> None:
        comparison, config = self.state.comparison, self.state.config
        notices = list(self.state.notices)
        if "" in self.state.errors:
            notices.append(Notice("warning", self.state.errors[""]))
        if comparison.error:
            notices.append(Notice("error", f"The comparison failed: {comparison.error}"))
        self._notices.update(notices, dismissible=bool(self.state.notices))
        self._busy.object = (
            f"<span class='caption' role='status'>{comparison.busy and comparison.busy + ' &hellip;'}</span>"
        )
        self.cancel.visible = bool(comparison.busy)
        labels = [variant.label for variant in config.variants()] if config else []
        self._table.object = text.results_table(labels, comparison.results, comparison.memory, comparison.busy)
        if comparison.example is None or not self._shown:
            return
        self._fill(comparison.example, labels)
        self._head.object = heading("Solutions", text.problem(comparison.example, labels))
        is_new = not self._plots
        if is_new:
            self._create_figures()
        columns = [self._sources[label].data for label in labels]
        for name in AXES:
            axis = self._plots[name].y_range
            axis.start, axis.end = solutions.span(columns, name)
        if is_new:  # last: models must not change in the turn in which they are added to the document
            for name, pane in self._figures.items():
                pane.objects = [figure_pane(self._plots[name])]

    def _fill(self, example: Any, labels: list[str]) -> None:
        time, readings = example.time(), example.readings()
        truth = {"time": time, "u": example.exact()[:, 0]}
        truth["data"] = np.full(len(time), np.nan) if readings is None else readings
        self._truth.data = {name: solutions.thin(values) for name, values in truth.items()}
        for label, source in self._sources.items():
            result = self.state.result(label) if label in labels else None
            if result is None or result.u is None or len(result.u.reshape(-1, *result.u.shape[-3:])[0]) != len(time):
                if len(source.data["time"]):
                    source.data = solutions.empty()
                continue
            u = result.u.reshape(-1, *result.u.shape[-3:])[0, :, 0, 0]
            source.data = solutions.columns(time, u, result.difference, result.error)

    def _create_figures(self) -> None:
        labels, sources = list(self._sources), list(self._sources.values())
        self._plots["u"] = solutions.solutions(sources, labels, self._truth)
        for name, title in AXES.items():
            self._plots[name] = solutions.error_curves(sources, labels, name, title)
