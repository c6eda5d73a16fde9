"""The Studies page: runs over a grid of settings and seeds, with a table and a map of the results."""

from html import escape
from typing import Any

import panel_material_ui as pmui

from workbench.dashboard.app import theme
from workbench.dashboard.app.buttons import button
from workbench.dashboard.app.layouts import Column, Row
from workbench.dashboard.app.notices import Notices
from workbench.dashboard.app.theme import WIDE
from workbench.dashboard.cards.base import card, figure_pane, heading, html_pane
from workbench.dashboard.forms.form import Controls
from workbench.dashboard.forms.page_state import Notice
from workbench.dashboard.studies.state import StudiesState, StudyRun
from workbench.plots.studies import heatmap

NEW = "new study"
EMPTY = (
    "<div class='intro'><h2>Studies over settings and seeds</h2><p>A study runs every combination of the settings on "
    "the left, each with several seeds, on all cores or on a cluster. Press <b>Run</b>: completed cells are kept, and "
    " <b>Resume</b> runs the missing ones.</p></div>"
)


class StudiesPage:
    """Widgets of the Studies page (see `shell.Page`)."""

    def __init__(self, search: str, shell: Any) -> None:
        self.state = StudiesState(search)
        self._shell = shell
        self._drawn = None
        self._shown = False
        self._map_key = None
        self._map_metric = ""
        self._controls = Controls(self.state)
        self._study = pmui.Select(
            label="Study", options=[NEW], size="small", margin=(7, 0), sizing_mode="stretch_width"
        )
        self._study.param.watch(self._on_study, "value")
        self.side = Column(self._study, self._controls.view, **theme.SIDE)
        self._notices = Notices(self.state.dismiss)
        self._bar = self._create_bar()
        self._empty = card(html_pane(""), html_pane(EMPTY))
        self._empty.visible = True
        self._cells = html_pane("")
        self._grid = card(
            html_pane(heading("Cells", "One column per seed: ● complete, ✕ failed (hover for the reason), · missing.")),
            self._cells,
        )
        self._metric = pmui.Select(label="Metric", options=[], size="small", width=170, margin=0)
        self._metric.param.watch(self._on_metric, "value")
        self._figure = Column(**WIDE)
        caption = "Median over the seeds, and over all axes beyond the first two."
        self._map = card(html_pane(heading("Map", caption)), self._figure, controls=[self._metric])
        body = (self._notices.view, self._bar, self._empty, self._map, self._grid)
        self.main = Column(*body, styles=theme.PAGE_BODY, **WIDE)

    def _create_bar(self) -> Column:
        self.run = button("Run", "play_arrow", self.state.start, self._shell.request_refresh, variant="contained")
        self.cancel = button("Cancel", "stop", self.state.cancel, self._shell.request_refresh)
        self.resume = button("Resume", "replay", self.state.resume, self._shell.request_refresh)
        self._progress = html_pane("", styles=theme.flex(1, 240))
        parts = [self.run, self.cancel, self.resume, self._progress]
        row = Row(*parts, styles={**theme.LINE, "align-items": "center"}, **WIDE)
        return Column(row, styles={**theme.CARD, "padding": "12px 18px"}, **WIDE)

    def _on_study(self, event: Any) -> None:
        name = "" if event.new in (None, NEW) else event.new
        if name != self.state.values()["study"]:
            self.state.open(name)

    def _on_metric(self, event: Any) -> None:
        if event.new and event.new != self._map_metric:  # changed by the user, not by `refresh`
            self.state.enter("show", event.new)

    def show(self) -> None:
        """Make `refresh` draw figures."""
        self._shown = True

    def redraw(self) -> None:
        """Make `refresh` redraw everything."""
        self._drawn = self._map_key = None

    def _version(self) -> tuple[Any, ...]:
        study_run = self.state.study_run
        return self._shown, self.state.revision, study_run and (study_run.study.name, study_run.version)

    def stale(self) -> bool:
        """Whether `refresh` has changes to draw."""
        return self._drawn != self._version()

    def refresh(self) -> None:
        """Draw the page."""
        version, study_run = self._version(), self.state.study_run
        self._controls.update()
        self._study.param.update(options=[NEW, *self.state.names()], value=study_run.study.name if study_run else NEW)
        running = study_run is not None and study_run.running
        self.run.disabled = running or self.state.config is None
        self.cancel.disabled = not running
        self._empty.visible, self._grid.visible = study_run is None, study_run is not None
        self._draw_results(study_run)
        notices = list(self.state.notices)
        if study_run is not None and study_run.error:
            notices.append(Notice("error", f"The study stopped: {study_run.error}"))
        if "" in self.state.errors:
            notices.append(Notice("warning", self.state.errors[""]))
        self._notices.update(notices, dismissible=bool(self.state.notices))
        self._drawn = version

    def _draw_results(self, study_run: StudyRun | None) -> None:
        if study_run is None:
            self.resume.disabled, self._map.visible = True, False
            self._progress.object = "<span class='caption'>No study selected.</span>"
            return
        results = study_run.results()
        n_missing = int((results.status == "missing").sum())
        self.resume.disabled = study_run.running or not n_missing or self.state.config is None
        self._progress.object = progress(study_run, results.status.size - n_missing, results.status.size)
        self._cells.object = heatmap.grid(results)
        names = heatmap.metrics(results)
        requested = str(self.state.values()["show"])
        metric = requested if requested in names else names[0]
        self._map_metric = metric
        self._metric.param.update(options=names, value=metric)
        self._map.visible = n_missing < results.status.size
        key = (study_run.study.name, study_run.version, metric, self._shell.dark)
        if self._shown and self._map.visible and key != self._map_key:
            self._map_key = key
            self._figure.objects = [figure_pane(heatmap.heat_map(results, metric, dark=self._shell.dark))]


def progress(study_run: StudyRun, done: int, total: int) -> str:
    """Progress of a study as text and bar, with a link to the Dask dashboard (HTML)."""
    status = study_run.status_text if study_run.running else ("complete" if done == total else "stopped")
    bar = f"<div class='progress' role='progressbar' aria-label='cells' aria-valuemin='0' aria-valuemax='{total}' "
    bar += f"aria-valuenow='{done}'><i style='width:{done / total:.1%}'></i></div>"
    link = f" · <a href='{escape(study_run.link)}' target='_blank' rel='noopener'>workers</a>" if study_run.link else ""
    return f"<span role='status'><b>{done}</b> of {total} cells, {status}</span>{link}{bar}"
