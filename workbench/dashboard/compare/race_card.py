"""Card of the race: status, equations and loss curves of two trainings."""

from collections.abc import Callable
from html import escape
from typing import Any

from bokeh.models import ColumnDataSource

from workbench.dashboard.app import theme
from workbench.dashboard.app.buttons import button
from workbench.dashboard.app.layouts import Column, Row
from workbench.dashboard.app.theme import WIDE
from workbench.dashboard.cards.base import ROLLOVER, card, figure_pane, heading, html_pane
from workbench.dashboard.compare.state import CompareState
from workbench.dashboard.train import text
from workbench.plots.studies import run_overlay

CAPTION = (
    "Two trainings in lockstep with the same seed and data but different solvers: same result, different cost. Select "
    "the training on the left, under Race."
)


class RaceCard:
    """Buttons, status and equations of two trainings, two figures. refresh: called after every click."""

    def __init__(self, state: CompareState, refresh: Callable[[], None]) -> None:
        self.state = state
        self._race = None
        self._sources = []
        self.start = button("Start race", "flag", state.start_race, refresh, variant="contained")
        self.pause = button("Pause race", "pause", state.pause_race, refresh)
        self.stop = button("Stop race", "stop", state.stop_race, refresh)
        self._statuses = [html_pane("", styles=theme.flex(1, 300)) for _ in range(2)]
        self._over_steps, self._over_time = (Column(styles=theme.flex(1, 300), **WIDE) for _ in range(2))
        self._figures = Row(self._over_steps, self._over_time, styles=theme.PAIR, **WIDE)
        self._pair = Row(*self._statuses, styles={**theme.PAIR, "margin": "6px 0"}, **WIDE)
        self.view = card(
            html_pane(heading("Race", CAPTION)), self._pair, self._figures, controls=[self.start, self.pause, self.stop]
        )
        self.view.visible = True

    def version(self) -> Any:
        """Changes with the race and its runs."""
        race = self.state.race
        return race and (id(race), race.version)

    def update(self, *, with_figures: bool) -> None:
        """Draw the race."""
        race = self.state.race
        state = race.state if race else ""
        self.start.disabled = self.state.config is None or state == "running"
        self.pause.disabled, self.stop.disabled = state not in ("running", "paused"), state not in ("running", "paused")
        self.pause.param.update(
            label="Resume race" if state == "paused" else "Pause race",
            icon="play_arrow" if state == "paused" else "pause",
        )
        self._pair.visible = self._figures.visible = race is not None
        if race is None:
            return
        for index, pane in enumerate(self._statuses):
            pane.object = _status(race.jobs[index], race.backends[index], index)
        if with_figures:
            self._draw(race)

    def _draw(self, race: Any) -> None:
        if race is not self._race:
            self._race, self._sources = race, []
        updates = [race.records(index) for index in range(2)]
        if not self._sources:
            if not all(records for records, _ in updates):
                for index, (records, _) in enumerate(updates):
                    if records:
                        race.rewind(index)
                return
            self._create_figures(race, [records for records, _ in updates])
            return
        for sources, (records, restart) in zip(self._sources, updates, strict=True):
            if not records:
                continue
            for source, axis in zip(sources, ("step", "seconds"), strict=True):
                columns = _columns(records, axis)
                if restart:
                    source.data = columns
                else:
                    source.stream(columns, rollover=ROLLOVER)

    def _create_figures(self, race: Any, records: list[Any]) -> None:
        self._sources = [[ColumnDataSource(_columns(part, axis)) for axis in ("step", "seconds")] for part in records]
        labels = list(race.backends)
        panes = ((self._over_steps, "step"), (self._over_time, "training time (s)"))
        for column, (pane, label) in enumerate(panes):
            sources = [pair[column] for pair in self._sources]
            plot = run_overlay.curves(sources, labels, xlabel=label, ylabel="loss", log=True)
            pane.objects = [figure_pane(plot)]


def _columns(records: list[Any], axis: str) -> Any:
    return run_overlay.columns([getattr(r, axis) for r in records], [r.metrics["loss"] for r in records])


def _status(job: Any, backend: str, index: int) -> str:
    """Status and equations of one run (HTML)."""
    snapshot = job.snapshot()
    head = f"<h3 class='key' style='--line: {run_overlay.color(index)}'>{escape(backend)}</h3>"
    equations = job.report.equations if job.report is not None else ()
    lines = "".join(f"<div class='plain-equation'>{escape(equation.text())}</div>" for equation in equations[:6])
    message = f"<p class='caption'>{escape(snapshot.message)}</p>" if snapshot.message else ""
    link = f"<p class='caption'>saved as <a href='?run={job.id}'>{escape(job.id)}</a></p>"
    numbers = text.numbers(snapshot, is_invalid=False, is_changed=False)
    return f"{head} {text.chip(snapshot)}{numbers}{lines}{message}{link}"
