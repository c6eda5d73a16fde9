"""The race as a card: two trainings in step, their curves over the steps and over the seconds, what each has found."""

from collections.abc import Callable
from html import escape
from typing import Any

from bokeh.models import ColumnDataSource

from workbench.dashboard.app import theme
from workbench.dashboard.app.buttons import button
from workbench.dashboard.app.layouts import Column, Row
from workbench.dashboard.app.theme import WIDE
from workbench.dashboard.cards.cards import ROLLOVER, card, drawing, heading, text
from workbench.dashboard.compare.state import CompareState
from workbench.dashboard.train import text as words
from workbench.plots.studies import run_overlay

CAPTION = (
    "Two trainings, same seed and data, another solver each, in step: the same answer at another price. What is raced "
    "stands on the left, under Race."
)


class RaceCard:
    """Start, Pause, Stop; two columns of numbers and equations; two figures. `answer` follows every press."""

    def __init__(self, state: CompareState, answer: Callable[[], None]) -> None:
        self.state = state
        self._answer = answer
        self._race = None
        self._sources = []
        self.start = button("Start race", "flag", state.start_race, self._answer, variant="contained")
        self.pause = button("Pause race", "pause", state.pause_race, self._answer)
        self.stop = button("Stop race", "stop", state.stop_race, self._answer)
        self._lanes = [text("", styles=theme.share(1, 300)) for _ in range(2)]
        self._over_steps, self._over_time = (Column(styles=theme.share(1, 300), **WIDE) for _ in range(2))
        self._figures = Row(self._over_steps, self._over_time, styles=theme.PAIR, **WIDE)
        self._pair = Row(*self._lanes, styles={**theme.PAIR, "margin": "6px 0"}, **WIDE)
        self.view = card(
            text(heading("Race", CAPTION)), self._pair, self._figures, controls=[self.start, self.pause, self.stop]
        )
        self.view.visible = True

    def version(self) -> Any:
        """Changes with what there is to draw."""
        race = self.state.race
        return race and (id(race), race.version)

    def update(self, *, shown: bool) -> None:
        """Draw the race; `shown`: figures, too."""
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
        for index, lane in enumerate(self._lanes):
            lane.object = _lane(race.jobs[index], race.backends[index], index)
        if shown:
            self._draw(race)

    def _draw(self, race: Any) -> None:
        if race is not self._race:
            self._race, self._sources = race, []
        read = [race.records(index) for index in range(2)]
        if not self._sources:
            if not all(records for records, _ in read):
                for index, (records, _) in enumerate(read):
                    if records:
                        race.again(index)
                return
            self._make(race, [records for records, _ in read])
            return
        for sources, (records, restart) in zip(self._sources, read, strict=True):
            if not records:
                continue
            for source, over in zip(sources, ("step", "seconds"), strict=True):
                columns = _columns(records, over)
                if restart:
                    source.data = columns
                else:
                    source.stream(columns, rollover=ROLLOVER)

    def _make(self, race: Any, records: list[Any]) -> None:
        self._sources = [[ColumnDataSource(_columns(one, over)) for over in ("step", "seconds")] for one in records]
        labels = list(race.backends)
        places = ((self._over_steps, "step"), (self._over_time, "training time (s)"))
        for column, (place, label) in enumerate(places):
            sources = [lane[column] for lane in self._sources]
            plot = run_overlay.curves(sources, labels, xlabel=label, ylabel="loss", log=True)
            place.objects = [drawing(plot)]


def _columns(records: list[Any], over: str) -> Any:
    return run_overlay.columns([getattr(r, over) for r in records], [r.metrics["loss"] for r in records])


def _lane(job: Any, backend: str, index: int) -> str:
    """What one of the two has done and found."""
    snapshot = job.snapshot()
    head = f"<h3 class='key' style='--line: {run_overlay.color(index)}'>{escape(backend)}</h3>"
    found = job.report.equations if job.report is not None else ()
    lines = "".join(f"<div class='plain-equation'>{escape(one.text())}</div>" for one in found[:6])
    cause = f"<p class='caption'>{escape(snapshot.message)}</p>" if snapshot.message else ""
    link = f"<p class='caption'>kept as <a href='?run={job.id}'>{escape(job.id)}</a></p>"
    return f"{head} {words.chip(snapshot)}{words.numbers(snapshot, wrong=False, changed=False)}{lines}{cause}{link}"
