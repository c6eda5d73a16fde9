"""The Runs page: table of all runs, overlaid curves, compared settings; resume, export, tag, delete."""

import time
from typing import Any

import panel_material_ui as pmui

from workbench.dashboard.app import layouts, theme
from workbench.dashboard.app.buttons import button
from workbench.dashboard.app.notices import Notices
from workbench.dashboard.app.theme import WIDE
from workbench.dashboard.cards.base import card, heading, html_pane
from workbench.dashboard.forms.table import Table
from workbench.dashboard.runs import text
from workbench.dashboard.runs.actions import Actions
from workbench.dashboard.runs.curves import CurvesCard
from workbench.dashboard.runs.state import STATUSES, RunsState
from workbench.plots.studies import run_overlay

POLL_INTERVAL = 1.0
"""Seconds between two scans of the folder of runs."""
TITLES = {
    "run": "run",
    "experiment": "data set",
    "mode": "mode",
    "status": "status",
    "steps": "steps",
    "last": "last loss",
    "best": "best loss",
    "rmse": "RMSE of coefficients",
    "created": "started (UTC)",
    "tags": "tags",
}
NUMBERS = ["steps", "last", "best", "rmse"]


class RunsPage:
    """Widgets of the Runs page (see `shell.Page`)."""

    def __init__(self, search: str, shell: Any) -> None:
        self.state = state = RunsState(search)
        self._shell = shell
        self._drawn = None
        self._polled = 0.0
        self._shown = False
        self._notices = Notices(state.dismiss)
        self.actions = Actions(state, self._open_run, shell.request_refresh)
        self.curves = CurvesCard(state)
        self._comparison = html_pane("")
        self._comparison_head = html_pane(heading("Settings", ""))
        self._settings = card(self._comparison_head, self._comparison)
        parts = (self._create_banner(), self._create_table(), self.curves.view, self._settings)
        self.main = layouts.Column(self._notices.view, *parts, styles=theme.PAGE_BODY, **WIDE)
        self.side = self._create_sidebar()

    # layout

    def _create_banner(self) -> layouts.Row:
        """Message about interrupted runs, with a button that resumes them."""
        self._banner_text = html_pane("", styles=theme.flex(1, 250))
        resume_all = button("Resume all", "play_arrow", self._resume_all, self._shell.request_refresh)
        styles = {**theme.LINE, **theme.CARD}
        self._banner = layouts.Row(self._banner_text, resume_all, visible=False, styles=styles, **WIDE)
        return self._banner

    def _create_table(self) -> layouts.Column:
        self.table = Table(columns=TITLES, numbers=NUMBERS, caption="Runs", sizing_mode="stretch_width", margin=0)
        self.table.param.watch(self._on_select, "selected")
        self.table.param.watch(self._on_sort, "sort")
        self.table.param.watch(lambda event: self._open_run(event.new[0]), "opened")
        self._empty = html_pane(text.EMPTY)
        self._table_head = html_pane(heading("Runs", ""))
        view = card(self._table_head, self.actions.view, self._empty, self.table)
        view.visible = True
        return view

    def _create_sidebar(self) -> layouts.Column:
        common = {"size": "small", "margin": (7, 0), "sizing_mode": "stretch_width"}
        self.filter = pmui.TextInput(label="Filter", description=text.FILTER_HINT, **common)
        self.status = pmui.Select(label="Status", options=list(STATUSES), value="all", **common)
        self.state.bind(self.filter, "search", "value_input")
        self.state.bind(self.status, "status")
        return layouts.Column(html_pane(text.ABOUT), self.filter, self.status, **theme.SIDE)

    # callbacks

    def _on_select(self, event: Any) -> None:
        self.actions.reset()
        if event.new != [run.id for run in self.state.selected()]:
            self.state.select(event.new)

    def _on_sort(self, event: Any) -> None:
        if event.new != self.state.values()["sort"]:
            self.state.enter("sort", event.new)

    def _open_run(self, name: str) -> None:
        self._shell.open_page("train", f"?run={name}")

    def _resume_all(self) -> None:
        self.state.resume(self.state.interrupted())

    # drawing

    def show(self) -> None:
        """Make `refresh` draw figures."""
        self._shown = True

    def redraw(self) -> None:
        """Make `refresh` redraw everything."""
        self._drawn = None
        self.curves.redraw()

    def stale(self) -> bool:
        """Whether `refresh` has changes to draw; scans the folder of runs at most every POLL_INTERVAL."""
        if time.monotonic() - self._polled > POLL_INTERVAL:
            self.state.reload()
            self._polled = time.monotonic()
        return self._drawn != (self._shown, self.state.revision)

    def refresh(self) -> None:
        """Draw the page."""
        version = (self._shown, self.state.revision)
        self._draw_table()
        self.actions.update()
        self._draw_banner()
        self._notices.update(self.state.notices, dismissible=bool(self.state.notices))
        if self._shown:
            self.curves.update()
        self._draw_comparison()
        self._drawn = version

    def _draw_table(self) -> None:
        runs, total = self.state.visible(), len(self.state.rows)
        self._empty.visible, self.table.visible = not total, bool(total)
        count = f"{len(runs)} of {total}" if len(runs) != total else str(total)
        self._table_head.object = heading(f"Runs ({count})", "Select runs to compare them, click a name to open it.")
        colors = {run.id: run_overlay.color(index) for index, (run, _, _) in enumerate(self.state.curves())}
        rows = [{**text.table_row(run), "color": colors.get(run.id, "")} for run in runs]
        selected = [run.id for run in self.state.selected()]
        values = self.state.values()
        self.table.param.update(rows=rows, selected=selected, sort=values["sort"])
        self.filter.value, self.status.value = values["search"], values["status"]

    def _draw_banner(self) -> None:
        runs = self.state.interrupted()
        self._banner.visible = bool(runs)
        self._banner_text.object = text.interrupted(runs)

    def _draw_comparison(self) -> None:
        names, rows = self.state.difference()
        self._settings.visible = bool(names)
        title, caption = "Settings", "Select a second run to see the differences."
        if len(names) > 1:
            title, caption = "Differences of the settings", "Only settings that differ."
        self._comparison_head.object = heading(title, caption)
        self._comparison.object = text.comparison(names, rows)
