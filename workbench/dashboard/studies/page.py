"""The Studies page: a grid of runs that fills as they end, a map of what they found, cancel and resume."""

from html import escape
from typing import Any

import panel_material_ui as pmui

from workbench.dashboard.app import theme
from workbench.dashboard.app.buttons import button
from workbench.dashboard.app.layouts import Column, Row
from workbench.dashboard.app.notices import Notices
from workbench.dashboard.app.theme import WIDE
from workbench.dashboard.cards.cards import card, drawing, heading, text
from workbench.dashboard.forms.form import Controls
from workbench.dashboard.studies.state import StudiesState, StudyRun
from workbench.dashboard.train import text as words
from workbench.plots.studies import heatmap

NEW = "a new study"
EMPTY = (
    "<div class='intro'><h2>What holds beyond one run?</h2><p>A study runs every combination of the settings on the "
    "left, each with several seeds, on all cores or on a cluster. Press <b>Run</b>: what is complete is kept, whatever "
    "happens, and <b>Resume</b> goes on.</p></div>"
)


class StudiesPage:
    """Widgets of the Studies page (see `shell.StudiesPage`)."""

    def __init__(self, search: str, shell: Any) -> None:
        self.state = StudiesState(search)
        self._shell = shell
        self._drawn = None
        self._shown = False
        self._map_key = None
        self._in_map = ""
        self._controls = Controls(self.state)
        self._which = pmui.Select(
            label="Study", options=[NEW], size="small", margin=(7, 0), sizing_mode="stretch_width"
        )
        self._which.param.watch(self._opened, "value")
        self.side = Column(self._which, self._controls.view, **theme.SIDE)
        self._notices = Notices(self.state.dismiss)
        self._bar = self._made_bar()
        self._empty = card(text(""), text(EMPTY))
        self._empty.visible = True
        self._cells = text("")
        self._grid = card(
            text(heading("Cells", "A column per seed: ● complete, ✕ failed (point at it for the reason), · not yet.")),
            self._cells,
        )
        self._metric = pmui.Select(label="Shown", options=[], size="small", width=170, margin=0)
        self._metric.param.watch(self._metric_chosen, "value")
        self._figure = Column(**WIDE)
        caption = "The median over the seeds; over further axes, too, where there are more than two."
        self._map = card(text(heading("Map", caption)), self._figure, controls=[self._metric])
        body = (self._notices.view, self._bar, self._empty, self._map, self._grid)
        self.main = Column(*body, styles=theme.PAGE_BODY, **WIDE)

    def _made_bar(self) -> Column:
        self.run = button("Run", "play_arrow", self.state.start, self._shell.soon, variant="contained")
        self.cancel = button("Cancel", "stop", self.state.cancel, self._shell.soon)
        self.resume = button("Resume", "replay", self.state.resume, self._shell.soon)
        self._progress = text("", styles=theme.share(1, 240))
        parts = [self.run, self.cancel, self.resume, self._progress]
        line = Row(*parts, styles={**theme.LINE, "align-items": "center"}, **WIDE)
        return Column(line, styles={**theme.CARD, "padding": "12px 18px"}, **WIDE)

    def _opened(self, event: Any) -> None:
        name = "" if event.new in (None, NEW) else event.new
        if name != self.state.shown()["study"]:
            self.state.open(name)

    def _metric_chosen(self, event: Any) -> None:
        if event.new and event.new != self._in_map:  # a person has chosen, not `refresh`
            self.state.enter("show", event.new)

    def show(self) -> None:
        """Let `refresh` draw figures, too."""
        self._shown = True

    def redraw(self) -> None:
        """Let `refresh` draw everything again."""
        self._drawn = self._map_key = None

    def _version(self) -> tuple[Any, ...]:
        work = self.state.work
        return self._shown, self.state.revision, work and (work.study.name, work.version)

    def stale(self) -> bool:
        """Whether something has changed."""
        return self._drawn != self._version()

    def refresh(self) -> None:
        """Draw the page."""
        version, work = self._version(), self.state.work
        self._controls.update()
        self._which.param.update(options=[NEW, *self.state.there()], value=work.study.name if work else NEW)
        running = work is not None and work.running
        self.run.disabled = running or self.state.config is None
        self.cancel.disabled = not running
        self._empty.visible, self._grid.visible = work is None, work is not None
        self._draw_work(work)
        shown = list(self.state.notices)
        if work is not None and work.error:
            shown.append(words.Notice("error", f"The study stopped: {work.error}"))
        if "" in self.state.errors:
            shown.append(words.Notice("warning", self.state.errors[""]))
        self._notices.update(words.listed(shown), removable=bool(self.state.notices))
        self._drawn = version

    def _draw_work(self, work: StudyRun | None) -> None:
        if work is None:
            self.resume.disabled, self._map.visible = True, False
            self._progress.object = "<span class='caption'>Nothing runs.</span>"
            return
        found = work.results()
        missing = int((found.status == "missing").sum())
        self.resume.disabled = work.running or not missing or self.state.config is None
        self._progress.object = progress(work, found.status.size - missing, found.status.size)
        self._cells.object = heatmap.grid(found)
        names = heatmap.metrics(found)
        asked = str(self.state.shown()["show"])
        metric = asked if asked in names else names[0]
        self._in_map = metric
        self._metric.param.update(options=names, value=metric)
        self._map.visible = missing < found.status.size
        key = (work.study.name, work.version, metric, self._shell.dark)
        if self._shown and self._map.visible and key != self._map_key:
            self._map_key = key
            self._figure.objects = [drawing(heatmap.heat_map(found, metric, dark=self._shell.dark))]


def progress(work: StudyRun, done: int, total: int) -> str:
    """How far a study is, as words and a bar, and where its workers can be watched."""
    word = work.word if work.running else ("complete" if done == total else "stopped")
    bar = f"<div class='progress' role='progressbar' aria-label='cells' aria-valuemin='0' aria-valuemax='{total}' "
    bar += f"aria-valuenow='{done}'><i style='width:{done / total:.1%}'></i></div>"
    link = f" · <a href='{escape(work.link)}' target='_blank' rel='noopener'>workers</a>" if work.link else ""
    return f"<span role='status'><b>{done}</b> of {total} cells, {word}</span>{link}{bar}"
